"""What to tell Temporal's server so that it fires at exactly the times of a schedule. Pure, but for the zone database.

Around a change of the clocks the server's calendars are wrong in many ways: a skipped time does not fire, a repeated
one fires twice, or the first time only, or, east of Greenwich, together with one of the hour before; a change at
midnight takes a day for the one before. So the hours around a change are taken out of the calendars, and what is to
fire in them is named instant by instant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from models.schedules import CalendarForm, Dst, Form, Interval, Once
from models.server_times import Calendar, Period, ServerTimes, Values
from services.schedules.calendars import calendars_of
from services.schedules.changes import Change, changes
from services.schedules.crons import cron_expressions
from services.schedules.times import SECOND, bounds, fire_times, instant_of

BACK_FILLED = timedelta(days=366)
"""How far back it is exact: past times can be filled in."""
HORIZON = timedelta(days=3_653)
"""How far ahead it is exact, unless that needs more than MOST_ENTRIES; see `ServerTimes.exact_until`."""
MOST_ENTRIES = 1_000
"""Calendars and instants that one schedule is made of."""
_CALENDARS_OF_A_DAY = 3
"""Needed at most to take hours out of a day: for its month in other years, the rest of its month, and of the day."""
_HOUR = timedelta(hours=1)


def server_times(form: Form, zone: ZoneInfo, now: datetime, dst: Dst = "exact") -> ServerTimes:
    """The times of a schedule for the server, exact from a year before `now` to `exact_until`.

    After that the server fires by its own rules around changes of the clocks, so it has to be told anew before.
    """
    start, end = bounds(form, zone)
    times = ServerTimes(zone.key, start=start, end=end)
    match form:
        case Once():
            return replace(times, instants=(instant_of(form.at, zone),))
        case Interval():
            return replace(times, periods=(Period(form.every_seconds, form.offset_seconds),))
        case _:
            return _calendar_times(form, zone, times, now.astimezone(UTC), dst)


def _calendar_times(form: CalendarForm, zone: ZoneInfo, times: ServerTimes, now: datetime, dst: Dst) -> ServerTimes:
    plain = tuple(found for expression in cron_expressions(form) for found in calendars_of(expression))
    taken: list[dict[date, Values]] = [{} for _ in plain]
    instants: list[datetime] = []
    unbounded = form.model_copy(update={"start": None, "end": None, "max_runs": None})
    begin = max(now, times.start or now).replace(hour=0, minute=0, second=0, microsecond=0)
    until, entries = begin + HORIZON, len(plain)
    for change in changes(zone, begin - BACK_FILLED, until):
        around = _Around.of(change)
        days = [around.days_of(calendar) for calendar in plain]
        if any(days):
            named = list(around.instants(unbounded, zone, dst))
            entries += len(named) + sum(map(len, days)) * _CALENDARS_OF_A_DAY
            if entries > MOST_ENTRIES:
                until = around.first
                break
            instants.extend(named)
            for of_calendar, found in zip(taken, days, strict=True):
                of_calendar.update(found)
    calendars = tuple(found for calendar, days in zip(plain, taken, strict=True) for found in _without(calendar, days))
    ends_before = times.end is not None and times.end < until
    return replace(times, calendars=calendars, instants=tuple(instants), exact_until=None if ends_before else until)


@dataclass(frozen=True)
class _Around:
    """The hours around a change in which the server is not to be trusted."""

    change: Change
    starts: datetime
    """Local time; the hour before the first that is skipped or repeated."""
    ends: datetime
    """Local time."""

    @classmethod
    def of(cls, change: Change) -> "_Around":
        early, late = sorted((change.stops, change.goes_on))
        starts = (early - _HOUR).replace(minute=0, second=0)
        return cls(change, starts, -((starts - late) // _HOUR) * _HOUR + starts)

    @property
    def first(self) -> datetime:
        """The first instant, in UTC."""
        return (self.starts - self.change.before).replace(tzinfo=UTC)

    @property
    def last(self) -> datetime:
        """The last instant, in UTC: where a skipped time fires, too."""
        return (self.ends - self.change.after).replace(tzinfo=UTC)

    def days_of(self, calendar: Calendar) -> dict[date, Values]:
        """These hours of the days of which the calendar has some.

        A day without a midnight counts in any case, as the server takes it for the day before.
        """
        return {
            day: hours
            for day, hours in self._hours().items()
            if (_has(calendar, day) and calendar.hours & hours) or self._skips_midnight(day)
        }

    def _hours(self) -> dict[date, Values]:
        found: dict[date, Values] = {}
        for number in range((self.ends - self.starts) // _HOUR):
            hour = self.starts + number * _HOUR
            found[hour.date()] = found.get(hour.date(), frozenset()) | {hour.hour}
        return found

    def _skips_midnight(self, day: date) -> bool:
        return self.change.stops <= datetime(day.year, day.month, day.day) < self.change.goes_on  # noqa: DTZ001 - local times, as all here

    def instants(self, form: Form, zone: ZoneInfo, dst: Dst) -> Iterator[datetime]:
        """All at which the schedule fires in these hours, in UTC."""
        times = fire_times(form, zone, self.first - SECOND, dst)
        return (at.astimezone(UTC) for at in takewhile(lambda at: at.astimezone(UTC) <= self.last, times))


def _without(calendar: Calendar, taken: Mapping[date, Values]) -> Iterator[Calendar]:
    """The calendar without some hours of some days."""
    months = {(day.year, day.month) for day in taken}
    touched = frozenset(month for _, month in months)
    parts = [replace(calendar, months=calendar.months - touched)]
    for month in sorted(touched & calendar.months):
        of_month = replace(calendar, months=frozenset({month}))
        years = frozenset(year for year, other in months if other == month)
        parts.append(replace(of_month, years=calendar.years - years))
        for year in sorted(years & calendar.years):
            days = frozenset(day.day for day in taken if (day.year, day.month) == (year, month))
            parts.append(replace(of_month, years=frozenset({year}), days=calendar.days - days))
    parts.extend(_on(calendar, day, hours) for day, hours in sorted(taken.items()) if _has(calendar, day))
    return (part for part in parts if part)


def _on(calendar: Calendar, day: date, hours: Values) -> Calendar:
    """What the calendar has on one of its days, without some hours."""
    return Calendar(
        minutes=calendar.minutes,
        hours=calendar.hours - hours,
        days=frozenset({day.day}),
        months=frozenset({day.month}),
        weekdays=frozenset(range(7)),  # the server may take the day for another
        years=frozenset({day.year}),
    )


def _has(calendar: Calendar, day: date) -> bool:
    return (
        day.year in calendar.years
        and day.month in calendar.months
        and day.day in calendar.days
        and day.isoweekday() % 7 in calendar.weekdays
    )
