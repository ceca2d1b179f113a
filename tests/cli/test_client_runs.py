"""`run`, `runs`, `show`, `cancel`, `action` on answers of a platform."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from models.settings import CHECKOUT
from tests.cli.recorded_platform import (
    RUN_ID,
    RecordedPlatform,
    Reply,
    event,
    refused,
    run_object,
    step_object,
    stream,
    tooloo,
)

EVENTS = f"/workflow/code-review/executions/{RUN_ID}/events"
EXECUTE = "/workflow/code-review/execute"
ENDED_AT = "2026-11-20T10:00:12.5Z"
REPORT = {"id": "r1", "headline": "42 files in Python", "url": "/api/v1/reports/r1"}
STARTED = Reply(202, run_object())
COMPLETED = run_object(
    status="completed",
    ended_at=ENDED_AT,
    output={"report": REPORT},
    steps=[step_object("load", "succeeded", ended_at=ENDED_AT)],
)
FAILED = run_object(
    status="failed",
    ended_at=ENDED_AT,
    error={"step": "load", "code": "not-found", "message": "no such \x1b[31mrepository", "attempt": 3},
    steps=[step_object("load", "failed", ended_at=ENDED_AT)],
)
SLEEP = {
    "type": "flow.sleep",
    "summary": "Sleep",
    "input_schema": {
        "required": ["seconds"],
        "properties": {"seconds": {"type": "number"}, "note": {"type": "string"}},
    },
}


def test_run_reads_text_as_the_input_schema_says(platform: RecordedPlatform, tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"depth": {"type": "integer"}, "path": {"type": "string"}}}
    platform.answers("GET", "/workflow/code-review", Reply(200, {"definition": {"input": schema}}))
    platform.answers("POST", EXECUTE, STARTED)
    file = tmp_path / "input.yaml"
    file.write_text("path: there\nref: main\n")
    arguments = ("--input", "depth=3", "-i", "path=7", "-i", "all:=[1]", "--label", "team=a")
    ended = tooloo("run", "code-review", "--input-file", str(file), *arguments)
    assert ended.code == 0
    assert RUN_ID in ended.out
    sent = platform.received[-1]
    assert sent.content == {"input": {"path": "7", "ref": "main", "depth": 3, "all": [1]}, "labels": {"team": "a"}}
    assert sent.headers["authorization"] == "Bearer tl_secret"
    assert sent.headers["idempotency-key"]


def test_run_by_a_key_that_may_not_read_the_definition_sends_text(platform: RecordedPlatform) -> None:
    platform.answers("GET", "/workflow/code-review", refused(403, "forbidden", "Not for learners."))
    platform.answers("POST", EXECUTE, STARTED)
    assert tooloo("run", "code-review", "--input", "depth=3").code == 0
    assert platform.received[-1].content["input"] == {"depth": "3"}


def test_problem_of_an_input_is_placed_in_its_file(platform: RecordedPlatform, tmp_path: Path) -> None:
    file = tmp_path / "input.yaml"
    file.write_text("ref: main\npath: 7\n")
    errors = [
        {"pointer": "/input/path", "code": "type-mismatch", "message": "7 is no string"},
        {"pointer": "/input/owner", "code": "type-mismatch", "message": "8 is no string"},
    ]
    platform.answers("POST", EXECUTE, refused(422, "invalid-input", "It does not fit.", errors))
    ended = tooloo("run", "code-review", "--input-file", str(file), "--input", "owner:=8")
    assert ended.code == 6
    assert f"{file}:2:7  type-mismatch  7 is no string" in ended.err
    assert "/input/owner  type-mismatch  8 is no string" in ended.err


def test_request_whose_connection_breaks_is_sent_again_with_its_key(platform: RecordedPlatform) -> None:
    platform.answers("POST", EXECUTE, Reply(None), STARTED)
    assert tooloo("run", "code-review").code == 0
    first, second = platform.received
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_waiting_shows_each_change_then_headline_and_address(platform: RecordedPlatform) -> None:
    retrying = step_object(
        "load", "retrying", attempts=2, error={"step": "load", "code": "unavailable", "message": "away", "attempt": 1}
    )
    platform.answers("POST", EXECUTE, STARTED)
    platform.answers(
        "GET",
        EVENTS,
        stream(
            event("run", run_object(status="running")),
            event("step", step_object("load", "pending", attempts=0)),
            event("heard-of-later", {}),
            event("step", step_object("load", "running")),
            event("step", retrying),
            event("step", step_object("load", "succeeded", attempts=2, ended_at=ENDED_AT), 2),
            event("end", COMPLETED, 3),
        ),
    )
    ended = tooloo("run", "code-review", "--wait")
    assert ended.code == 0
    assert ended.out.splitlines() == [
        f"run {RUN_ID}",
        "▸  load  running",
        "↻  load  retrying  attempt 2  unavailable: away",
        "✓  load  succeeded  attempt 2  12 s",
        "✓  load  succeeded  12 s",
        "code-review (version 1) completed after 12 s",
        "42 files in Python",
        f"  {platform.address}/api/v1/reports/r1",
    ]


def test_failed_run_ends_1_and_says_why_without_driving_the_terminal(platform: RecordedPlatform) -> None:
    platform.answers("POST", EXECUTE, STARTED)
    platform.answers("GET", EVENTS, stream(event("end", FAILED)))
    ended = tooloo("run", "code-review", "--wait")
    assert ended.code == 1
    assert "step load: not-found: no such �[31mrepository (attempt 3)" in ended.out


@pytest.mark.parametrize(("final", "exit_code"), [(COMPLETED, 0), (FAILED, 1)])
def test_waiting_as_json_prints_the_run_that_ended_and_nothing_else(
    platform: RecordedPlatform, final: dict[str, Any], exit_code: int
) -> None:
    platform.answers("POST", EXECUTE, STARTED)
    platform.answers("GET", EVENTS, stream(event("run", run_object()), event("end", final)))
    ended = tooloo("run", "code-review", "--wait", "--json")
    assert (ended.code, ended.document, ended.err) == (exit_code, final, "")


def test_list_of_runs_asks_for_what_was_asked(platform: RecordedPlatform) -> None:
    page = {"items": [COMPLETED, run_object(status="running", labels={"team": "a"})], "next_cursor": "more"}
    platform.answers("GET", "/runs", Reply(200, page))
    ended = tooloo("runs", "--status", "completed", "--status", "running", "--limit", "2")
    assert ended.code == 0
    assert platform.received[0].query == {"limit": ["2"], "status": ["completed", "running"]}
    heading, first, second, more = ended.out.splitlines()
    assert heading.split() == ["run", "workflow", "version", "status", "started", "time", "labels"]
    assert first.split()[:4] == [RUN_ID, "code-review", "1", "completed"]
    assert second.split()[-1] == "team=a"
    assert "more" in more
    assert tooloo("runs", "--json").document == page


def test_runs_of_one_definition_are_asked_of_it(platform: RecordedPlatform) -> None:
    platform.answers("GET", "/workflow/a b/executions", Reply(200, {"items": [], "next_cursor": None}))
    assert tooloo("runs", "a b").code == 0
    assert tooloo("runs", "gone").code == 3


def test_show_prints_steps_output_and_links(platform: RecordedPlatform) -> None:
    platform.answers("GET", f"/runs/{RUN_ID}", Reply(200, COMPLETED))
    ended = tooloo("show", RUN_ID)
    assert ended.code == 0
    assert "42 files in Python" in ended.out
    assert f"{platform.address}/api/v1/workflow/code-review/executions/{RUN_ID}" in ended.out
    assert "http://127.0.0.1:8233/" in ended.out
    assert tooloo("show", RUN_ID, "--json").document == COMPLETED


def test_cancel_needs_no_definition(platform: RecordedPlatform) -> None:
    platform.answers("GET", f"/runs/{RUN_ID}", Reply(200, run_object(status="running")))
    platform.answers("POST", f"/workflow/code-review/executions/{RUN_ID}/cancel", Reply(202, run_object()))
    assert tooloo("cancel", RUN_ID).code == 0
    assert [request.method for request in platform.received] == ["GET", "POST"]


def test_action_that_takes_long_is_followed_to_its_end(platform: RecordedPlatform) -> None:
    platform.answers("GET", "/actions", Reply(200, {"items": [SLEEP], "next_cursor": None}))
    platform.answers("POST", "/actions/flow.sleep/execute", Reply(202, run_object(status="running")))
    ended_run = run_object(status="completed", ended_at=ENDED_AT, output={"seconds": 3})
    platform.answers("GET", EVENTS, stream(event("end", ended_run)))
    ended = tooloo("action", "flow.sleep", "--input", "seconds=3", "--json")
    assert (ended.code, ended.document) == (0, ended_run)
    start = platform.received[1]
    assert start.content == {"input": {"seconds": 3}}
    assert start.query["wait"]


def test_archived_month_is_put_back_with_one_command(platform: RecordedPlatform) -> None:
    back = {"month": "2024-03", "rows": 12345, "until": ENDED_AT}
    done = run_object(status="completed", ended_at=ENDED_AT, output=back)
    platform.answers("POST", "/actions/analytics.restore-archive/execute", Reply(200, done))
    ended = tooloo("archive", "restore", "2024-03")
    assert ended.code == 0
    assert "2024-03 is back with 12,345 events" in ended.out
    assert platform.received[0].content == {"input": {"month": "2024-03"}}
    assert tooloo("archive", "restore", "2024-03", "--json").document == done


def test_archive_command_that_fails_ends_1(platform: RecordedPlatform) -> None:
    platform.answers("POST", "/actions/analytics.archive/execute", Reply(200, FAILED))
    assert tooloo("archive", "run").code == 1


@pytest.mark.parametrize(("months", "told"), [({"2024-03": 7}, "2024-03 is a file of 7 events"), ({}, "no month")])
def test_archiving_now_names_what_became_a_file(platform: RecordedPlatform, months: dict[str, int], told: str) -> None:
    done = run_object(status="completed", ended_at=ENDED_AT, output={"months": months})
    platform.answers("POST", "/actions/analytics.archive/execute", Reply(200, done))
    ended = tooloo("archive", "run")
    assert ended.code == 0
    assert told in ended.out


def test_action_that_fails_ends_1(platform: RecordedPlatform) -> None:
    platform.answers("POST", "/actions/flow.fail/execute", Reply(200, FAILED))
    assert tooloo("action", "flow.fail", "--input", "message:=1").code == 1


@pytest.fixture
def listening_to_sigint() -> Generator[None]:
    """A shell that starts the tests in the background lets them, and all that they start, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening_to_sigint")
