from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import ConflictError, NotFoundError
from models.identity import Caller, NewKey, Role
from models.metrics import NewProfile
from models.runs import StepStatus
from services.analytics.awards import award_by_hand, list_awards, revoke_award
from services.analytics.custom_badges import load_rules
from services.analytics.erasure import erase_user
from services.analytics.ingest import Ingest
from services.analytics.learners import save_profile
from services.identity.keys import create_key
from services.orchestration.runs import NewRun, StepRecord, open_run, record_steps
from tests.services.analytics.conftest import GRADER, NOW
from tests.services.analytics.test_ingest import count

ADA = "ada-lovelace"


async def everything_with(connection: AsyncConnection, what: str) -> list[str]:
    """Tables in which a text is found, in any column."""
    tables = await connection.scalars(
        text("SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")
    )
    found: list[str] = []
    for table in tables.all():
        query = text(f"SELECT count(*) FROM {table} AS row WHERE CAST(row AS text) LIKE :pattern")
        if await connection.scalar(query, {"pattern": f"%{what}%"}):
            found.append(table)
    return found


async def a_full_life(database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]) -> None:
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id=ADA, role=Role.LEARNER, name="laptop"), actor_id="admin")
        await save_profile(connection, ADA, NewProfile(timezone="Europe/London"), ADA)
    events = [completed(n, NOW - timedelta(hours=9 * n), user=ADA, score=100) for n in range(30)]
    await ingest.take(enumerate(events), GRADER, NOW)
    caller = Caller(user_id=ADA, role=Role.LEARNER)
    async with database.begin() as connection:
        run = NewRun("run-1", "greet", 1, caller, "api", {"name": ADA}, {"for": ADA})
        await open_run(connection, run)
        step = StepRecord("run-1", "a", ADA, StepStatus.SUCCEEDED, 1, NOW, NOW, output={"hello": ADA}, output_bytes=9)
        await record_steps(connection, [step])
        rules = await load_rules(connection)
        award = await award_by_hand(connection, rules, ADA, "code-master", "admin", NOW, f"for {ADA}")
        await revoke_award(connection, award.award_id, "admin", f"{ADA} copied")


async def test_erased_person_is_found_in_no_table(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    await a_full_life(database, ingest, completed)
    async with database.begin() as connection:
        assert len(await everything_with(connection, ADA)) > 10
        before = await connection.scalar(text("SELECT sum(challenges) FROM analytics_days"))
        awards = len(await list_awards(connection, ADA))
        runs = await erase_user(connection, ADA, "erased-1", "admin")
    assert list(runs) == ["run-1"]
    async with database.connect() as connection:
        assert await everything_with(connection, ADA) == []
        assert await connection.scalar(text("SELECT sum(challenges) FROM analytics_days")) == before == 30
        assert len(await list_awards(connection, "erased-1")) == awards > 3
        assert await connection.scalar(text("SELECT sum(n) FROM score_counts, unnest(learners) AS n")) == 0
    assert await count(database, "audit WHERE actor_id = 'erased-1' OR target = 'user/erased-1'") > 0


async def test_events_of_an_erased_person_do_not_come_back(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    event = completed(1, NOW, user=ADA)
    await ingest.take([(0, event)], GRADER, NOW)
    async with database.begin() as connection:
        await erase_user(connection, ADA, "erased-2", "admin")
    assert (await ingest.take([(0, event)], GRADER, NOW)).duplicate == 1
    assert await count(database, "activity_events") == 0
    assert await count(database, "users WHERE id = 'ada-lovelace'") == 0


async def test_awards_and_audit_still_cannot_be_changed_otherwise(
    database: AsyncEngine, ingest: Ingest, completed: Callable[..., dict[str, Any]]
) -> None:
    await ingest.take([(0, completed(1, NOW, user=ADA))], GRADER, NOW)
    for statement in ("UPDATE awards SET badge_id = 'x'", "DELETE FROM awards", "UPDATE audit SET actor_id = 'x'"):
        with pytest.raises(Exception, match="is refused: its rows are written once"):
            async with database.begin() as connection:
                await connection.execute(text(statement))


async def test_admins_and_strangers_are_not_erased(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id="boss", role=Role.ADMIN, name="x"), actor_id="boss")
        with pytest.raises(ConflictError):
            await erase_user(connection, "boss", "erased-3", "boss")
        with pytest.raises(NotFoundError):
            await erase_user(connection, "nobody", "erased-4", "boss")
