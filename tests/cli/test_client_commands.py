"""What the commands print and how they end, for answers of a platform."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.client.exit_codes import MEANINGS
from models.settings import CHECKOUT
from tests.cli.recorded_platform import (
    RUN_ID,
    STARTED_AT,
    RecordedPlatform,
    Reply,
    refused,
    tooloo,
)

ENDED_AT = "2026-11-20T10:00:12.5Z"
DEFINITION = "id: greet\nsteps:\n  - id: a\n    service: flow\n    action: ecko\n"
PROBLEM = {
    "pointer": "/steps/0/action",
    "code": "unknown-action",
    "message": "flow has no action ecko",
    "suggestion": "did you mean echo?",
}
SAVED = {"id": "greet", "version": 1, "hash": "h", "warnings": [], "links": {}}
SLEEP = {
    "type": "flow.sleep",
    "summary": "Sleep",
    "input_schema": {
        "required": ["seconds"],
        "properties": {"seconds": {"type": "number"}, "note": {"type": "string"}},
    },
}


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    file = tmp_path / "greet.yaml"
    file.write_text(DEFINITION)
    return file


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(400, 1), (401, 4), (403, 4), (404, 3), (409, 1), (413, 1), (422, 6), (429, 1), (500, 1), (502, 5), (503, 5)],
)
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_every_refusal_has_its_exit_code_and_is_told(
    platform: RecordedPlatform, status: int, exit_code: int, options: tuple[str, ...]
) -> None:
    answer = refused(status, "some-code", "This is why.")
    platform.answers("GET", f"/runs/{RUN_ID}", answer)
    ended = tooloo("show", RUN_ID, *options)
    assert ended.code == exit_code
    if options:
        assert ended.document == answer.content
        assert not ended.err
    else:
        assert "tooloo: This is why." in ended.err
        assert not ended.out


def test_nobody_at_the_address_ends_5_and_names_the_remedy(platform: RecordedPlatform) -> None:
    with socket.socket() as taken:  # bound and not listening: connections to it are refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = tooloo("runs", "--url", address)
        assert ended.code == 5
        assert address in ended.err
        assert "./tooloo up" in ended.err
        assert tooloo("runs", "--url", address, "--json").document["code"] == "unreachable"


@pytest.mark.parametrize("reply", [Reply(502, "<h1>Bad gateway</h1>", "text/html"), Reply(200, "hello", "text/plain")])
def test_another_program_at_the_address_ends_5(platform: RecordedPlatform, reply: Reply) -> None:
    platform.answers("GET", f"/runs/{RUN_ID}", reply)
    ended = tooloo("show", RUN_ID)
    assert ended.code == 5
    assert "Is this its address?" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "code-review", "--input", "path"),
        ("run", "code-review", "--input", "a:={"),
        ("run", "code-review", "--label", "team"),
        ("run", "code-review", "--input-file", "missing.yaml"),
        ("apply", "missing.yaml"),
        ("runs", "--status", "unheard-of"),
        ("runs", "--limit", "0"),
        ("runs", "--url", "example.org"),
        ("runs", "--key", "line\nbreak"),
        ("graph", "code-review", "--format", "svg", "--json"),
        ("keys", "create", "ada"),
    ],
)
def test_command_line_that_makes_no_sense_ends_2_and_asks_nothing(
    platform: RecordedPlatform, arguments: tuple[str, ...]
) -> None:
    assert tooloo(*arguments).code == 2
    assert platform.received == []


def test_apply_places_problems_in_the_file_and_goes_on(
    platform: RecordedPlatform, definition: Path, tmp_path: Path
) -> None:
    good = tmp_path / "good.json"
    good.write_text('{"id": "greet"}')
    bad = refused(422, "invalid-definition", "The definition has one problem.", [PROBLEM])
    platform.answers("POST", "/workflow", bad, Reply(201, SAVED))
    ended = tooloo("apply", str(definition), str(good))
    assert ended.code == 6
    assert ended.err.splitlines() == [
        "tooloo: The definition has one problem.",
        f"{definition}:5:13  unknown-action  flow has no action ecko  did you mean echo?",
    ]
    assert ended.out == "greet version 1 applied\n"
    assert [request.content["id"] for request in platform.received] == ["greet", "greet"]


def test_apply_as_json_is_one_document_with_places(platform: RecordedPlatform, definition: Path) -> None:
    bad = refused(422, "invalid-definition", "The definition has one problem.", [PROBLEM])
    platform.answers("POST", "/workflow", bad, Reply(200, SAVED))
    ended = tooloo("apply", str(definition), str(definition), "--json")
    assert ended.code == 6
    first, second = ended.document["items"]
    assert first["problem"]["errors"] == [{**PROBLEM, "file": str(definition), "line": 5, "column": 13}]
    assert second == {"file": str(definition), "applied": SAVED}
    assert not ended.err


def test_definition_that_cannot_be_read_is_never_sent(platform: RecordedPlatform, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("id: greet\nsteps: [\n")
    ended = tooloo("validate", str(file))
    assert ended.code == 6
    assert f"{file}:3:1  unreadable" in ended.err
    assert platform.received == []


def test_unchanged_definition_and_its_warnings_are_told(platform: RecordedPlatform, definition: Path) -> None:
    platform.answers("POST", "/workflow", Reply(200, {**SAVED, "warnings": [PROBLEM]}))
    ended = tooloo("apply", str(definition))
    assert ended.code == 0
    assert ended.out.startswith("greet version 1 unchanged\nwarning: ")
    assert "greet.yaml:5:13  unknown-action" in ended.out


@pytest.mark.parametrize(
    ("options", "form"), [((), "mermaid"), (("--json",), "json"), (("--format", "svg", "--run", RUN_ID), "svg")]
)
def test_graph_is_printed_as_it_is(platform: RecordedPlatform, options: tuple[str, ...], form: str) -> None:
    platform.answers("GET", "/workflow/code-review/graph", Reply(200, '{"nodes": ["é"]}', "text/plain"))
    ended = tooloo("graph", "code-review", *options)
    assert (ended.code, ended.out) == (0, '{"nodes": ["é"]}\n')
    expected = {"format": [form]} | ({"run": [RUN_ID]} if "--run" in options else {})
    assert platform.received[0].query == expected


def test_graph_goes_into_a_file(platform: RecordedPlatform, tmp_path: Path) -> None:
    platform.answers("GET", "/workflow/code-review/graph", Reply(200, "<svg/>", "image/svg+xml"))
    file = tmp_path / "dag.svg"
    assert tooloo("graph", "code-review", "--format", "svg", "--output", str(file)).code == 0
    assert file.read_text() == "<svg/>"
    assert tooloo("graph", "code-review", "--output", str(tmp_path / "no" / "dag.svg")).code == 2


KEY = {
    "id": "k1",
    "prefix": "tl_abc",
    "user_id": "ada",
    "role": "learner",
    "name": "laptop",
    "created_at": ENDED_AT,
    "expires_at": None,
}


def test_new_key_is_shown_once_and_alone_on_its_line(platform: RecordedPlatform) -> None:
    platform.answers("POST", "/keys", Reply(201, {**KEY, "key": "tl_abcdef"}))
    options = ("--role", "learner", "--name", "laptop", "--expires-at", "2027-01-02T03:04:05+0000")
    ended = tooloo("keys", "create", "ada", *options)
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "tl_abcdef"
    sent = platform.received[0].content
    assert datetime.fromisoformat(sent.pop("expires_at")) == datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert sent == {"user_id": "ada", "role": "learner", "name": "laptop"}


def test_all_keys_are_listed_page_by_page(platform: RecordedPlatform) -> None:
    platform.answers(
        "GET",
        "/keys",
        Reply(200, {"items": [KEY], "next_cursor": "c1"}),
        Reply(200, {"items": [{**KEY, "id": "k2"}], "next_cursor": None}),
    )
    ended = tooloo("keys", "list", "--json")
    assert [item["id"] for item in ended.document["items"]] == ["k1", "k2"]
    assert platform.received[1].query["cursor"] == ["c1"]


def test_key_is_revoked(platform: RecordedPlatform) -> None:
    platform.answers("DELETE", "/keys/k1", Reply(204))
    assert tooloo("keys", "revoke", "k1").code == 0
    assert tooloo("keys", "revoke", "k2").code == 3


@pytest.mark.parametrize("piped", ["ghp_token", "ghp_token\n", "ghp_token\r\n"])
def test_secret_is_put_from_a_pipe_and_never_shown(platform: RecordedPlatform, piped: str) -> None:
    platform.answers("PUT", "/secrets/github", Reply(204))
    for options in ((), ("--json",)):
        ended = tooloo("secrets", "put", "github", *options, stdin=piped)
        assert ended.code == 0
        assert "ghp_token" not in ended.out + ended.err
    assert [request.content for request in platform.received] == [{"value": "ghp_token"}] * 2


def test_secret_is_asked_for_without_being_shown(platform: RecordedPlatform) -> None:
    platform.answers("PUT", "/secrets/github", Reply(204))
    ours, theirs = os.openpty()
    environment = {**os.environ, "TOOLOO_URL": platform.address}
    command = [sys.executable, "-m", "cli", "secrets", "put", "github"]
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as asks:
        os.close(theirs)
        said = b""
        while b"Value: " not in said:
            said += os.read(ours, 1_000)
        os.write(ours, b"ghp_token\n")
        while b"is kept" not in said:
            said += os.read(ours, 1_000)
    os.close(ours)
    assert asks.returncode == 0
    assert b"ghp_token" not in said
    assert platform.received[0].content == {"value": "ghp_token"}


def test_secret_is_no_argument(platform: RecordedPlatform) -> None:
    assert tooloo("secrets", "put", "github", "ghp_token").code == 2
    assert platform.received == []


def test_secrets_are_listed_and_deleted(platform: RecordedPlatform) -> None:
    shown = {"name": "github", "host": None, "created_at": STARTED_AT, "updated_at": ENDED_AT}
    listed = {"items": [shown], "next_cursor": None}
    platform.answers("GET", "/secrets", Reply(200, listed))
    platform.answers("DELETE", "/secrets/github", Reply(204))
    assert "github" in tooloo("secrets", "list").out
    assert tooloo("secrets", "list", "--json").document == {"items": listed["items"]}
    assert tooloo("secrets", "delete", "github").code == 0
    assert tooloo("secrets", "delete", "gitlab").code == 3


WHEN = {"schedule": {"type": "daily", "at": "02:30"}, "timezone": "UTC", "policy": {"dst": "as-is"}}
TASK = {"name": "nightly", "target": {"workflow": "hello"}, "input": {}, **WHEN}
FIRES = {"next": ["2027-03-13T02:30:00-05:00"], "text": "every day at 02:30, UTC"}


def test_tasks_are_made_shown_and_deleted(platform: RecordedPlatform, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(json.dumps(TASK))
    one = {"id": "t1", "owner_id": "ada", "paused": False, "skipped": 0, "missed": 0}
    shown = TASK | FIRES | one | {"created_at": STARTED_AT, "updated_at": ENDED_AT, "links": {}}
    ran = {"planned_at": STARTED_AT, "started_at": STARTED_AT, "outcome": "completed", "run_id": "r1"}
    platform.answers("POST", "/task/preview", Reply(200, FIRES))
    platform.answers("POST", "/task/schedule", Reply(201, FIRES | {"id": "t1"}))
    platform.answers("GET", "/task/scheduled", Reply(200, {"items": [shown], "next_cursor": None}))
    platform.answers("GET", "/task/t1/history", Reply(200, {"items": [ran], "next_cursor": None}))
    platform.answers("GET", "/task/t1", Reply(200, shown))
    platform.answers("POST", "/task/t1/backfill", Reply(202, FIRES | {"text": "2 runs"}))
    platform.answers("POST", "/task/execute-pending", Reply(200, {"started": 3, "tasks": ["t1"]}))
    platform.answers("PUT", "/task/t1", Reply(200, FIRES | {"id": "t1"}))
    platform.answers("DELETE", "/task/t1", Reply(204))
    assert "2027-03-13T02:30:00-05:00" in tooloo("schedule", "preview", str(file)).out
    assert tooloo("schedule", "add", str(file)).out.startswith("t1\nevery day")
    assert "nightly" in tooloo("schedule", "list").out
    assert "completed" in tooloo("schedule", "history", "t1").out
    assert "every day at 02:30" in tooloo("schedule", "change", "t1", str(file)).out
    assert tooloo("schedule", "list", "--name", "night", "--active").code == 0
    assert platform.received[-1].query == {"name": ["night"], "paused": ["false"], "limit": ["200"]}
    assert "nightly: runs hello, every day at 02:30, UTC\n" in tooloo("schedule", "show", "t1").out
    assert "2 runs" in tooloo("schedule", "backfill", "t1", "--from", "2027-01-01", "--to", "2027-01-02").out
    assert platform.received[-1].content == {"from": "2027-01-01", "to": "2027-01-02"}
    assert "3 runs of 1 tasks" in tooloo("schedule", "execute-pending").out
    for what in ("pause", "resume", "trigger"):
        platform.answers("POST", f"/task/t1/{what}", Reply(202, {"id": "t1"}))
        assert tooloo("schedule", what, "t1", "--json").document == {"id": "t1"}
    assert tooloo("schedule", "delete", "t1").code == 0
    assert tooloo("schedule", "delete", "t2").code == 3
    assert [request.content for request in platform.received[:2]] == [WHEN, TASK]


def test_archived_months_are_listed(platform: RecordedPlatform) -> None:
    month = {"month": "2024-03", "file": "2024-03.ab.parquet", "rows": 12345, "bytes": 9, "sha256": "ab"}
    listed = {"items": [{**month, "created_at": ENDED_AT}], "next_cursor": None}
    platform.answers("GET", "/analytics/archives", Reply(200, listed))
    shown = tooloo("archive", "list")
    assert shown.code == 0
    assert "2024-03" in shown.out
    assert "12,345" in shown.out
    assert tooloo("archive", "list", "--json").document["items"] == listed["items"]


def test_catalogue_marks_what_may_be_left_out(platform: RecordedPlatform) -> None:
    platform.answers("GET", "/actions", Reply(200, {"items": [SLEEP], "next_cursor": None}))
    assert "seconds, note?" in tooloo("actions").out


def test_address_and_key_are_those_of_this_machines_stack(
    platform: RecordedPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TOOLOO_URL")
    monkeypatch.delenv("TOOLOO_KEY")
    home = tmp_path / "home"
    home.mkdir()
    (home / "admin.key").write_text("tl_admin\n")
    parts = [{"name": "postgres", "address": "127.0.0.1:1"}, {"name": "api", "address": platform.address}]
    (home / "stack.json").write_text(json.dumps({"parts": parts}))
    platform.answers("GET", "/runs", Reply(200, {"items": [], "next_cursor": None}))
    assert tooloo("runs").code == 0
    assert platform.received[0].headers["authorization"] == "Bearer tl_admin"


def test_exit_codes_stand_in_the_help_and_in_the_guide() -> None:
    shown = " ".join(tooloo("--help").out.split())
    guide = (CHECKOUT / "docs" / "cli.md").read_text()
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in shown
        assert f"| {code.value} | {meaning} |" in guide


def test_process_ends_with_the_exit_code(platform: RecordedPlatform) -> None:
    command = [sys.executable, "-m", "cli", "show", RUN_ID, "--json"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["code"] == "not-found"
    assert not done.stderr
