"""Schedules as Temporal's server is told of them. Not workflow code itself."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio.client import (
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)

from models.schedules import Overlap, Policy
from models.server_times import Calendar, Period, ServerTimes, TaskSchedule

_FORTY_YEARS = 14_600 * 86_400
"""Seconds. An instant is one time of such a period: longer ones begin after now, where the server misses the first."""
OVERLAPS: dict[Overlap, ScheduleOverlapPolicy] = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer-one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer-all": ScheduleOverlapPolicy.BUFFER_ALL,
    "cancel-other": ScheduleOverlapPolicy.CANCEL_OTHER,
    "terminate-other": ScheduleOverlapPolicy.TERMINATE_OTHER,
    "allow-all": ScheduleOverlapPolicy.ALLOW_ALL,
}
"""In Temporal's words."""


def to_spec(times: ServerTimes, jitter_seconds: int = 0) -> ScheduleSpec:
    """When the server fires."""
    start, end = times.start, times.end
    if not times.calendars and not times.periods:  # what fires once would fire again after forty years
        start = max(filter(None, (start, *times.instants)))
        end = min(filter(None, (end, *times.instants)))
    return ScheduleSpec(
        calendars=[_calendar(calendar) for calendar in times.calendars],
        intervals=[_interval(period) for period in (*times.periods, *map(_instant, times.instants))],
        start_at=start,
        end_at=end,
        jitter=timedelta(seconds=jitter_seconds) if jitter_seconds else None,
        time_zone_name=times.timezone,
    )


def to_policy(policy: Policy) -> SchedulePolicy:
    """What the server does when runs meet, were missed, or fail."""
    return SchedulePolicy(
        overlap=OVERLAPS[policy.overlap],
        catchup_window=timedelta(seconds=policy.catchup_window_seconds),
        pause_on_failure=policy.pause_on_failure,
    )


def to_state(remaining_runs: int | None, *, paused: bool = False) -> ScheduleState:
    """The state of a schedule that runs that often yet; None is without a limit."""
    return ScheduleState(
        paused=paused, limited_actions=remaining_runs is not None, remaining_actions=remaining_runs or 0
    )


def renewed_state(task: TaskSchedule, found: ScheduleState) -> ScheduleState:
    """The state of a schedule that is there: what nobody has changed on our side stays as Temporal has it."""
    counted = to_state(task.remaining_runs) if task.counts_anew else found
    paused, note = (task.paused, None) if task.pauses_anew else (found.paused, found.note)
    return replace(counted, paused=paused, note=note)


def _calendar(calendar: Calendar) -> ScheduleCalendarSpec:
    return ScheduleCalendarSpec(
        minute=_ranges(calendar.minutes),
        hour=_ranges(calendar.hours),
        day_of_month=_ranges(calendar.days),
        month=_ranges(calendar.months),
        day_of_week=_ranges(calendar.weekdays),
        year=_ranges(calendar.years),
    )


def _ranges(values: Iterable[int]) -> list[ScheduleRange]:
    """The values as few ranges with steps."""
    found: list[ScheduleRange] = []
    for value in sorted(values):
        last = found[-1] if found else None
        if last is not None and last.start == last.end:
            found[-1] = ScheduleRange(last.start, value, value - last.start)
        elif last is not None and value - last.end == last.step:
            found[-1] = ScheduleRange(last.start, value, last.step)
        else:
            found.append(ScheduleRange(value))
    return found


def _instant(at: datetime) -> Period:
    return Period(_FORTY_YEARS, int(at.astimezone(UTC).timestamp()) % _FORTY_YEARS)


def _interval(period: Period) -> ScheduleIntervalSpec:
    return ScheduleIntervalSpec(
        every=timedelta(seconds=period.every_seconds), offset=timedelta(seconds=period.offset_seconds)
    )
