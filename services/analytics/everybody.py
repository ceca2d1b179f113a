"""Metrics over all learners: sums by day in UTC, trends, stickiness and retention."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.metrics import Cohort, Cohorts, GlobalDay, GlobalMetrics, Stickiness, Trend, TrendDay
from services.analytics.activities import SECOND
from services.analytics.history import count_active
from services.analytics.timeframes import Period, days_between, listed_days
from services.analytics.timeline import HUNDREDTHS

Metric = Literal["sessions", "seconds", "active_users", "challenges", "score"]
_DAYS = text("""
    SELECT day, sum(events) AS events, sum(active) AS active, sum(sessions) AS sessions,
           sum(microseconds) AS microseconds, sum(challenges) AS challenges, sum(score) AS score
    FROM analytics_days
    WHERE day BETWEEN coalesce(CAST(:first AS date), '-infinity') AND coalesce(CAST(:last AS date), 'infinity')
    GROUP BY day HAVING sum(events) > 0 ORDER BY day
""")
_LEARNER_DAYS = text("""
    SELECT day, events, 1 AS active, sessions, microseconds, challenges, score FROM learner_days
    WHERE owner_id = :owner AND events > 0 AND day BETWEEN :first AND :last ORDER BY day
""")
_LEARNERS = text("""
    SELECT count(*) AS learners,
           count(*) FILTER (WHERE last_at >= CAST(:today AS date)) AS daily,
           count(*) FILTER (WHERE last_at >= CAST(:today AS date) - 6) AS weekly,
           count(*) FILTER (WHERE last_at >= CAST(:today AS date) - 29) AS monthly
    FROM learners WHERE events > 0
""")
_COHORTS = text("""
    SELECT CAST(date_trunc(:by, learners.first_day) AS date) AS cohort,
           CAST(date_trunc(:by, days.day) AS date) AS period, count(DISTINCT days.owner_id) AS learners
    FROM learners JOIN learner_days AS days USING (owner_id)
    WHERE learners.first_day >= :first AND days.day >= :first AND days.events > 0 GROUP BY 1, 2
""")


async def read_global_metrics(connection: AsyncConnection, period: Period, now: datetime) -> GlobalMetrics:
    """What all learners did in a period of days in UTC, in one transaction."""
    today = now.astimezone(UTC).date()
    parameters = {"first": period.first, "last": period.last}
    rows = (await connection.execute(_DAYS, parameters)).all()
    known = (await connection.execute(_LEARNERS, {"today": today})).one()
    active = known.learners if period.name == "all" else await _active(connection, period)
    first = period.first or (rows[0].day if rows else None)
    last = period.last or (max(today, rows[-1].day) if rows else None)
    sessions = int(sum(row.sessions for row in rows))
    seconds = float(sum(row.microseconds for row in rows)) / SECOND
    challenges = int(sum(row.challenges for row in rows))
    found = {row.day: row for row in rows}
    return GlobalMetrics(
        timeframe=period.name,
        from_=first,
        to=last,
        learners=known.learners,
        active_users=active,
        sessions=sessions,
        session_seconds=seconds,
        average_session_seconds=round(seconds / sessions, 3) if sessions else 0.0,
        challenges_completed=challenges,
        events=int(sum(row.events for row in rows)),
        average_score=round(float(sum(row.score for row in rows)) / HUNDREDTHS / challenges, 4) if challenges else None,
        stickiness=Stickiness(
            daily=known.daily,
            weekly=known.weekly,
            monthly=known.monthly,
            ratio=round(known.daily / known.monthly, 4) if known.monthly else None,
        ),
        by_day=()
        if first is None or last is None
        else tuple(_day(day, found) for day in listed_days(first, last, found)),
    )


async def read_trend(
    connection: AsyncConnection, metric: Metric, days: int, today: date, owner_id: str | None = None
) -> Trend:
    """A metric over the last days: of a learner by local days, else of all by days in UTC."""
    first = today - timedelta(days=days - 1)
    if owner_id is None:
        rows = (await connection.execute(_DAYS, {"first": first, "last": today})).all()
    else:
        parameters = {"owner": owner_id, "first": first, "last": today}
        rows = (await connection.execute(_LEARNER_DAYS, parameters)).all()
    found = {row.day: _value(metric, row) for row in rows}
    nothing = None if metric == "score" else 0.0
    listed = tuple(
        TrendDay(date=day, value=found.get(day, nothing), partial=day == today) for day in days_between(first, today)
    )
    return Trend(metric=metric, days=listed, slope=_slope([day.value for day in listed if not day.partial]))


async def read_cohorts(connection: AsyncConnection, by: Literal["week", "month"], periods: int, today: date) -> Cohorts:
    """Retention of learners who began in one of the last `periods` weeks or months."""
    starts = [_start(by, today)]
    while len(starts) < periods:
        starts.append(_start(by, starts[-1] - timedelta(days=1)))
    starts.reverse()
    rows = (await connection.execute(_COHORTS, {"by": by, "first": starts[0]})).all()
    active = {(row.cohort, row.period): row.learners for row in rows}
    items: list[Cohort] = []
    for place, cohort in enumerate(starts):
        size = active.get((cohort, cohort), 0)
        if size:
            later = starts[place:]
            shares = [round(active.get((cohort, period), 0) / size, 4) for period in later]
            retention = (*shares, *[None] * (periods - len(shares)))
            items.append(Cohort(period=cohort, learners=size, retention=retention))
    return Cohorts(by=by, items=tuple(items))


async def _active(connection: AsyncConnection, period: Period) -> int:
    first = None if period.first is None else datetime.combine(period.first, time(), UTC)
    after = None
    if period.last is not None and period.last < date.max:
        after = datetime.combine(period.last + timedelta(days=1), time(), UTC)
    return await count_active(connection, first, after)


def _start(by: str, day: date) -> date:
    return day.replace(day=1) if by == "month" else day - timedelta(days=day.weekday())


def _day(day: date, found: dict[date, Any]) -> GlobalDay:
    row = found.get(day)
    if row is None:
        return GlobalDay(date=day, active_users=0, sessions=0, seconds=0.0, challenges=0)
    return GlobalDay(
        date=day,
        active_users=int(row.active),
        sessions=int(row.sessions),
        seconds=float(row.microseconds) / SECOND,
        challenges=int(row.challenges),
    )


def _value(metric: Metric, row: Any) -> float | None:
    match metric:
        case "sessions":
            return float(row.sessions)
        case "seconds":
            return float(row.microseconds) / SECOND
        case "active_users":
            return float(row.active)
        case "challenges":
            return float(row.challenges)
        case "score":
            return round(float(row.score) / HUNDREDTHS / int(row.challenges), 4) if row.challenges else None


def _slope(values: Sequence[float | None]) -> float | None:
    """Of the line of least squares through the days that have a value."""
    points = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(points) < 2:  # noqa: PLR2004 - of a line
        return None
    mean_x = sum(place for place, _ in points) / len(points)
    mean_y = sum(value for _, value in points) / len(points)
    spread = sum((place - mean_x) ** 2 for place, _ in points)
    return round(sum((place - mean_x) * (value - mean_y) for place, value in points) / spread, 6)
