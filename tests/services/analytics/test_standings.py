"""Leaderboards against a naive ranking, and that those around a learner are found without looking at all."""

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_core import from_json
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.metrics import TopPerformers
from models.persistence.tables import learners, users
from services.analytics import standings
from services.analytics.scores import add_counts
from services.analytics.standings import By, top_performers

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
COLUMNS: dict[By, str] = {"engagement": "score", "completed": "completed", "mastery": "mastery"}
Rows = list[dict[str, Any]]


async def fill(connection: AsyncConnection, rows: Rows) -> None:
    """Learners with their figures, and the counts of scores that go with them."""
    await connection.execute(
        insert(users), [{"id": row["owner_id"], "role": "learner", "listed": row["listed"]} for row in rows]
    )
    figures = [{name: value for name, value in row.items() if name != "listed"} for row in rows]
    await connection.execute(insert(learners), figures)
    await add_counts(connection, [(None, row["score"]) for row in rows if row["events"]])


def some(chance: random.Random) -> Rows:
    """Learners of few different values, some not listed, one without events."""
    names = [f"{chance.choice('abAB-')}{number}" for number in range(chance.randrange(1, 25))]
    return [
        {
            "owner_id": name,
            "listed": chance.random() < 0.7,
            "events": 0 if number == 3 else 1,
            "score": 0 if number == 3 else chance.randrange(3),
            "completed": 0 if number == 3 else chance.randrange(3),
            "mastery": 0.0 if number == 3 else chance.choice([0.0, 0.25, 1 / 3]),
            "last_at": NOW.replace(day=chance.choice([1, 25])),
        }
        for number, name in enumerate(names)
    ]


def naive(rows: Rows, by: By, limit: int, near: str | None) -> list[tuple[int, str]]:
    """Ranks and users, by sorting everybody."""
    column = COLUMNS[by]
    ordered = sorted((row for row in rows if row["events"]), key=lambda row: (-row[column], row["owner_id"]))
    ranked = [(1 + sum(other[column] > row[column] for other in ordered), row) for row in ordered]
    shown = [(rank, row["owner_id"]) for rank, row in ranked if row["listed"] or row["owner_id"] == near]
    if near is None:
        return shown[:limit]
    place = [user for _, user in shown].index(near)
    first = max(0, place - limit // 2)
    return shown[first : first + limit]


def answer(found: TopPerformers) -> list[tuple[int, str]]:
    return [(one.rank, one.user_id) for one in found.items]


@pytest.mark.parametrize("seed", range(8))
async def test_leaderboards_are_those_of_a_naive_ranking(database: AsyncEngine, seed: int) -> None:
    chance = random.Random(seed)
    rows = some(chance)
    async with database.begin() as connection:
        await fill(connection, rows)
        for by in COLUMNS:
            for limit in (1, 2, 3, 7, 50):
                for near in (None, *(row["owner_id"] for row in rows if row["events"])):
                    found = await top_performers(connection, by, "all", limit, NOW, near)
                    assert answer(found) == naive(rows, by, limit, near), (by, limit, near)
            today = [row for row in rows if row["last_at"].day == NOW.day]
            found = await top_performers(connection, by, "day", 5, NOW) if by != "completed" else None
            assert found is None or answer(found) == naive(today, by, 5, None)


async def test_who_has_no_place_has_no_neighbours(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await fill(connection, some(random.Random(1)))
        for by in COLUMNS:
            assert answer(await top_performers(connection, by, "all", 5, NOW, "nobody")) == []


MANY = """
    INSERT INTO users (id, role, listed) SELECT 'u' || n, 'learner', n % 10 > 0 FROM generate_series(1, {0}) AS n;
    INSERT INTO learners (owner_id, events, score, completed, mastery, last_at)
    SELECT 'u' || n, 1, n % 101, n % 977, (n % 5003) / 5003.0, now() FROM generate_series(1, {0}) AS n;
    INSERT INTO standings (period, start, owner_id, completed)
    SELECT 'week', '2026-11-23', 'u' || n, n % 97 FROM generate_series(1, {0}) AS n
"""
LEARNERS = 30_000
NEAR = "u15207"


@pytest.fixture
async def many(database: AsyncEngine) -> AsyncEngine:
    async with database.begin() as connection:
        for statement in MANY.format(LEARNERS).split(";"):
            await connection.execute(text(statement))
    async with database.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("VACUUM ANALYZE learners, users, standings"))
    return database


async def most_rows(connection: AsyncConnection, query: str, **parameters: Any) -> float:
    """The most rows that any part of the plan gives or throws away."""
    plan = await connection.scalar(text(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {query}"), parameters)
    waiting, most = [(plan if isinstance(plan, list) else from_json(plan))[0]["Plan"]], 0.0
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", ())
        most = max(most, node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    return most


@pytest.mark.parametrize(
    ("by", "timeframe", "value"),
    [("engagement", "all", 57), ("completed", "all", 552), ("mastery", "all", 0.0393), ("completed", "week", 75)],
)
async def test_who_is_around_a_learner_is_read_from_the_index(
    many: AsyncEngine, by: By, timeframe: Any, value: float
) -> None:
    limit = 10
    start = None if timeframe == "all" else datetime(2026, 11, 23, tzinfo=UTC).date()
    parameters = {"period": timeframe, "start": start, "limit": limit, "value": value, "owner": NEAR}
    async with many.connect() as connection:
        ranking = standings._ranking(by, timeframe)
        for query in (standings._TOP, standings._ABOVE, standings._FROM):
            assert await most_rows(connection, query.format(ranking), **parameters) <= 4 * limit
        found = await top_performers(connection, by, timeframe, limit, datetime(2026, 11, 25, tzinfo=UTC), NEAR)
    assert len(found.items) == limit
    assert NEAR in {one.user_id for one in found.items}
