"""What became of the times at which a task was to run. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.runs import Failure, RunStatus
from models.tasks import TaskOutcome

GRACE = timedelta(seconds=60)
"""How long after its time a start is still to be expected, and not missed."""
_OUTCOMES: dict[RunStatus, TaskOutcome] = {RunStatus.COMPLETED: "completed"}


@dataclass(frozen=True)
class Started:
    """A planned time that has had its run, or could not have one."""

    planned_at: datetime
    started_at: datetime
    run_id: str
    status: RunStatus | None
    """None when the run could not begin."""
    ended_at: datetime | None
    error: Failure | None
    workflow: str | None

    @property
    def outcome(self) -> TaskOutcome:
        """What became of it."""
        if self.status is None:
            return "failed"
        return _OUTCOMES.get(self.status, "failed" if self.status.ended else "running")

    def was_running(self, at: datetime) -> bool:
        """Whether its run went on over a time that was planned after it."""
        return self.status is not None and self.started_at <= at and (self.ended_at is None or at < self.ended_at)


def not_started(
    due: Iterable[datetime],
    started: Sequence[Started],
    pauses: Sequence[tuple[datetime, datetime | None]],
    now: datetime,
) -> list[tuple[datetime, TaskOutcome]]:
    """Of the times that were due, those without a run: `skipped` since one was running, or `missed`.

    Nothing is due while a task is paused.
    """
    done = {one.planned_at for one in started}
    return [
        (at, "skipped" if any(one.was_running(at) for one in started) else "missed")
        for at in due
        if at not in done and at < now - GRACE and not any(a <= at and (b is None or at < b) for a, b in pauses)
    ]