def test_interrupt_leaves_the_run_and_says_how_to_find_it(platform: RecordedPlatform) -> None:
    over = Event()
    platform.answers("POST", EXECUTE, STARTED)
    running = event("step", step_object("load", "running"))
    platform.answers("GET", EVENTS, Reply(200, running, "text/event-stream", open_until=over))
    command = [sys.executable, "-m", "cli", "run", "code-review", "--wait"]
    waiting = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert waiting.stdout is not None
    while "load  running" not in waiting.stdout.readline():
        assert waiting.poll() is None
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate()
    over.set()
    assert waiting.returncode == 130
    assert f"./tooloo cancel {RUN_ID}" in err
    assert "Traceback" not in err


def test_dry_run_is_asked_for_and_told(platform: RecordedPlatform) -> None:
    platform.answers("POST", EXECUTE, Reply(202, run_object(dry_run=True)))
    ended = tooloo("run", "code-review", "--dry-run")
    assert ended.code == 0
    assert platform.received[-1].content == {"input": {}, "labels": {}, "dry_run": True}
    assert f"dry run {RUN_ID} queued" in ended.out
    platform.answers("GET", "/runs", Reply(200, {"items": [run_object(dry_run=True)], "next_cursor": None}))
    assert "queued, dry run" in tooloo("runs").out


