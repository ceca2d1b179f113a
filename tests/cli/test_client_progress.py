"""Following a run over connections that break."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from rich.console import Console

from cli.client.api import Platform
from cli.client.progress import RunEvent, follow
from cli.client.refusals import RefusedError, UnreachableError
from cli.client.run_display import RunDisplay
from models.runs import Run
from tests.cli.recorded_platform import (
    RUN_ID,
    RecordedPlatform,
    Reply,
    event,
    recorded_platform,
    refused,
    run_object,
    step_object,
    stream,
)

EVENTS = f"/workflow/code-review/executions/{RUN_ID}/events"
END = event("end", run_object(status="completed", ended_at="2026-11-20T10:00:01Z"), 7)


@pytest.fixture
def recorded() -> Iterator[RecordedPlatform]:
    with recorded_platform() as platform:
        yield platform


def kinds(recorded: RecordedPlatform, *, patience_seconds: float = 60) -> list[str]:
    with Platform(recorded.address, None) as platform:
        return [one.kind for one in follow(platform, "code-review", RUN_ID, patience_seconds=patience_seconds)]


def test_broken_progress_goes_on_behind_what_was_seen(recorded: RecordedPlatform) -> None:
    recorded.answers(
        "GET",
        EVENTS,
        stream(event("run", run_object()), event("step", step_object("a", "succeeded"), 4)),
        Reply(None),
        refused(503, "unavailable", "The database does not answer right now."),
        stream(event("run", run_object()), event("step", step_object("b", "running"))),
        stream(event("run", run_object()), END),
    )
    assert kinds(recorded) == ["run", "step", "run", "step", "run", "end"]
    assert [request.headers.get("last-event-id") for request in recorded.received] == [None, "4", "4", "4", "4"]


def test_progress_of_what_is_not_there_is_refused_at_once(recorded: RecordedPlatform) -> None:
    with pytest.raises(RefusedError) as refusal:
        kinds(recorded)
    assert refusal.value.answered == 404
    assert len(recorded.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(None),
        stream(),
        stream("event: end\ndata: {\n\n"),
        stream("data: 1\n\n"),
        Reply(200, "hello", "text/plain"),
    ],
)
def test_platform_that_stays_away_ends_with_how_to_look_later(recorded: RecordedPlatform, reply: Reply) -> None:
    recorded.answers("GET", EVENTS, reply)
    with pytest.raises(UnreachableError, match=f"./tooloo show {RUN_ID}"):
        kinds(recorded, patience_seconds=0)


def test_live_table_fits_its_terminal_and_counts_what_it_hides() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=12, color_system=None)
    run = Run.model_validate(run_object(status="running"), extra="ignore")
    with RunDisplay(console, run) as display:
        for number in range(30):
            status = "failed" if number == 3 else "running" if number == 20 else "succeeded"
            ended_at = None if status == "running" else datetime.now(UTC).isoformat()
            display.update(RunEvent("step", step_object(f"step-{number}", status, ended_at=ended_at)))
    last_frame = screen.getvalue().rpartition("code-review (version 1)")[2]
    assert "step-3 " in last_frame
    assert "step-20" in last_frame
    assert "30 steps: 1 running, 28 succeeded, 1 failed" in last_frame
    assert last_frame.count("step-") == 6


def test_lines_tell_waits_counts_failure_steps_and_what_was_undone() -> None:
    screen = io.StringIO()
    run = Run.model_validate(run_object(status="running"), extra="ignore")
    counts = {"total": 4, "ended": 0, "failed": 0, "skipped": 0}
    with RunDisplay(Console(file=screen, width=200), run, {"tell"}) as display:
        for ended in (0, 0, 1, 4):
            detail = {"items": {**counts, "ended": ended}}
            display.update(RunEvent("step", step_object("each", "running", detail=detail)))
        display.update(RunEvent("step", step_object("go", "waiting", reason="the signal go")))
        ended_run = run_object(
            status="failed",
            ended_at="2026-11-20T10:00:01Z",
            steps=[step_object("tell", "succeeded", ended_at="2026-11-20T10:00:01Z")],
            compensations=[step_object("load:undo", "succeeded", ended_at="2026-11-20T10:00:01Z")],
        )
        display.update(RunEvent("end", ended_run))
    assert screen.getvalue().splitlines() == [
        "▸  each  running  0 of 4",
        "▸  each  running  1 of 4",
        "▸  each  running  4 of 4",
        "◌  go  waiting  for the signal go",
        "✓  tell  on failure  succeeded  1.0 s",
        "✓  load:undo  succeeded  1.0 s",
        "code-review (version 1) failed after 1.0 s",
    ]


def test_live_table_has_what_was_undone_under_a_heading_and_still_fits() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=12, color_system=None)
    run = Run.model_validate(run_object(status="running"), extra="ignore")
    undone = [step_object(f"step-{number}:undo", "failed") for number in range(2)]
    steps = [step_object(f"step-{number}", "succeeded", ended_at="2026-11-20T10:00:01Z") for number in range(30)]
    with RunDisplay(console, run, {"step-29"}) as display:
        display.update(RunEvent("end", run_object(status="failed", steps=steps, compensations=undone)))
    last_frame = screen.getvalue().rpartition("code-review (version 1)")[2]
    assert "undoing" in last_frame
    assert "step-0:undo" in last_frame
    assert last_frame.count("step-") == 4
