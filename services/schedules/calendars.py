"""Cron expressions as calendars of Temporal's server, which has neither `L` nor `MON#1`, and never an OR. Pure."""

import calendar
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from cronsim import CronSim

from models.schedules import YEARS
from models.server_times import Calendar, Values
from services.schedules.crons import parsed

EVERY = Calendar(
    minutes=frozenset(range(60)),
    hours=frozenset(range(24)),
    days=frozenset(range(1, 32)),
    months=frozenset(range(1, 13)),
    weekdays=frozenset(range(7)),
    years=frozenset(YEARS),
)
_LEAP = frozenset(filter(calendar.isleap, YEARS))
_LENGTHS = {
    31: replace(EVERY, months=frozenset({1, 3, 5, 7, 8, 10, 12})),
    30: replace(EVERY, months=frozenset({4, 6, 9, 11})),
    29: replace(EVERY, months=frozenset({2}), years=_LEAP),
    28: replace(EVERY, months=frozenset({2}), years=EVERY.years - _LEAP),
}
"""Months by the number of their days."""
_FRIDAY, _WORKDAYS, _WEEK = 5, frozenset(range(1, 6)), 7


def calendars_of(expression: str) -> tuple[Calendar, ...]:
    """The calendars whose union is what a valid expression means, away from changes of the clocks."""
    times = parsed(expression)
    common = replace(
        EVERY, minutes=frozenset(times.minutes), hours=frozenset(times.hours), months=frozenset(times.months)
    )
    of_month, of_week = list(_days_of_month(times)), list(_days_of_week(times))
    alternatives = [one & other for one, other in product(of_month, of_week)] if times.day_and else of_month + of_week
    return tuple(dict.fromkeys(found for days in alternatives if (found := common & days)))


def _days_of_month(times: CronSim) -> Iterator[Calendar]:
    days = EVERY.days & times.days
    if days:
        yield replace(EVERY, days=days)
    if days == EVERY.days:
        return
    for last, months in _LENGTHS.items():
        if CronSim.LAST in times.days:
            yield replace(months, days=_days(last))
        if CronSim.LAST_WEEKDAY in times.days:
            yield replace(months, days=_days(last), weekdays=_WORKDAYS)
            yield replace(months, days=_days(last - 1, last - 2), weekdays=frozenset({_FRIDAY}))


def _days_of_week(times: CronSim) -> Iterator[Calendar]:
    numbered = [(weekday % _WEEK, nth) for weekday, nth in (day for day in times.weekdays if isinstance(day, tuple))]
    if weekdays := frozenset(day % _WEEK for day in times.weekdays if isinstance(day, int)):
        yield replace(EVERY, weekdays=weekdays)
    if weekdays == EVERY.weekdays:
        return
    for weekday in EVERY.weekdays:
        if days := [day for one, nth in numbered if one == weekday and nth != CronSim.LAST for day in _week(nth)]:
            yield replace(EVERY, days=EVERY.days & _days(*days), weekdays=frozenset({weekday}))
    if weekdays := frozenset(weekday for weekday, nth in numbered if nth == CronSim.LAST):
        for last, months in _LENGTHS.items():
            yield replace(months, days=frozenset(range(last - _WEEK + 1, last + 1)), weekdays=weekdays)


def _week(nth: int) -> range:
    """The days of a month on which a weekday comes for the nth time."""
    return range((nth - 1) * _WEEK + 1, nth * _WEEK + 1)


def _days(*days: int) -> Values:
    return frozenset(days)
