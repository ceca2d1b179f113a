"""`approvals`, `approve`, `reject`, `signal` on answers of a platform."""

from typing import Any

import pytest

from tests.cli.recorded_platform import RUN_ID, RecordedPlatform, Reply, refused, run_object, tooloo

THIS = f"/workflow/code-review/executions/{RUN_ID}"
APPROVE = f"{THIS}/steps/ask/approve"
REJECT = f"{THIS}/steps/ask/reject"
SIGNAL = f"{THIS}/signals/go"
SCHEMA = {
    "type": "object",
    "required": ["days"],
    "properties": {"days": {"type": "integer"}, "note": {"type": "string"}},
}
DEFINITION = {
    "steps": [{"id": "load"}, {"id": "wait", "wait": {"signal": "go", "schema": SCHEMA}}],
    "on_failure": [{"id": "tell", "wait": {"for": 1}}],
}


def question(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": RUN_ID,
        "step_id": "ask",
        "workflow": "code-review",
        "status": "open",
        "summary": "May we \x1b[31mpublish?",
        "requested_by": "ada",
        "roles": ["admin"],
        "schema": SCHEMA,
        "shown": {"lines": 3},
        "asked_at": "2026-11-20T10:00:00Z",
        "until": None,
        "answered_by": None,
        "answered_at": None,
        "comment": None,
        "links": {},
        **changes,
    }


@pytest.fixture
def seen(platform: RecordedPlatform) -> RecordedPlatform:
    """A platform that shows the run and its question."""
    platform.answers("GET", f"/runs/{RUN_ID}", Reply(200, run_object(status="running")))
    platform.answers("GET", "/approvals", Reply(200, {"items": [question()], "next_cursor": None}))
    return platform


def test_all_questions_are_listed_page_by_page(platform: RecordedPlatform) -> None:
    pages = [{"items": [question()], "next_cursor": "c1"}, {"items": [question(step_id="b")], "next_cursor": None}]
    platform.answers("GET", "/approvals", *(Reply(200, page) for page in pages * 2))
    ended = tooloo("approvals")
    assert ended.code == 0
    heading, first, second, hint = ended.out.splitlines()
    assert heading.split()[:3] == ["run", "step", "workflow"]
    assert first.split()[:3] == [RUN_ID, "ask", "code-review"]
    assert "�[31mpublish?" in first
    assert "days, note?" in first
    assert second.split()[1] == "b"
    assert "approve RUN STEP" in hint
    assert tooloo("approvals", "--json").document == {"items": [question(), question(step_id="b")]}


def test_yes_needs_no_definition_and_reads_data_as_the_schema_says(seen: RecordedPlatform) -> None:
    seen.answers("POST", APPROVE, Reply(200, question(status="approved")))
    ended = tooloo("approve", RUN_ID, "ask", "--comment", "fine", "--data", "days=3", "--data", "note=4")
    assert ended.code == 0
    assert f"step ask of run {RUN_ID} approved" in ended.out
    assert seen.received[-1].path == f"/api/v1{APPROVE}"
    assert seen.received[-1].content == {"comment": "fine", "data": {"days": 3, "note": "4"}}


def test_yes_alone_says_nothing_more(seen: RecordedPlatform) -> None:
    seen.answers("POST", APPROVE, Reply(200, question(status="approved")))
    ended = tooloo("approve", RUN_ID, "ask", "--json")
    assert (ended.code, ended.document) == (0, question(status="approved"))
    assert [request.content for request in seen.received] == [None, {}]


def test_no_takes_a_comment(seen: RecordedPlatform) -> None:
    seen.answers("POST", REJECT, Reply(200, question(status="rejected")))
    assert tooloo("reject", RUN_ID, "ask", "--comment", "not yet").code == 0
    assert seen.received[-1].content == {"comment": "not yet"}


