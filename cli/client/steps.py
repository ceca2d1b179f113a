"""What to show of a run's steps. Pure: the time now comes in."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cli.client.text import duration
from models.runs import Run, RunStatus, StepState, StepStatus


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


def step_cells(step: StepState, now: datetime) -> tuple[str, ...]:
    """A step's row under STEP_COLUMNS; the last cell is its last error or its reason."""
    return (
        STEP_LOOKS[step.status].symbol,
        step.id,
        step.status.value,
        str(step.attempts or ""),
        elapsed(step.started_at, step.ended_at, now),
        remark(step),
    )


def step_line(step: StepState, now: datetime) -> str:
    """A step's change as one line."""
    symbol, name, status, attempts, time, note = step_cells(step, now)
    again = f"attempt {attempts}" if step.attempts > 1 else ""
    return "  ".join(part for part in (symbol, name, status, again, time if step.status.ended else "", note) if part)


def elapsed(started_at: datetime | None, ended_at: datetime | None, now: datetime) -> str:
    """How long something took, or has taken so far; empty before it began."""
    return "" if started_at is None else duration(((ended_at or now) - started_at).total_seconds())


def remark(step: StepState) -> str:
    """Its last error, else why it was skipped or what it waits for."""
    if step.error is None:
        return step.reason or ""
    return _short(f"{step.error.code}: {step.error.message}")


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
    return f"{run.workflow} (version {run.version}) {run.status.value.replace('_', ' ')} {_after(run, time)}"


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
