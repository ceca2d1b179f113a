"""Learners among their peers: percentile and leaderboards."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.activity import Timeframe
from models.metrics import Performer, TopPerformers
from services.analytics.learners import Learner
from services.analytics.scores import read_counts
from services.analytics.tallies import period_starts

By = Literal["engagement", "completed", "mastery"]
_COLUMNS = {"engagement": "score", "completed": "completed", "mastery": "mastery"}
_NEAR_ABOVE = 2
"""The caller stands after so many parts of the rows shown."""


def percentile(counts: Sequence[int], score: int) -> float | None:
    """Share of other learners with a strictly lower score; None when there are no others."""
    others = sum(counts) - 1
    return round(sum(counts[:score]) / others, 6) if others > 0 else None


async def read_percentile(connection: AsyncConnection, learner: Learner, now: datetime) -> float | None:
    """The percentile of a learner; None without events. Scores have to be of today (`refresh_scores`)."""
    if learner.known.last is None:
        return None
    _, counts = await read_counts(connection)
    return percentile(counts, learner.engagement(now).score)


async def top_performers(
    connection: AsyncConnection, by: By, timeframe: Timeframe, limit: int, now: datetime, near: str | None = None
) -> TopPerformers:
    """The best listed learners, or those around one. Who is not listed counts, and is not shown.

    Of engagement and mastery, which are as of now, a timeframe shows those who were active in it.
    """
    ranking, start = _ranking(by, timeframe), period_starts(now.astimezone(UTC).date()).get(timeframe)
    period = {"period": timeframe, "start": start}
    if near is None:
        rows = await _rows(connection, _TOP, ranking, {**period, "limit": limit})
    else:
        rows = await _around(connection, ranking, period, limit, near)
    values = {row.value for row in rows}
    if by == "engagement" and timeframe == "all":
        ranks = _ranks_of_scores((await read_counts(connection))[1], values)
    else:
        ranks = await _ranks(connection, _ranking(by, timeframe, counted=True), period, values)
    return TopPerformers(
        items=tuple(Performer(rank=ranks[row.value], user_id=row.owner_id, value=round(row.value, 4)) for row in rows)
    )


async def _around(
    connection: AsyncConnection, ranking: str, period: Mapping[str, Any], limit: int, owner_id: str
) -> Sequence[Any]:
    place = await _rows(connection, _PLACE, ranking, {**period, "owner": owner_id})
    if not place:
        return ()
    around = {**period, "value": place[0].value, "owner": owner_id}
    above = await _rows(connection, _ABOVE, ranking, {**around, "limit": limit // _NEAR_ABOVE})
    return [*reversed(above), *await _rows(connection, _FROM, ranking, {**around, "limit": limit - len(above)})]


async def _rows(connection: AsyncConnection, query: str, ranking: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    return (await connection.execute(text(query.format(ranking)), parameters)).all()


def _ranks_of_scores(counts: Sequence[int], scores: set[int]) -> dict[Any, int]:
    """One more than there are learners with a higher score."""
    return {score: 1 + sum(counts[score + 1 :]) for score in scores}


async def _ranks(
    connection: AsyncConnection, ranking: str, period: Mapping[str, Any], values: set[Any]
) -> dict[Any, int]:
    """One more than there are learners with a higher value."""
    if not values:
        return {}
    low, high = min(values), max(values)
    (above,) = await _rows(connection, _HIGHER, ranking, {**period, "value": high})
    counts = await _rows(connection, _BETWEEN, ranking, {**period, "low": low, "high": high})
    ranks: dict[Any, int] = {}
    rank = 1 + above.learners
    for row in sorted(counts, key=lambda row: row.value, reverse=True):
        ranks[row.value] = rank
        rank += row.learners
    return {**ranks, low: rank}


def _ranking(by: By, timeframe: Timeframe, *, counted: bool = False) -> str:
    """The rows that are ranked, as SQL made of our own words.

    `counted`: for counting those above a value. Rows of learners without events have the lowest, 0, and are above
    none, so that the index has all it takes.
    """
    if by == "completed" and timeframe != "all":
        return _IN_PERIOD
    condition = "true" if counted else "events > 0"
    return (_LEARNERS if timeframe == "all" else _ACTIVE_LEARNERS).format(_COLUMNS[by], condition)


_IN_PERIOD = """
    (SELECT owner_id, completed AS value FROM standings
     WHERE period = CAST(:period AS text) AND start = CAST(:start AS date))
"""
_LEARNERS = "(SELECT owner_id, {} AS value FROM learners WHERE {})"
_ACTIVE_LEARNERS = "(SELECT owner_id, {} AS value FROM learners WHERE {} AND last_at >= CAST(:start AS date))"
_TOP = """
    SELECT ranked.owner_id, ranked.value FROM {} AS ranked JOIN users ON users.id = ranked.owner_id
    WHERE users.listed ORDER BY ranked.value DESC, ranked.owner_id LIMIT :limit
"""
_PLACE = "SELECT ranked.value FROM {} AS ranked WHERE ranked.owner_id = CAST(:owner AS text)"
# Equals and others apart: each is one range of the index, and ends after so many rows.
_ABOVE = """
    SELECT owner_id, value FROM (
        (SELECT ranked.owner_id, ranked.value FROM {0} AS ranked JOIN users ON users.id = ranked.owner_id
         WHERE users.listed AND ranked.value = :value AND ranked.owner_id < CAST(:owner AS text)
         ORDER BY ranked.owner_id DESC LIMIT :limit)
        UNION ALL
        (SELECT ranked.owner_id, ranked.value FROM {0} AS ranked JOIN users ON users.id = ranked.owner_id
         WHERE users.listed AND ranked.value > :value ORDER BY ranked.value, ranked.owner_id DESC LIMIT :limit)
    ) AS above ORDER BY value, owner_id DESC LIMIT :limit
"""
_FROM = """
    SELECT owner_id, value FROM (
        (SELECT ranked.owner_id, ranked.value FROM {0} AS ranked JOIN users ON users.id = ranked.owner_id
         WHERE (users.listed OR ranked.owner_id = CAST(:owner AS text))
           AND ranked.value = :value AND ranked.owner_id >= CAST(:owner AS text)
         ORDER BY ranked.owner_id LIMIT :limit)
        UNION ALL
        (SELECT ranked.owner_id, ranked.value FROM {0} AS ranked JOIN users ON users.id = ranked.owner_id
         WHERE users.listed AND ranked.value < :value ORDER BY ranked.value DESC, ranked.owner_id LIMIT :limit)
    ) AS below ORDER BY value DESC, owner_id LIMIT :limit
"""
_HIGHER = "SELECT count(*) AS learners FROM {} AS ranked WHERE ranked.value > :value"
_BETWEEN = """
    SELECT ranked.value, count(*) AS learners FROM {} AS ranked
    WHERE ranked.value > :low AND ranked.value <= :high GROUP BY ranked.value
"""
