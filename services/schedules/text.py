"""Schedules in words. Pure, but for the time zone database."""

from zoneinfo import ZoneInfo

from models.schedules import Cron, Daily, Form, Interval, Monthly, Once, Weekly
from services.schedules.crons import SHORTEST_MONTH, parsed
from services.schedules.times import bounds, instant_of

_DAYS = {
    "MON": "Monday",
    "TUE": "Tuesday",
    "WED": "Wednesday",
    "THU": "Thursday",
    "FRI": "Friday",
    "SAT": "Saturday",
    "SUN": "Sunday",
}
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def describe(form: Form, zone: ZoneInfo) -> str:
    """Such as `every day at 02:30, America/New_York, from 2027-03-01 00:00, at most 5 times`."""
    start, end = (None if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}" for at in bounds(form, zone))
    parts = [_when(form, zone)]
    if not isinstance(form, Interval) or start or end:
        parts.append(zone.key)
    if start:
        parts.append(f"from {start}")
    if end:
        parts.append(f"until {end}")
    if form.max_runs is not None:
        parts.append("only the first time" if form.max_runs == 1 else f"at most {form.max_runs} times")
    return ", ".join(parts)


def _when(form: Form, zone: ZoneInfo) -> str:
    match form:
        case Daily():
            return f"every day at {form.at}"
        case Weekly():
            return f"every {_list([name for day, name in _DAYS.items() if day in form.on])} at {form.at}"
        case Monthly():
            return f"on day {form.day} of every month{_short_month(form)} at {form.at}"
        case Interval():
            every, offset = _duration(form.every_seconds), _duration(form.offset_seconds)
            single = every.removeprefix("1 ") if every.count(" ") == 1 else every
            return f"every {single}" + (f", offset by {offset}" if offset else "")
        case Cron():
            words = parsed(form.cron).explain()
            return words[0].lower() + words[1:]
        case Once():
            return f"once on {instant_of(form.at, zone).astimezone(zone):%Y-%m-%d at %H:%M:%S}".removesuffix(":00")


def _short_month(form: Monthly) -> str:
    if form.day <= SHORTEST_MONTH:
        return ""
    return ", or its last day," if form.short_month == "last-day" else " that has one"


def _duration(seconds: int) -> str:
    """Such as `1 hour 30 minutes`."""
    parts: list[str] = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" if count == 1 else f"{count} {unit}s")
    return " ".join(parts)


def _list(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)
