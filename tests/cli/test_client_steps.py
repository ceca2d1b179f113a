"""What is shown of steps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client.run_display import step_table
from cli.client.steps import choose_steps, count_steps, milestone, remark, run_line, step_cells, step_line, ways_on
from cli.client.text import duration, local_time, printable
from models.runs import Failure, ItemCounts, Run, StepDetail, StepState, StepStatus
from tests.cli.recorded_platform import RUN_ID, run_object, step_object

NOW = datetime(2026, 11, 20, 10, 1, tzinfo=UTC)


def step(name: str, status: StepStatus, *, seconds_ago: float | None = None, **fields: object) -> StepState:
    ended_at = None if seconds_ago is None else NOW - timedelta(seconds=seconds_ago)
    return StepState.model_validate({"id": name, "status": status, "ended_at": ended_at, **fields})


_STEPS = st.lists(st.sampled_from(StepStatus), max_size=30).map(
    lambda statuses: [
        step(str(place), status, seconds_ago=place if status.ended else None) for place, status in enumerate(statuses)
    ]
)


@settings(deadline=None)  # other people's work on the machine is no fault of this code
@given(_STEPS, st.integers(1, 10))
def test_failures_are_shown_before_anything_else_and_order_is_kept(steps: list[StepState], rows: int) -> None:
    shown = choose_steps(steps, rows)
    assert len(shown) == min(rows, len(steps))
    assert [int(one.id) for one in shown] == sorted(int(one.id) for one in shown)
    failed = [one for one in steps if one.status is StepStatus.FAILED]
    assert sum(one.status is StepStatus.FAILED for one in shown) == min(rows, len(failed))


def test_work_under_way_is_shown_before_what_ended_and_that_before_what_waits() -> None:
    steps = [
        step("waits", StepStatus.PENDING),
        step("old", StepStatus.SUCCEEDED, seconds_ago=50),
        step("new", StepStatus.SUCCEEDED, seconds_ago=5),
        step("runs", StepStatus.RUNNING),
        step("again", StepStatus.RETRYING),
    ]
    assert [one.id for one in choose_steps(steps, 3)] == ["new", "runs", "again"]
    assert [one.id for one in choose_steps(steps, 4)] == ["old", "new", "runs", "again"]
    assert count_steps(steps) == "1 pending, 1 running, 1 retrying, 2 succeeded"


def test_row_of_a_retried_step_has_its_last_error_and_the_time_so_far() -> None:
    failure = Failure(step="load", code="unavailable", message="line one\nline two", attempt=2)
    one = step("load", StepStatus.RETRYING, attempts=2, started_at=NOW - timedelta(seconds=75), error=failure)
    assert step_cells(one, NOW) == ("↻", "load", "retrying", "2", "1 min 15 s", "unavailable: line one line two")
    assert step_line(one, NOW) == "↻  load  retrying  attempt 2  unavailable: line one line two"


def test_step_that_did_not_begin_has_no_time() -> None:
    assert step_cells(step("a", StepStatus.SKIPPED, seconds_ago=1, reason="upstream"), NOW) == (
        "↷",
        "a",
        "skipped",
        "",
        "",
        "upstream",
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0.0 s"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (7384, "2 h 03 min"),
    ],
)
def test_durations_have_as_many_digits_as_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_text_of_strangers_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b[2Jb\x9bc\r\u202ed\ttab\nline") == "a�[2Jb�c��d\ttab\nline"


@settings(deadline=None)  # other people's work on the machine is no fault of this code
@given(st.text())
def test_printable_text_keeps_its_length(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert "\x1b" not in shown


LATER = NOW + timedelta(seconds=75)
AT = local_time(LATER).partition(" ")[2]
AWAY = Failure(step="a", code="unavailable", message="away", attempt=2)


def items(total: int, ended: int, failed: int = 0) -> StepDetail:
    return StepDetail(items=ItemCounts(total=total, ended=ended, failed=failed, skipped=0))


@pytest.mark.parametrize(
    ("status", "fields", "words"),
    [
        (StepStatus.WAITING, {"reason": "a worker"}, "for a worker"),
        (
            StepStatus.WAITING,
            {"reason": "an answer by admin or author", "detail": StepDetail(until=LATER)},
            f"for an answer by admin or author, until {AT} (in 1 min 15 s)",
        ),
        (StepStatus.WAITING, {"reason": "the signal go"}, "for the signal go"),
        (StepStatus.WAITING, {"reason": "time", "detail": StepDetail(until=LATER)}, f"until {AT} (in 1 min 15 s)"),
        (StepStatus.SUCCEEDED, {"detail": StepDetail(until=LATER)}, ""),
        (
            StepStatus.RETRYING,
            {"reason": "next attempt", "error": AWAY, "next_attempt_at": LATER},
            f"unavailable: away, next attempt at {AT} (in 1 min 15 s)",
        ),
        (
            StepStatus.RETRYING,
            {"reason": "next attempt", "next_attempt_at": LATER},
            f"next attempt at {AT} (in 1 min 15 s)",
        ),
        (StepStatus.RETRYING, {"reason": "next attempt", "error": AWAY}, "unavailable: away"),
        (StepStatus.RUNNING, {"detail": items(2_000, 7, 1)}, "7 of 2,000, 1 failed"),
        (StepStatus.SUCCEEDED, {"detail": items(20, 20)}, "20 items"),
        (StepStatus.FAILED, {"detail": items(20, 7, 1), "error": AWAY}, "unavailable: away, 7 of 20, 1 failed"),
        (StepStatus.RUNNING, {"detail": StepDetail(turn=2)}, "turn 3"),
        (StepStatus.SUCCEEDED, {"detail": StepDetail(turn=3)}, "3 turns"),
        (StepStatus.RUNNING, {"detail": StepDetail(run_id="r-2")}, "run r-2"),
        (StepStatus.SKIPPED, {"reason": "condition"}, "condition"),
    ],
)
def test_remark_says_for_what_until_when_and_how_far(status: StepStatus, fields: dict[str, object], words: str) -> None:
    assert remark(StepState.model_validate({"id": "a", "status": status, **fields}), NOW) == words


def test_instant_of_another_day_has_its_date_and_one_that_has_passed_no_time_left() -> None:
    tomorrow, before = NOW + timedelta(days=2), NOW - timedelta(days=2)
    coming = step("a", StepStatus.WAITING, detail=StepDetail(until=tomorrow))
    passed = step("a", StepStatus.WAITING, detail=StepDetail(until=before))
    assert remark(coming, NOW) == f"until {local_time(tomorrow)} (in 48 h 00 min)"
    assert remark(passed, NOW) == f"until {local_time(before)}"


def test_long_maps_and_loops_are_worth_few_lines() -> None:
    tenths = {milestone(step("a", StepStatus.RUNNING, detail=items(10_000, ended))) for ended in range(10_001)}
    turns = {milestone(step("a", StepStatus.RUNNING, detail=StepDetail(turn=turn))) for turn in range(10_000)}
    assert (len(tenths), len(turns)) == (11, 37)
    failing = milestone(step("a", StepStatus.RUNNING, detail=items(10_000, 3, 1)))
    assert failing not in tenths


def test_steps_of_on_failure_and_what_undoes_steps_stand_under_headings() -> None:
    steps = [step(name, StepStatus.SUCCEEDED) for name in ("load", "tell", "load:undo")]
    column = list(step_table(steps, NOW, {"tell"}, {"load:undo"}).columns[1].cells)
    assert [str(cell) for cell in column] == ["load", "on failure", "tell", "undoing", "load:undo"]
    assert step_line(steps[1], NOW, on_failure=True) == "✓  tell  on failure  succeeded"


def test_what_a_run_waits_for_is_told_with_the_command_that_gives_it() -> None:
    waiting = [
        step_object("ask", "waiting", reason="an answer by admin"),
        step_object("go", "waiting", reason="the signal ship"),
        step_object("also", "waiting", reason="the signal ship"),
        step_object("queue", "waiting", reason="a worker"),
        step_object("asked", "succeeded", reason="an answer by admin"),
    ]
    run = Run.model_validate(run_object(steps=waiting, dry_run=True), extra="ignore")
    assert ways_on(run) == [f"./tooloo approve {RUN_ID} ask", f"./tooloo signal {RUN_ID} ship"]
    assert run_line(run, NOW).startswith("code-review (version 1, dry run) queued")
