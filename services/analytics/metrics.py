"""Metrics of a learner by timeframe."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.metrics import DayMetrics, StreakNow, UserMetrics
from services.analytics.activities import SECOND, day_number
from services.analytics.learners import Learner
from services.analytics.streaks import streak
from services.analytics.timeframes import Period, listed_days

_DAYS = text("""
    SELECT day, sessions, microseconds, challenges, activities FROM learner_days
    WHERE owner_id = :owner AND events > 0
      AND day BETWEEN coalesce(CAST(:first AS date), '-infinity') AND coalesce(CAST(:last AS date), 'infinity')
    ORDER BY day
""")
_ACTIVE_DAYS = text("SELECT day FROM learner_days WHERE owner_id = :owner AND events > 0 ORDER BY day")


async def read_streak(connection: AsyncConnection, learner: Learner, now: datetime) -> StreakNow:
    """Active days in a row as of the learner's today."""
    days = [day_number(day) for day in await connection.scalars(_ACTIVE_DAYS, {"owner": learner.owner_id})]
    found = streak(days, day_number(learner.today(now)))
    return StreakNow(
        current=found.current,
        longest=found.longest,
        frozen_days=found.frozen_days,
        freezes_held=found.freezes_held,
    )


async def read_metrics(
    connection: AsyncConnection, learner: Learner, period: Period, percentile: float | None, now: datetime
) -> UserMetrics:
    """What a learner did in a period."""
    parameters = {"owner": learner.owner_id, "first": period.first, "last": period.last}
    rows = (await connection.execute(_DAYS, parameters)).all()
    today = learner.today(now)
    first = period.first or (rows[0].day if rows else None)
    last = period.last or (max(today, rows[-1].day) if rows else None)
    sessions = sum(row.sessions for row in rows)
    seconds = sum(row.microseconds for row in rows) / SECOND
    activities: dict[str, int] = {}
    for row in rows:
        for kind, count in row.activities.items():
            activities[kind] = activities.get(kind, 0) + count
    return UserMetrics(
        timeframe=period.name,
        from_=first,
        to=last,
        sessions=sessions,
        session_seconds=seconds,
        average_session_seconds=round(seconds / sessions, 3) if sessions else 0.0,
        active_days=len(rows),
        activities={kind: count for kind, count in sorted(activities.items()) if count},
        challenges_completed=sum(row.challenges for row in rows),
        consistency=_consistency(len(rows), first, last, today),
        streak=await read_streak(connection, learner, now),
        percentile=percentile,
        by_day=_by_day(rows, first, last),
    )


def _consistency(active: int, first: date | None, last: date | None, today: date) -> float:
    """Share of the days that have begun."""
    if not active or first is None or last is None:
        return 0.0
    return round(active / max(active, (min(last, max(today, first)) - first).days + 1), 4)


def _by_day(rows: Sequence[Any], first: date | None, last: date | None) -> tuple[DayMetrics, ...]:
    if first is None or last is None:
        return ()
    found = {row.day: row for row in rows}
    return tuple(_day(day, found.get(day)) for day in listed_days(first, last, found))


def _day(day: date, row: Any) -> DayMetrics:
    if row is None:
        return DayMetrics(date=day, sessions=0, seconds=0.0, challenges=0)
    return DayMetrics(date=day, sessions=row.sessions, seconds=row.microseconds / SECOND, challenges=row.challenges)