def test_dry_run_that_lacks_mocks_names_each_step(platform: RecordedPlatform) -> None:
    errors = [
        {"pointer": "/dry_run", "code": "missing-mock", "message": f"{step} has no mock", "suggestion": "give it one"}
        for step in ("load", "send")
    ]
    platform.answers("POST", EXECUTE, refused(422, "missing-mock", "code-review cannot run dry.", errors))
    ended = tooloo("run", "code-review", "--dry-run")
    assert ended.code == 6
    assert ended.err.splitlines() == [
        "tooloo: code-review cannot run dry.",
        "/dry_run  missing-mock  load has no mock  give it one",
        "/dry_run  missing-mock  send has no mock  give it one",
    ]


def test_show_tells_waits_children_failure_steps_and_what_was_undone(platform: RecordedPlatform) -> None:
    run = run_object(
        status="running",
        parent="p-1",
        dry_run=True,
        steps=[
            step_object("child", "running", detail={"run_id": "c-1"}),
            step_object("ask", "waiting", reason="an answer by admin"),
            step_object("tell", "pending", attempts=0),
        ],
        compensations=[step_object("child:undo", "succeeded", ended_at=ENDED_AT)],
    )
    platform.answers("GET", f"/runs/{RUN_ID}", Reply(200, run))
    nodes = [{"id": "child"}, {"id": "ask", "on_failure": False}, {"id": "tell", "on_failure": True}]
    platform.answers("GET", "/workflow/code-review/graph", Reply(200, {"nodes": nodes}))
    ended = tooloo("show", RUN_ID)
    assert ended.code == 0
    assert platform.received[1].query == {"format": ["json"], "run": [RUN_ID]}
    lines = [" ".join(line.split()) for line in ended.out.splitlines()]
    assert lines[0].startswith("code-review (version 1, dry run) running")
    assert "a step of the run p-1" in lines
    child = next(at for at, line in enumerate(lines) if "run c-1" in line)
    assert lines[child + 1].startswith("◌ ask waiting 1")
    assert lines[child + 1].endswith("for an answer by admin")
    assert lines[child + 2] == "on failure"
    assert lines[child + 3].startswith("· tell pending")
    assert lines[child + 4] == "undoing"
    assert lines[child + 5].startswith("✓ child:undo succeeded")
    assert f"./tooloo approve {RUN_ID} ask" in lines
    assert tooloo("show", RUN_ID, "--json").document == run
