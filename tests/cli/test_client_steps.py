"""What is shown of steps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client.steps import choose_steps, count_steps, step_cells, step_line
from cli.client.text import duration, printable
from models.runs import Failure, StepState, StepStatus

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
