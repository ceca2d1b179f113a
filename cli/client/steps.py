"""What to show of a run's steps. Pure: the time now comes in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.client.text import duration, local_time
from models.runs import Run, RunStatus, StepDetail, StepState, StepStatus
from services.orchestration.graph_wording import ON_FAILURE, progress


@dataclass(frozen=True)
class Look:
    """How a status is shown."""

    symbol: str
    style: str


STEP_LOOKS = {
    StepStatus.PENDING: Look("·", "dim"),
    StepStatus.WAITING: Look("◌", "cyan"),
    StepStatus.RUNNING: Look("▸", "bold cyan"),
    StepStatus.RETRYING: Look("↻", "yellow"),
    StepStatus.SUCCEEDED: Look("✓", "green"),
    StepStatus.FAILED: Look("✗", "bold red"),
    StepStatus.SKIPPED: Look("↷", "dim"),
    StepStatus.CANCELLED: Look("⊘", "yellow"),
}
RUN_STYLES = {
    RunStatus.QUEUED: "dim",
    RunStatus.RUNNING: "cyan",
    RunStatus.PAUSED: "cyan",
    RunStatus.COMPLETED: "green",
    RunStatus.FAILED: "bold red",
    RunStatus.CANCELLED: "yellow",
    RunStatus.TERMINATED: "yellow",
    RunStatus.TIMED_OUT: "bold red",
}
STEP_COLUMNS = ("", "step", "status", "attempts", "time", "")

_UNDER_WAY = {StepStatus.RUNNING, StepStatus.RETRYING, StepStatus.WAITING}
_MESSAGE_CHARACTERS = 300
_NO_DETAIL = StepDetail()
_TIME = "time"
"""What a wait for an instant gives as its reason."""
_TENTHS = 10


def step_cells(step: StepState, now: datetime) -> tuple[str, ...]:
    """A step's row under STEP_COLUMNS; the last cell is all that is to be said of where it stands."""
    return (
        STEP_LOOKS[step.status].symbol,
        step.id,
        step.status.value,
        str(step.attempts or ""),
        elapsed(step.started_at, step.ended_at, now),
        remark(step, now),
    )


def step_line(step: StepState, now: datetime, *, on_failure: bool = False) -> str:
    """A step's change as one line."""
    symbol, name, status, attempts, time, note = step_cells(step, now)
    again = f"attempt {attempts}" if step.attempts > 1 else ""
    where = ON_FAILURE if on_failure else ""
    parts = (symbol, name, where, status, again, time if step.status.ended else "", note)
    return "  ".join(part for part in parts if part)


def elapsed(started_at: datetime | None, ended_at: datetime | None, now: datetime) -> str:
    """How long something took, or has taken so far; empty before it began."""
    return "" if started_at is None else duration(((ended_at or now) - started_at).total_seconds())


def remark(step: StepState, now: datetime) -> str:
    """Its last error, or why it was skipped, or what it waits for; until when; how far it is; the run that it is."""
    detail = step.detail or _NO_DETAIL
    parts = [
        _short(f"{step.error.code}: {step.error.message}") if step.error else _reason(step),
        progress(detail.items, detail.turn, ended=step.status.ended),
        f"run {detail.run_id}" if detail.run_id else "",
    ]
    if step.status is StepStatus.WAITING and detail.until:
        parts.append(f"until {_coming(detail.until, now)}")
    if step.status is StepStatus.RETRYING and step.next_attempt_at:
        parts.append(f"next attempt at {_coming(step.next_attempt_at, now)}")
    return ", ".join(part for part in parts if part)


def _reason(step: StepState) -> str:
    if step.status is StepStatus.RETRYING and step.next_attempt_at:
        return ""  # what it waits for is said with its time
    if step.status is StepStatus.WAITING:
        return f"for {step.reason}" if step.reason and step.reason != _TIME else ""
    return step.reason or ""


def _coming(instant: datetime, now: datetime) -> str:
    """An instant to come: the time of today, with how long that is."""
    shown = local_time(instant)
    day, _, time = shown.partition(" ")
    left = (instant - now).total_seconds()
    return f"{time if local_time(now).startswith(day) else shown}" + (f" (in {duration(left)})" if left > 0 else "")


def milestone(step: StepState) -> tuple[object, ...]:
    """What is worth a line when it changes: tenths of a map, turns 1, 2, … 9, 10, 20, … of a loop."""
    detail = step.detail or _NO_DETAIL
    tenths = detail.items and (_TENTHS * detail.items.ended // max(detail.items.total, 1), detail.items.failed > 0)
    turn = "" if detail.turn is None else str(detail.turn + 1)
    return step.status, step.attempts, step.reason, detail.until, detail.run_id, tenths, (turn[:1], len(turn))


def choose_steps(steps: Sequence[StepState], rows: int) -> list[StepState]:
    """At most `rows` steps, in their order: failed ones and those under way first, then the last that ended."""
    if len(steps) <= rows:
        return list(steps)

    def weight(place: int) -> tuple[int, float, int]:
        step = steps[place]
        if step.status is StepStatus.FAILED:
            return (0, 0.0, place)
        if step.status in _UNDER_WAY:
            return (1, 0.0, place)
        if step.ended_at is not None:
            return (2, -step.ended_at.timestamp(), place)
        return (3, 0.0, place)

    return [steps[place] for place in sorted(sorted(range(len(steps)), key=weight)[:rows])]


def count_steps(steps: Iterable[StepState]) -> str:
    """How many steps stand where, such as `2 succeeded, 1 running`."""
    counts = Counter(step.status for step in steps)
    return ", ".join(f"{counts[status]} {status.value}" for status in StepStatus if counts[status])


def run_line(run: Run, now: datetime) -> str:
    """A run in one line."""
    time = elapsed(run.started_at, run.ended_at, now)
    dry = ", dry run" if run.dry_run else ""
    return f"{run.workflow} (version {run.version}{dry}) {run.status.value.replace('_', ' ')} {_after(run, time)}"


def ways_on(run: Run) -> list[str]:
    """Commands that answer what a run waits for."""
    waiting = [step for step in run.steps if step.status is StepStatus.WAITING and step.reason]
    ways: list[str] = []
    for step in waiting:
        what = str(step.reason)
        if what.startswith("an answer by "):
            ways.append(f"./tooloo approve {run.run_id} {step.id}")
        elif what.startswith("the signal "):
            ways.append(f"./tooloo signal {run.run_id} {what.removeprefix('the signal ')}")
    return list(dict.fromkeys(ways))


def failure_line(run: Run) -> str | None:
    """Why a run failed."""
    if run.error is None:
        return None
    where = f"step {run.error.step}: " if run.error.step else ""
    attempt = f" (attempt {run.error.attempt})" if run.error.attempt and run.error.attempt > 1 else ""
    return f"{where}{run.error.code}: {run.error.message}{attempt}"


def _after(run: Run, time: str) -> str:
    return f"after {time}" if run.ended_at else f"for {time}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MESSAGE_CHARACTERS else f"{line[: _MESSAGE_CHARACTERS - 1]}…"
