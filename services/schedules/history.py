"""What became of the times at which a task was to run. Pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, dropwhile, groupby, takewhile
from zoneinfo import ZoneInfo

from models.runs import Failure, RunStatus
from models.schedules import Dst, Form, Overlap, Policy
from models.tasks import TaskOutcome
from services.schedules.times import SECOND, fire_times

GRACE = timedelta(seconds=30)
"""How long after its time, and its jitter, a start is still to be expected, and not missed."""
_SKIPPING: frozenset[Overlap] = frozenset({"skip", "buffer-one"})
_LAG = timedelta(seconds=5)
"""For how long a run that is recorded as ended may still be in Temporal's way."""
_TELLING = timedelta(seconds=1)
"""What is recorded holds in Temporal a little later."""
_WAITING: frozenset[Overlap] = frozenset({"buffer-one", "buffer-all", "cancel-other"})
"""With these, whether what comes during a run is skipped is known when it ends."""
_MINUTE = timedelta(minutes=1)
_BEFORE = timedelta(milliseconds=1)
FIRST = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
_LOOKS_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=40), timedelta(days=4_000), timedelta(days=40_000))
"""How far back to look at a time: no further than a page needs."""

Span = tuple[datetime, datetime | None]
"""From when, included, to when; None when it goes on."""


@dataclass(frozen=True)
class HeldSchedule:
    """A schedule that a task has or had, and from when to when."""

    form: Form
    zone: ZoneInfo
    policy: Policy
    since: datetime
    until: datetime

    @property
    def when(self) -> tuple[Form, ZoneInfo, Dst]:
        """What decides at which times it fires."""
        return self.form, self.zone, self.policy.dst

    @property
    def grace(self) -> timedelta:
        """How long after its time a start is still to be expected."""
        return GRACE + timedelta(seconds=self.policy.jitter_seconds)

    def times(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        """When it fires from `begin` to before `end`, however often it has run."""
        endless = self.form.model_copy(update={"max_runs": None})
        times = fire_times(endless, self.zone, begin - SECOND, self.policy.dst)
        return takewhile(lambda at: at < end, dropwhile(lambda at: at < begin, times))

    def has(self, at: datetime) -> bool:
        """Whether it fires at an instant."""
        return at in self.times(at, at + SECOND)

    def last_times(self, begin: datetime, end: datetime, count: int) -> list[datetime]:
        """The last of these times, the latest first; at most so many."""
        found: list[datetime] = []
        for span in _LOOKS_BACK:
            first = max(begin, end - span)
            found = list(self.times(first, end))
            if len(found) >= count or first == begin:
                break
        return found[::-1][:count]

    def free_second(self, now: datetime, taken: Collection[datetime]) -> datetime | None:
        """The last second of this minute that is neither taken nor, if there is one, a time of the schedule."""
        second = now.replace(microsecond=0)
        seconds = [one for number in range(_MINUTE.seconds) if (one := second - number * SECOND) not in taken]
        own = set(self.times(second - _MINUTE, second + SECOND))
        return next((one for one in seconds if one not in own), next(iter(seconds), None))

    def starts(self, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
        """From when to when Temporal starts what is planned in a span; jitter never reaches the next time."""
        jitter = timedelta(seconds=self.policy.jitter_seconds)
        following = next(self.times(end + SECOND, end + SECOND + jitter), None)
        return begin, end + jitter if following is None else following - _BEFORE

    def late(self, since: datetime, now: datetime) -> tuple[datetime, datetime] | None:
        """From when to when Temporal is to start what has come since, as far back as the catch-up window lets it."""
        since = max(since, now - timedelta(seconds=self.policy.catchup_window_seconds))
        last = self.last_times(since, now, 1)
        if not last:
            return None
        begin, end = self.starts(next(self.times(since, now)), last[0])
        return begin, min(end, now)

    def together(self, planned: Collection[datetime]) -> list[list[datetime]]:
        """Some of these times, in order; those that follow each other are together."""
        if not planned:
            return []
        some = frozenset(planned)
        groups = groupby(self.times(min(some), max(some) + SECOND), some.__contains__)
        return [list(times) for wanted, times in groups if wanted]


def current(schedules: Sequence[HeldSchedule]) -> list[HeldSchedule]:
    """The latest of the schedules, under the policies that it had."""
    return list(takewhile(lambda one: one.when == schedules[0].when, schedules))


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
    def is_running(self) -> bool:
        """Whether its run goes on."""
        return self.status is not None and not self.status.ended

    @property
    def outcome(self) -> TaskOutcome:
        """What became of it."""
        if self.status is RunStatus.COMPLETED:
            return "completed"
        return "running" if self.is_running else "failed"


@dataclass(frozen=True)
class NotStarted:
    """A time at which a task was to run and did not."""

    planned_at: datetime
    outcome: TaskOutcome
    """`skipped` since a run was going on, or `missed`."""


def not_started(
    schedules: Sequence[HeldSchedule],
    done: Collection[datetime],
    ran: Sequence[Span],
    pauses: Sequence[Span],
    now: datetime,
    *,
    since: datetime = FIRST,
    before: datetime,
    limit: int,
) -> list[NotStarted]:
    """The last times that were due between two instants and had no run, the latest first; at most so many.

    `schedules`: the latest first. `done`: the planned times that have had their runs. `ran`: when runs were in the way
    of others, which is from their planned times: what comes until a late one starts comes during it. Nothing is due
    while a task is paused.
    """
    busy = _Busy(ran)
    waiting = min((start for start, end in ran if end is None), default=NEVER)
    found: list[NotStarted] = []
    for one in schedules:
        end = min(one.until, before, now - one.grace)
        if one.policy.overlap in _WAITING:
            end = min(end, waiting)
        skips = one.policy.overlap in _SKIPPING
        for begin, stop in _active(max(one.since + _TELLING, since), end, pauses):
            wanted = limit - len(found) + len(done)
            due = [at for at in one.last_times(begin, stop, wanted) if at not in done]
            found += [NotStarted(at, "skipped" if skips and busy.at(at) else "missed") for at in due]
    return found[:limit]


class _Busy:
    """When any of some runs went on."""

    def __init__(self, ran: Sequence[Span]) -> None:
        spans = sorted((start, NEVER if end is None else end + _LAG) for start, end in ran)
        self._starts = [start for start, _ in spans]
        self._ends = list(accumulate((end for _, end in spans), max))

    def at(self, at: datetime) -> bool:
        before = bisect_right(self._starts, at)
        return before > 0 and at < self._ends[before - 1]


def _active(begin: datetime, end: datetime, pauses: Sequence[Span]) -> list[tuple[datetime, datetime]]:
    """What is left of a span without the pauses, the latest first."""
    left: list[tuple[datetime, datetime]] = []
    for paused, resumed in sorted(pauses, key=lambda pause: pause[0]):
        left.append((begin, min(paused, end)))
        begin = max(begin, NEVER if resumed is None else resumed + _TELLING)
    left.append((begin, end))
    return [(first, last) for first, last in reversed(left) if first < last]
