from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.badges import NewBadge
from services.analytics.badge_rules import Rules
from services.analytics.custom_badges import as_badge, create_badge
from services.analytics.ingest import Ingest
from services.analytics.rebuild import outdated_learners, rebuild, who_would_earn
from services.analytics.recompute import Audit, audit, repair
from tests.services.analytics.conftest import GRADER, NOW
from tests.services.analytics.test_ingest import a_month_of, count, everything

Make = Callable[..., dict[str, Any]]
GAP = 1_800.0
TEN = NewBadge.model_validate(
    {"id": "ten", "name": "Ten", "rule": {"kinds": ["challenge.completed"], "aggregate": "count", "threshold": 10}}
)


async def found_by(database: AsyncEngine) -> Audit:
    *_, last = [found async for found in audit(database, GAP, NOW)]
    return last


async def test_nothing_differs_from_the_events(database: AsyncEngine, ingest: Ingest, completed: Make) -> None:
    await ingest.take(enumerate(a_month_of(completed)), GRADER, NOW)
    found = await found_by(database)
    assert (found.learners, found.events, found.differences) == (2, 160, [])


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE learner_days SET challenges = challenges + 1 WHERE owner_id = 'ada'",
        "DELETE FROM learner_days WHERE owner_id = 'bob'",
        "UPDATE learners SET state = replace(state, 'challenges', 'chances') WHERE owner_id = 'ada'",
        "UPDATE analytics_days SET sessions = sessions + 3 WHERE day = (SELECT min(day) FROM analytics_days)",
        "UPDATE learners SET completed = completed + 1 WHERE owner_id = 'bob'",
        "UPDATE learners SET score = 3 WHERE owner_id = 'bob'",
        "UPDATE score_counts SET learners[5] = learners[5] + 2",
        "UPDATE standings SET completed = completed + 5 WHERE period = 'month'",
        "DELETE FROM standings WHERE owner_id = 'ada'",
        "DELETE FROM achievements WHERE key LIKE 'level:%'",
        "INSERT INTO achievements VALUES ('ada', 'level:legend', 'Level legend', 'level', now())",
        "DELETE FROM awards WHERE owner_id = 'ada'",
        "UPDATE awards SET awarded_at = awarded_at + interval '1 hour' WHERE owner_id = 'bob'",
    ],
)
async def test_what_differs_is_told_and_repaired(
    database: AsyncEngine, ingest: Ingest, completed: Make, damage: str
) -> None:
    await ingest.take(enumerate(a_month_of(completed)), GRADER, NOW)
    right = await everything(database)
    async with database.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # rules of the tables are off
        await connection.execute(text(damage))
    found = await found_by(database)
    assert found.differences
    await repair(database, found, GAP, NOW)
    assert (await found_by(database)).differences == []
    assert await everything(database) == right


async def test_new_badge_looks_back_and_tells_nobody(database: AsyncEngine, ingest: Ingest, completed: Make) -> None:
    events = [completed(n, NOW - timedelta(hours=20 - n)) for n in range(12)]
    await ingest.take(enumerate(events), GRADER, NOW)
    async for seen, earned in who_would_earn(database, Rules([as_badge(TEN, 1)])):
        assert (seen, earned) == (1, [("ada", NOW - timedelta(hours=11))])
    async with database.begin() as connection:
        await create_badge(connection, TEN, "admin")
    told = await count(database, "outbox")
    old, after = await outdated_learners(database, "")
    assert (old, after) == (["ada"], None)
    assert await rebuild(database, old, GAP, NOW) == 1
    assert await outdated_learners(database, "") == ([], None)
    assert await count(database, "outbox") == told
    assert await count(database, "awards WHERE badge_id = 'ten' AND event_id = 'e9'") == 1


async def test_next_event_brings_a_new_badge_to_its_learner(
    database: AsyncEngine, ingest: Ingest, completed: Make
) -> None:
    await ingest.take(enumerate([completed(n, NOW - timedelta(hours=20 - n)) for n in range(9)]), GRADER, NOW)
    async with database.begin() as connection:
        await create_badge(connection, TEN, "admin")
    await ingest.take([(0, completed(9, NOW))], GRADER, NOW)
    assert await count(database, "awards WHERE badge_id = 'ten' AND event_id = 'e9'") == 1
    assert await count(database, "outbox WHERE data ->> 'badge' = 'ten' AND type = 'analytics.badge-awarded'") == 1


async def test_revoked_badge_is_never_given_again_by_itself(
    database: AsyncEngine, ingest: Ingest, completed: Make
) -> None:
    await ingest.take([(0, completed(1, NOW))], GRADER, NOW)
    async with database.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO award_changes (award_id, change, actor_id, reason) "
                "SELECT id, 'revoked', 'admin', 'x' FROM awards WHERE badge_id = 'first-challenge'"
            )
        )
    await ingest.take([(0, completed(0, NOW - timedelta(days=3))), (1, completed(2, NOW))], GRADER, NOW)
    assert await count(database, "awards WHERE badge_id = 'first-challenge'") == 1
    assert await count(database, "outbox WHERE data ->> 'badge' = 'first-challenge' AND type LIKE '%awarded'") == 1
