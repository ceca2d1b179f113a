"""Adding to the sums by day: of learners by their local days, of all by days in UTC, and of who completed how much."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.activity import ActivityKind
from services.analytics.activities import Activity, day_of
from services.analytics.timeline import Tallies, Tally

_ADD_LEARNER_DAYS = text("""
    INSERT INTO learner_days AS days (owner_id, day, events, sessions, microseconds, challenges, score, activities)
    SELECT * FROM unnest(CAST(:owner_id AS text[]), CAST(:day AS date[]), CAST(:events AS integer[]),
                         CAST(:sessions AS integer[]), CAST(:microseconds AS bigint[]),
                         CAST(:challenges AS integer[]), CAST(:score AS bigint[]), CAST(:activities AS jsonb[]))
    ON CONFLICT (owner_id, day) DO UPDATE SET
        events = days.events + excluded.events,
        sessions = days.sessions + excluded.sessions,
        microseconds = days.microseconds + excluded.microseconds,
        challenges = days.challenges + excluded.challenges,
        score = days.score + excluded.score,
        activities = (
            SELECT coalesce(jsonb_object_agg(kind, total), '{}') FROM (
                SELECT kind, sum(CAST(count AS bigint)) AS total FROM (
                    SELECT * FROM jsonb_each_text(days.activities)
                    UNION ALL SELECT * FROM jsonb_each_text(excluded.activities)
                ) AS counted (kind, count) GROUP BY kind
            ) AS sums
        )
""")
_ADD_UTC_DAYS = text("""
    INSERT INTO analytics_days AS days (day, shard, events, active, sessions, microseconds, challenges, score)
    SELECT day, pg_backend_pid() % 8, events, active, sessions, microseconds, challenges, score
    FROM unnest(CAST(:day AS date[]), CAST(:events AS bigint[]), CAST(:active AS bigint[]),
                CAST(:sessions AS bigint[]), CAST(:microseconds AS bigint[]), CAST(:challenges AS bigint[]),
                CAST(:score AS bigint[])) AS new (day, events, active, sessions, microseconds, challenges, score)
    ON CONFLICT (day, shard) DO UPDATE SET
        events = days.events + excluded.events,
        active = days.active + excluded.active,
        sessions = days.sessions + excluded.sessions,
        microseconds = days.microseconds + excluded.microseconds,
        challenges = days.challenges + excluded.challenges,
        score = days.score + excluded.score
""")
_ADD_STANDINGS = text("""
    INSERT INTO standings AS held (period, start, owner_id, completed)
    SELECT * FROM unnest(CAST(:period AS text[]), CAST(:start AS date[]), CAST(:owner_id AS text[]),
                         CAST(:completed AS integer[]))
    ON CONFLICT (period, start, owner_id) DO UPDATE SET completed = held.completed + excluded.completed
""")
_STANDINGS_OF = text("SELECT * FROM standings WHERE owner_id = ANY(CAST(:owners AS text[]))")
_DROP_STANDINGS = text("""
    DELETE FROM standings WHERE (period, start) IN (
        SELECT period, start FROM (SELECT DISTINCT period, start FROM standings) AS held
        JOIN unnest(CAST(:periods AS text[]), CAST(:starts AS date[])) AS current (name, since) ON name = period
        WHERE start < since)
""")
Standings = dict[tuple[str, date], int]
"""Completed challenges by period and its first day."""
_FIGURES = ("events", "sessions", "microseconds", "challenges", "score")


async def add_learner_days(connection: AsyncConnection, tallies: Mapping[str, Tallies]) -> None:
    """Add what changed of learners, by learner. Their rows are locked by whoever holds the learner's."""
    rows = [
        {"owner_id": owner, "day": day_of(day), "activities": to_json(tally.activities).decode(), **_figures(tally)}
        for owner in sorted(tallies)
        for day, tally in sorted(tallies[owner].items())
    ]
    await _add(connection, _ADD_LEARNER_DAYS, rows)


async def add_utc_days(connection: AsyncConnection, tallies: Tallies) -> None:
    """Add what changed of all. Near the end of a transaction: others that use the same shard wait for its end."""
    rows = [
        {"day": day_of(day), "active": tally.active, **_figures(tally)}
        for day, tally in sorted(tallies.items())
        if not tally.is_zero
    ]
    await _add(connection, _ADD_UTC_DAYS, rows)


async def add_standings(connection: AsyncConnection, events: Iterable[Activity], today: date) -> None:
    """Count completed challenges of the periods that are going on, or about to begin."""
    current = period_starts(today)
    counts: dict[tuple[str, date, str], int] = {}
    for event in events:
        if event.kind == ActivityKind.COMPLETED:
            for period, start in period_starts(day_of(event.utc_day)).items():
                if start >= current[period]:
                    key = (period, start, event.owner_id)
                    counts[key] = counts.get(key, 0) + 1
    rows = [
        {"period": period, "start": start, "owner_id": owner, "completed": count}
        for (period, start, owner), count in sorted(counts.items())
    ]
    await _add(connection, _ADD_STANDINGS, rows)


def standings_of(utc_days: Tallies, today: date) -> Standings:
    """Completed challenges of a learner in the periods that are going on, or about to begin."""
    current, found = period_starts(today), dict[tuple[str, date], int]()
    for day, tally in utc_days.items():
        for period, start in period_starts(day_of(day)).items():
            if tally.challenges and start >= current[period]:
                found[period, start] = found.get((period, start), 0) + tally.challenges
    return found


async def read_standings(connection: AsyncConnection, owners: Sequence[str], today: date) -> dict[str, Standings]:
    """The same as the table says it, of those who have any."""
    current, found = period_starts(today), dict[str, Standings]()
    for row in await connection.execute(_STANDINGS_OF, {"owners": list(owners)}):
        if row.start >= current[row.period] and row.completed:
            found.setdefault(row.owner_id, {})[row.period, row.start] = row.completed
    return found


async def correct_standings(connection: AsyncConnection, utc_days: Mapping[str, Tallies], today: date) -> None:
    """Add what is missing of some learners, whose rows are locked."""
    held = await read_standings(connection, list(utc_days), today)
    rows: list[dict[str, Any]] = []
    for owner in sorted(utc_days):
        right, has = standings_of(utc_days[owner], today), held.get(owner, {})
        for period, start in sorted({*right, *has}):
            missing = right.get((period, start), 0) - has.get((period, start), 0)
            if missing:
                rows.append({"period": period, "start": start, "owner_id": owner, "completed": missing})
    await _add(connection, _ADD_STANDINGS, rows)


async def drop_standings(connection: AsyncConnection, today: date) -> int:
    """Drop those of periods that were over yesterday; how many rows there were."""
    current = period_starts(today - timedelta(days=1))
    parameters = {"periods": list(current), "starts": list(current.values())}
    return (await connection.execute(_DROP_STANDINGS, parameters)).rowcount


def period_starts(day: date) -> dict[str, date]:
    """First days of the calendar day, week (from Monday) and month that a day is in."""
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}


def _figures(tally: Tally) -> dict[str, int]:
    return {name: getattr(tally, name) for name in _FIGURES}


async def _add(connection: AsyncConnection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement, {name: [row[name] for row in rows] for name in rows[0]})
