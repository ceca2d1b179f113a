"""How many learners have each engagement score, and bringing scores to a new day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.analytics.activities import day_number
from services.analytics.engagement import engagement

SCORES = 101
_QUARTER = timedelta(minutes=15)
"""Local days begin at multiples of it in UTC, in every zone in use."""
_CHUNK = 5_000

_ADD = text("""
    INSERT INTO score_counts AS counts (shard, version, learners)
    VALUES (pg_backend_pid() % 8, 1, CAST(:changes AS integer[]))
    ON CONFLICT (shard) DO UPDATE SET version = counts.version + 1, learners = ARRAY(
        SELECT mine + added FROM unnest(counts.learners, excluded.learners) WITH ORDINALITY
        AS paired (mine, added, place) ORDER BY place)
""")
_READ = text("SELECT version, learners FROM score_counts")
_REFRESHED = text("SELECT at FROM score_refreshes")
_ZONES = text("""
    SELECT DISTINCT users.timezone, CASE WHEN users.timezone IS NULL THEN learners.utc_offset ELSE 0 END AS utc_offset
    FROM learners JOIN users ON users.id = learners.owner_id WHERE learners.events > 0
""")
_OUTDATED = text("""
    SELECT learners.owner_id, learners.last_day, learners.active, learners.performance, learners.score, zones.today
    FROM learners JOIN users ON users.id = learners.owner_id
    JOIN unnest(CAST(:zones AS text[]), CAST(:offsets AS integer[]), CAST(:todays AS date[]))
         AS zones (zone, utc_offset, today)
      ON zones.zone IS NOT DISTINCT FROM users.timezone
     AND zones.utc_offset = CASE WHEN users.timezone IS NULL THEN learners.utc_offset ELSE 0 END
    WHERE learners.events > 0 AND learners.score_day IS DISTINCT FROM zones.today
    ORDER BY learners.owner_id LIMIT :chunk FOR UPDATE OF learners
""")
_UPDATE = text("""
    UPDATE learners SET score = new.score, score_day = new.today
    FROM unnest(CAST(:owners AS text[]), CAST(:scores AS smallint[]), CAST(:todays AS date[]))
         AS new (owner_id, score, today)
    WHERE learners.owner_id = new.owner_id
""")
_MARK = text("""
    INSERT INTO score_refreshes (at) VALUES (:at) ON CONFLICT (id) DO UPDATE SET at = greatest(score_refreshes.at, :at)
""")


async def add_counts(connection: AsyncConnection, changes: Sequence[tuple[int | None, int | None]]) -> None:
    """Learners whose score went from one to another; None is a learner who had none, or is gone.

    Last in a transaction: others that use the same shard wait for its end.
    """
    counts = [0] * SCORES
    for old, new in changes:
        if old is not None:
            counts[old] -= 1
        if new is not None:
            counts[new] += 1
    if any(counts):
        await connection.execute(_ADD, {"changes": counts})


async def read_counts(connection: AsyncConnection) -> tuple[int, list[int]]:
    """A version that grows with every change, and how many learners have each score."""
    version, counts = 0, [0] * SCORES
    for row in await connection.execute(_READ):
        version += row.version
        counts = [mine + others for mine, others in zip(counts, row.learners, strict=True)]
    return version, counts


async def refresh_scores(database: AsyncEngine, now: datetime) -> int:
    """Bring the scores of learners whose local day has changed to their new day; how many there were.

    Whoever reads standings calls this first: nearly always it is one small query.
    """
    async with database.connect() as connection:
        last = await connection.scalar(_REFRESHED)
    if are_refreshed(last, now):
        return 0
    changed = 0
    while True:
        async with database.begin() as connection:
            rows = await _outdated(connection, now)
            await _update(connection, rows)
            changed += len(rows)
            if len(rows) < _CHUNK:
                await connection.execute(_MARK, {"at": _quarter(now)})
                return changed


def are_refreshed(last: datetime | None, now: datetime) -> bool:
    """Whether no local day has begun since scores were brought to their day at `last`."""
    return last is not None and last >= _quarter(now)


def _quarter(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=now.minute // 15 * 15, second=0, microsecond=0)


def today_in(now: datetime, zone: str | None, offset: int) -> date:
    """The local day: in a zone of the time zone database, else at an offset in seconds."""
    if zone is not None:
        return now.astimezone(ZoneInfo(zone)).date()
    return (now.astimezone(UTC) + timedelta(seconds=offset)).date()


async def _outdated(connection: AsyncConnection, now: datetime) -> Sequence[Any]:
    zones = (await connection.execute(_ZONES)).all()
    parameters = {
        "zones": [row.timezone for row in zones],
        "offsets": [row.utc_offset for row in zones],
        "todays": [today_in(now, row.timezone, row.utc_offset) for row in zones],
        "chunk": _CHUNK,
    }
    return (await connection.execute(_OUTDATED, parameters)).all()


async def _update(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    scores = [
        engagement(day_number(row.last_day), row.active, row.performance, day_number(row.today)).score for row in rows
    ]
    new = {"owners": [row.owner_id for row in rows], "scores": scores, "todays": [row.today for row in rows]}
    await connection.execute(_UPDATE, new)
    await add_counts(connection, [(row.score, score) for row, score in zip(rows, scores, strict=True)])
