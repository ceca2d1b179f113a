"""The instants at which a schedule fires. Pure, but for the time zone database.

Local times are those of the schedule's zone. With `dst` exact, a time in the skipped hour fires at the next valid
instant, and one in the repeated hour the first time. An expression whose minute or hour begins with `*` fires whenever
the clock shows its times, and so does every other one with `dst` as-is.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from models.errors import InvalidInputError, Problem
from models.schedules import YEARS, Cron, Dst, Form, Interval, Once
from services.schedules.crons import cron_expressions, follows_the_clock

SECOND = timedelta(seconds=1)
_FIRST = datetime(YEARS.start, 1, 1, tzinfo=UTC)
_NEVER = datetime(YEARS.stop, 1, 1, tzinfo=UTC)
_LONGEST_REPEAT = timedelta(hours=3)


def fire_times(form: Form, zone: ZoneInfo, after: datetime, dst: Dst = "exact") -> Iterator[datetime]:
    """When the schedule fires after an instant, in order, each once, in the zone; up to the year 2100.

    The start and the end are included; `max_runs` counts from the first of these times.
    """
    start, end = bounds(form, zone)
    after = min(max(after, (start or _FIRST) - SECOND), _NEVER).astimezone(UTC)
    last = min(end or _NEVER, _NEVER - SECOND)
    times = takewhile(lambda at: at <= last, _unbounded(form, zone, after, dst))
    return (at.astimezone(zone) for at in islice(times, form.max_runs))


def bounds(form: Form, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
    """The start and the end, in UTC."""
    return (
        None if form.start is None else instant_of(form.start, zone),
        None if form.end is None else instant_of(form.end, zone),
    )


def instant_of(moment: datetime, zone: ZoneInfo) -> datetime:
    """The instant, in UTC, that is meant by a moment with an offset, or by a local time as `exact` has it."""
    return _exact(moment, zone) if moment.tzinfo is None else moment.astimezone(UTC)


def next_times(form: Form, zone: ZoneInfo, after: datetime, count: int, dst: Dst = "exact") -> tuple[datetime, ...]:
    """The next times, at most so many. Raises InvalidInputError when there are none."""
    start, end = bounds(form, zone)
    if start and end and end < start:
        _refuse("end", "end-before-start", "the end is before the start", "Give an end that is not before the start.")
    times = tuple(islice(fire_times(form, zone, after, dst), count))
    if not times:
        field = "at" if isinstance(form, Once) else "end" if end else "cron" if isinstance(form, Cron) else "start"
        _refuse(field, "never-fires", "the schedule never fires", "Give times that are still to come.")
    return times


def _refuse(field: str, code: str, message: str, suggestion: str) -> None:
    problem = Problem(pointer=f"/schedule/{field}", code=code, message=message, suggestion=suggestion)
    raise InvalidInputError(f"The schedule cannot be accepted: {message}.", problems=[problem])


def _unbounded(form: Form, zone: ZoneInfo, after: datetime, dst: Dst) -> Iterator[datetime]:
    """All times after an instant, in UTC."""
    match form:
        case Once():
            at = instant_of(form.at, zone)
            return iter([at] if at > after else [])
        case Interval():
            return _interval(form, after)
        case _:
            each = (_cron(expression, zone, after, dst) for expression in cron_expressions(form))
            return (at for at, _ in groupby(merge(*each)))


def _interval(form: Interval, after: datetime) -> Iterator[datetime]:
    every, offset = form.every_seconds, form.offset_seconds
    seconds = (int(after.timestamp()) - offset) // every * every + offset
    while seconds < _NEVER.timestamp():
        seconds += every
        yield datetime.fromtimestamp(seconds, UTC)


def _cron(expression: str, zone: ZoneInfo, after: datetime, dst: Dst) -> Iterator[datetime]:
    local = after.astimezone(zone).replace(tzinfo=None)
    if follows_the_clock(expression, dst):
        around = {(after + shift).astimezone(zone).utcoffset() for shift in (-_LONGEST_REPEAT, _LONGEST_REPEAT)}
        times = _as_shown(CronSim(expression, local - _LONGEST_REPEAT if len(around) > 1 else local), zone)
    else:
        times = (_exact(wall, zone) for wall in CronSim(expression, local))
    return (at for at in times if at > after)


def _as_shown(walls: Iterator[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Every instant at which the clock shows one of the times, which come in order."""
    second_time: list[datetime] = []
    for wall in walls:
        shift = _shift(wall, zone)
        if shift <= timedelta():
            first = wall.replace(tzinfo=zone)
            if not shift:
                yield from second_time
                second_time.clear()
            else:
                second_time.append(first.replace(fold=1).astimezone(UTC))
            yield first.astimezone(UTC)


def _exact(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clock shows the time or, where it skips it, a later one."""
    while _shift(wall, zone) > timedelta():
        wall = wall.replace(second=0) + timedelta(minutes=1)
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _shift(wall: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the clock is put forward around the time, when it skips it, or back, when it repeats it; else 0."""
    first = wall.replace(tzinfo=zone, fold=0).utcoffset()
    second = wall.replace(tzinfo=zone, fold=1).utcoffset()
    return timedelta() if first is None or second is None else second - first
