"""Calendar periods: which days a timeframe means. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from models.activity import Timeframe
from models.errors import InvalidInputError, Problem

MOST_DAYS = 3_660
"""Of a period that is asked for day by day: ten years."""


@dataclass(frozen=True)
class Period:
    """Days from `first` to `last`, both included; None is open."""

    name: str
    first: date | None
    last: date | None


def period(timeframe: Timeframe | None, first: date | None, last: date | None, today: date) -> Period:
    """The days that are meant: a calendar period around today, those between two dates, or all.

    Raises InvalidInputError for both at once, and for dates in the wrong order or too far apart.
    """
    if first is None and last is None:
        return _calendar(timeframe or "all", today)
    if timeframe is not None:
        _refuse("/query/timeframe", "give either timeframe, or from and to")
    if last is None:
        last = today
    if first is not None and last < first:
        _refuse("/query/to", "to is before from")
    if first is not None and (last - first).days >= MOST_DAYS:
        _refuse("/query/from", f"more than {MOST_DAYS:,} days")
    return Period("custom", first, last)


def _calendar(timeframe: Timeframe, today: date) -> Period:
    match timeframe:
        case "day":
            return Period("day", today, today)
        case "week":
            monday = today - timedelta(days=today.weekday())
            return Period("week", monday, monday + timedelta(days=6))
        case "month":
            first = today.replace(day=1)
            following = (first + timedelta(days=32)).replace(day=1)
            return Period("month", first, following - timedelta(days=1))
        case "all":
            return Period("all", None, None)


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last; none when the last is before."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def listed_days(first: date, last: date, active: Iterable[date]) -> list[date]:
    """The days of a period that is answered day by day: all, or the active ones when that is more than ten years."""
    return days_between(first, last) if (last - first).days < MOST_DAYS else list(active)


def _refuse(pointer: str, message: str) -> None:
    raise InvalidInputError(message, problems=[Problem(pointer=pointer, code="bad-period", message=message)])