def test_who_may_answer_and_not_see_the_run_answers_all_the_same(platform: RecordedPlatform) -> None:
    platform.answers("GET", "/approvals", Reply(200, {"items": [question()], "next_cursor": None}))
    platform.answers("POST", APPROVE, Reply(200, question(status="approved")))
    assert tooloo("approve", RUN_ID, "ask").code == 0
    assert tooloo("approve", "another", "ask").code == 3


@pytest.mark.parametrize(
    ("texts", "payload"),
    [
        ((), None),
        (('{"days": 3}',), {"days": 3}),
        (("7",), 7),
        (('"days=3"',), "days=3"),
        (("null",), None),
        (("days=3",), {"days": 3}),
        (("days=3", "list:=[1]", "note=x=y"), {"days": 3, "list": [1], "note": "x=y"}),
    ],
)
def test_payload_is_json_or_fields(seen: RecordedPlatform, texts: tuple[str, ...], payload: Any) -> None:
    seen.answers("GET", "/workflow/code-review", Reply(200, {"definition": DEFINITION}))
    seen.answers("POST", SIGNAL, Reply(202, {"run_id": RUN_ID, "name": "go", "id": "s1"}))
    ended = tooloo("signal", RUN_ID, "go", *(part for text in texts for part in ("--payload", text)))
    assert ended.code == 0
    assert f"signal go sent to run {RUN_ID} of code-review" in ended.out
    assert seen.received[-1].content == {"payload": payload}
    assert len([request for request in seen.received if request.path.endswith(f"/runs/{RUN_ID}")]) == 1


@pytest.mark.parametrize("answer", [refused(403, "forbidden", "Not for learners."), refused(404, "not-found", "Gone.")])
def test_signal_of_a_definition_that_cannot_be_read_sends_text(seen: RecordedPlatform, answer: Reply) -> None:
    seen.answers("GET", "/workflow/code-review", answer)
    seen.answers("POST", SIGNAL, Reply(202, {"run_id": RUN_ID, "name": "go", "id": "s1"}))
    assert tooloo("signal", RUN_ID, "go", "--payload", "days=3", "--id", "s1").code == 0
    assert seen.received[-1].content == {"payload": {"days": "3"}, "id": "s1"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve", RUN_ID),
        ("approve", RUN_ID, "ask", "--data", "days"),
        ("approve", RUN_ID, "ask", "--data", '{"days": '),
        ("approve", RUN_ID, "ask", "--data", "a=1", "--data", "a=2"),
        ("reject", RUN_ID, "ask", "--data", "a=1"),
        ("signal", RUN_ID),
        ("signal", RUN_ID, "go", "--payload", "{}", "--payload", "a=1"),
        ("signal", RUN_ID, "go", "--payload", "a:={"),
    ],
)
def test_command_line_that_makes_no_sense_ends_2_and_asks_nothing(
    seen: RecordedPlatform, arguments: tuple[str, ...]
) -> None:
    assert tooloo(*arguments).code == 2
    assert seen.received == []


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(403, "forbidden", 4), (404, "not-found", 3), (409, "already-answered", 1), (503, "unavailable", 5)],
)
def test_refusals_have_their_exit_codes(seen: RecordedPlatform, status: int, code: str, exit_code: int) -> None:
    seen.answers("POST", APPROVE, refused(status, code, "This is why."))
    seen.answers("POST", SIGNAL, refused(status, code, "This is why."))
    for command in (("approve", RUN_ID, "ask"), ("signal", RUN_ID, "go")):
        ended = tooloo(*command)
        assert (ended.code, ended.err.splitlines()[0]) == (exit_code, "tooloo: This is why.")


def test_data_that_does_not_fit_is_told_with_its_place(seen: RecordedPlatform) -> None:
    errors = [{"pointer": "/data/days", "code": "type-mismatch", "message": "'many' is no integer"}]
    seen.answers("POST", APPROVE, refused(422, "invalid-input", "The data does not fit.", errors))
    ended = tooloo("approve", RUN_ID, "ask", "--data", "days=many")
    assert ended.code == 6
    assert "/data/days  type-mismatch  'many' is no integer" in ended.err
