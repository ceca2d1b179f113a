"""Who waits for a worker: users take turns, and a step's priority comes before that."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

import workers.runtime
from models.identity import Caller, Role
from models.persistence.tables import run_steps, users
from tests.e2e.conftest import step
from tests.workflows.conftest import Engine, running_engine

EVE = Caller(user_id="eve", role=Role.ADMIN)


@pytest.fixture
async def busy_engine(temporal: Client, database: AsyncEngine) -> AsyncIterator[Engine]:
    """An engine whose worker does two steps at once."""
    with patch.object(workers.runtime, "ACTIVITIES", 2):
        async with running_engine(temporal, database) as engine:
            async with database.begin() as connection:
                await connection.execute(upsert(users).values(id=EVE.user_id, role="admin").on_conflict_do_nothing())
            yield engine


def sleeps(name: str, count: int, **options: Any) -> dict[str, Any]:
    steps = [step(f"{name}{n}", "sleep", input={"seconds": 0.05}, **options) for n in range(count)]
    return {"id": f"sleeps-{name}", "steps": steps}


async def ended_in_order(engine: Engine) -> list[str]:
    async with engine.database.connect() as connection:
        return list(await connection.scalars(select(run_steps.c.step_id).order_by(run_steps.c.ended_at)))


async def test_a_user_with_many_steps_does_not_keep_others_waiting(busy_engine: Engine) -> None:
    many = await busy_engine.start(sleeps("a", 150))
    async with asyncio.timeout(30):
        while len((await many.describe()).raw_description.pending_activities) < 120:  # noqa: ASYNC110 - Temporal knows
            await asyncio.sleep(0.01)
    few = await busy_engine.start(sleeps("e", 3), caller=EVE)
    await few.result()
    await many.result()
    order = await ended_in_order(busy_engine)
    assert max(order.index(f"e{n}") for n in range(3)) < 100


async def test_steps_of_a_higher_priority_come_first(busy_engine: Engine) -> None:
    raw = sleeps("a", 40)
    raw["steps"] += sleeps("p", 3, priority=1)["steps"]
    await busy_engine.run(raw)
    order = await ended_in_order(busy_engine)
    assert max(order.index(f"p{n}") for n in range(3)) < 20
