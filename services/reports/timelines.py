"""Days put together for a chart: by day, week or month, whichever is few enough to look at. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal, TypeVar

from models.metrics import DayMetrics, GlobalDay, GlobalMetrics, UserMetrics

Unit = Literal["day", "week", "month"]
MAX_COLUMNS = 240
"""Of a chart over time: 20 years of months."""
_MOST_DAYS = 93
_MOST_WEEKS_IN_DAYS = 2 * 366
DayT = TypeVar("DayT", DayMetrics, GlobalDay)


def put_together(days: Sequence[DayT]) -> tuple[Unit, dict[str, list[DayT]]]:
    """The unit of a timeline, and its days by label, in their order; labels without a day are there as well.

    Periods of more than 20 years are cut to the last 240 months that have a day.
    """
    if not days:
        return "day", {}
    first, last = days[0].date, days[-1].date
    unit, found = _unit(first, last), dict[str, list[DayT]]()
    if (last - first).days < MAX_COLUMNS * 30:  # one wrong date of an event would make it millions of days
        found = {label(unit, first + timedelta(days=number)): [] for number in range((last - first).days + 1)}
    for day in days:
        found.setdefault(label(unit, day.date), []).append(day)
    return unit, dict(list(found.items())[-MAX_COLUMNS:])


def label(unit: Unit, day: date) -> str:
    """What a day stands under: itself, its Monday, or its month."""
    match unit:
        case "day":
            return day.isoformat()
        case "week":
            return (day - timedelta(days=day.weekday())).isoformat()
        case "month":
            return day.isoformat()[: len("2024-03")]


def period_words(metrics: UserMetrics | GlobalMetrics) -> str:
    """The period in words; of everything there is, the days from the first to the last."""
    first, last = metrics.from_, metrics.to
    if first is None or last is None:
        return f"up to {last}" if last else f"from {first}" if first else "all time"
    return str(first) if first == last else f"{first} to {last}"


def _unit(first: date, last: date) -> Unit:
    days = (last - first).days + 1
    if days <= _MOST_DAYS:
        return "day"
    return "week" if days <= _MOST_WEEKS_IN_DAYS else "month"
