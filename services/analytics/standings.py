"""Learners among their peers: percentile and leaderboards."""

from collections.abc import Sequence
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
    parameters: dict[str, Any] = {"limit": limit, "period": timeframe, "start": start}
    above: Sequence[Any] = ()
    if near is not None:
        place = (await connection.execute(text(_PLACE.format(ranking)), {**parameters, "near": near})).one_or_none()
        if place is None:
            return TopPerformers(items=())
        around = {**parameters, "value": place.value, "owner": near, "limit": limit // _NEAR_ABOVE}
        above = (await connection.execute(text(_ABOVE.format(ranking)), around)).all()[::-1]
        parameters = {**around, "limit": limit - len(above)}
        rows = [*above, *(await connection.execute(text(_FROM.format(ranking)), parameters)).all()]
    else:
        rows = (await connection.execute(text(_TOP.format(ranking)), parameters)).all()
    ranks = await _ranks(connection, ranking, parameters, {row.value for row in rows})
    return TopPerformers(
        items=tuple(Performer(rank=ranks[row.value], user_id=row.owner_id, value=round(row.value, 4)) for row in rows)
    )


async def _ranks(
    connection: AsyncConnection, ranking: str, parameters: dict[str, Any], values: set[Any]
) -> dict[Any, int]:
    """One more than there are learners with a higher value."""
    if not values:
        return {}
    ordered = sorted(values, reverse=True)
    kept = {name: parameters[name] for name in ("period", "start")}
    higher = await connection.scalar(text(_HIGHER.format(ranking)), {**kept, "value": ordered[0]}) or 0
    between = text(_BETWEEN.format(ranking))
    counts = {
        row.value: row.learners
        for row in await connection.execute(between, {**kept, "low": ordered[-1], "high": ordered[0]})
    }
    ranks: dict[Any, int] = {}
    rank = higher + 1
    for value in sorted(counts, reverse=True):
        ranks[value] = rank
        rank += counts[value]
    return ranks


def _ranking(by: By, timeframe: Timeframe) -> str:
    """The rows that are ranked, as SQL made of our own words."""
    if by == "completed" and timeframe != "all":
        return _IN_PERIOD
    return (_LEARNERS if timeframe == "all" else _ACTIVE_LEARNERS).format(_COLUMNS[by])


_IN_PERIOD = """
    (SELECT owner_id, completed AS value FROM standings
     WHERE period = CAST(:period AS text) AND start = CAST(:start AS date))
"""
_LEARNERS = """
    (SELECT owner_id, {} AS value FROM learners
     WHERE events > 0 AND CAST(:period AS text) = 'all' AND CAST(:start AS date) IS NULL)
"""
_ACTIVE_LEARNERS = """
    (SELECT owner_id, {} AS value FROM learners
     WHERE events > 0 AND CAST(:period AS text) <> 'all' AND last_at >= CAST(:start AS date))
"""
_TOP = """
    SELECT ranked.owner_id, ranked.value FROM {} AS ranked JOIN users ON users.id = ranked.owner_id
    WHERE users.listed ORDER BY ranked.value DESC, ranked.owner_id LIMIT :limit
"""
_PLACE = "SELECT ranked.value FROM {} AS ranked WHERE ranked.owner_id = CAST(:near AS text)"
_ABOVE = """
    SELECT ranked.owner_id, ranked.value FROM {} AS ranked JOIN users ON users.id = ranked.owner_id
    WHERE users.listed AND (ranked.value > :value OR ranked.value = :value AND ranked.owner_id < CAST(:owner AS text))
    ORDER BY ranked.value, ranked.owner_id DESC LIMIT :limit
"""
_FROM = """
    SELECT ranked.owner_id, ranked.value FROM {} AS ranked JOIN users ON users.id = ranked.owner_id
    WHERE (users.listed OR ranked.owner_id = CAST(:owner AS text))
      AND (ranked.value < :value OR ranked.value = :value AND ranked.owner_id >= CAST(:owner AS text))
    ORDER BY ranked.value DESC, ranked.owner_id LIMIT :limit
"""
_HIGHER = "SELECT count(*) FROM {} AS ranked WHERE ranked.value > :value"
_BETWEEN = """
    SELECT ranked.value, count(*) AS learners FROM {} AS ranked
    WHERE ranked.value BETWEEN :low AND :high GROUP BY ranked.value
"""
