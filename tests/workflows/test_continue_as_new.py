"""Runs whose history grows too long go on in a new one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory

from models.persistence.tables import flow_counters, runs
from tests.e2e.conftest import step
from tests.e2e.records import assert_record_is_true, parts_of
from tests.workflows.conftest import Engine, running_engine
from tests.workflows.short_histories import history_limit

LIMIT = 60


@pytest.fixture
async def engine(temporal: Client, database: AsyncEngine) -> AsyncIterator[Engine]:
    with history_limit(LIMIT):
        async with running_engine(temporal, database) as engine:
            yield engine


async def test_values_counters_and_failures_cross_over_and_no_step_runs_twice(engine: Engine) -> None:
    key, text = f"long-{uuid4()}", "x" * 5_000
    chain = [step(f"c{n}", "count", input={"key": key}, depends_on=[f"c{n - 1}"] if n else []) for n in range(40)]
    steps = [
        step("small", input={"value": {"n": 7}}),
        step("large", input={"value": {"text": text, "n": 8}}),
        step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, on_error="continue"),
        *chain,
        step("late", depends_on=["c39"], input={"value": ["from:small.value.n", "from:large.value", "from:bad ?? 9"]}),
    ]
    output = {"late": "from:late.value", "count": "from:c39.value", "large": "from:large.value.n"}
    handle = await engine.start({"id": "long", "steps": steps, "output": output})
    await handle.result()
    parts = await parts_of(engine.client, handle.id)
    assert len(parts) > 2
    assert max(len(part.events) for part in parts) < LIMIT + 20
    async with engine.database.connect() as connection:
        found = await connection.scalar(select(runs.c.output))
        assert await connection.scalar(select(flow_counters.c.value).where(flow_counters.c.key == key)) == 40
    assert found == {"late": [7, {"text": text, "n": 8}, 9], "count": 40, "large": 8}
    await assert_record_is_true(engine.database, engine.client, handle.id)


async def test_limit_of_the_whole_run_counts_from_its_first_part(engine: Engine) -> None:
    steps = [step(f"s{n}", "sleep", input={"seconds": 0.1}, depends_on=[f"s{n - 1}"] if n else []) for n in range(200)]
    handle = await engine.start({"id": "limited", "steps": steps, "limits": {"timeout": 5}})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    parts = await parts_of(engine.client, handle.id)
    assert len(parts) > 1
    assert len({round(deadline_of(part), 1) for part in parts}) == 1
    async with engine.database.connect() as connection:
        run = (await connection.execute(select(runs))).one()
    assert (run.status, run.error["code"]) == ("timed_out", "run-timeout")
    await assert_record_is_true(engine.database, engine.client, handle.id)


def deadline_of(part: WorkflowHistory) -> float:
    """When the part's first timer fires, by the clock of workflows: that of the workflow task that set it."""
    kinds = [event.WhichOneof("attributes") for event in part.events]
    begun = part.events[kinds.index("workflow_task_started_event_attributes")].event_time
    timer = part.events[kinds.index("timer_started_event_attributes")].timer_started_event_attributes
    waits = timer.start_to_fire_timeout
    return begun.ToNanoseconds() / 1e9 + waits.ToNanoseconds() / 1e9


async def test_run_is_cancelled_while_it_waits_to_go_on_in_a_new_part(engine: Engine) -> None:
    key = f"drained-{uuid4()}"
    chain = [step(f"c{n}", "count", input={"key": key}, depends_on=[f"c{n - 1}"] if n else []) for n in range(40)]
    sleep = step("sleep", "sleep", input={"seconds": 600}, timeout={"heartbeat": 3})
    handle = await engine.start({"id": "draining", "steps": [sleep, *chain]})
    await until_only_waiting_for(handle, "sleep")
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert len(await parts_of(engine.client, handle.id)) == 1
    async with engine.database.connect() as connection:
        assert await connection.scalar(select(runs.c.status)) == "cancelled"
        assert 0 < (await connection.scalar(select(flow_counters.c.value)) or 0) < 40
    await assert_record_is_true(engine.database, engine.client, handle.id)


async def until_only_waiting_for(handle: WorkflowHandle[Any, Any], step_id: str) -> None:
    """Until the history is past its limit and nothing but one step is under way."""
    async with asyncio.timeout(60):
        while True:
            described = await handle.describe()
            pending = [activity.activity_id for activity in described.raw_description.pending_activities]
            at_rest = not described.raw_description.HasField("pending_workflow_task")
            if described.history_length > LIMIT and at_rest and pending == [step_id]:
                return
            await asyncio.sleep(0.1)
