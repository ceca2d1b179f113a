"""Moments at which two things happen at once, and values that nobody should send."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError

from activities.recorder import StepRecorder
from models.persistence.tables import flow_counters, run_steps, runs, step_cache
from services.orchestration.runs import StepRecord
from tests.e2e.conftest import step
from tests.workflows.conftest import Engine, running_engine
from tests.workflows.short_histories import history_limit

CHILD: dict[str, Any] = {
    "id": "child",
    "input": {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"]},
    "steps": [step("a", input={"value": "from:input.n"})],
}


def undo(key: str) -> dict[str, Any]:
    return {"service": "flow", "action": "count", "input": {"key": key}}


async def steps_of(engine: Engine, run_id: str) -> dict[str, str]:
    async with engine.database.connect() as connection:
        rows = await connection.execute(select(run_steps).where(run_steps.c.run_id == run_id))
        return {row.step_id: row.status for row in rows}


async def status_of(engine: Engine, run_id: str) -> str | None:
    async with engine.database.connect() as connection:
        return await connection.scalar(select(runs.c.status).where(runs.c.run_id == run_id))


async def counter(engine: Engine, key: str) -> int | None:
    async with engine.database.connect() as connection:
        return await connection.scalar(select(flow_counters.c.value).where(flow_counters.c.key == key))


async def test_step_that_succeeded_in_the_instant_of_a_cancellation_is_undone(
    temporal: Client, database: AsyncEngine
) -> None:
    key = str(uuid4())
    slept = step("a", "sleep", input={"seconds": 0.1}, compensate=undo(key))
    raw = {"id": "instant", "steps": [slept, step("b", depends_on=["a"])]}
    async with running_engine(temporal, database) as engine:
        handle = await engine.start(raw)
        while not (await handle.describe()).raw_description.pending_activities:
            pass  # Temporal knows when it has begun
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        steps = await steps_of(engine, handle.id)
        undone = await counter(engine, key)
    assert (steps["a"], undone) in [("succeeded", 1), ("cancelled", None)]
    assert await status_of(engine, handle.id) == "cancelled"


@pytest.mark.parametrize("refused", ["child", "expression"])
async def test_what_a_local_activity_refuses_is_a_failure_of_its_step(engine: Engine, refused: str) -> None:
    await engine.save(CHILD)
    key = str(uuid4())
    steps: dict[str, dict[str, Any]] = {
        "child": {"id": "s", "workflow": {"id": "child"}, "input": {"n": "from:list.value[0]"}},
        "expression": step("s", when='items(steps["list"].value).all(n, n > 1)'),
    }
    raw: dict[str, Any] = {
        "id": "refused",
        "steps": [
            step("list", input={"value": [7] * 1_500 + ["text"]}),
            step("c", "count", input={"key": f"{key}-done"}, compensate=undo(key)),
            {**steps[refused], "depends_on": ["c", "list"]},
        ],
        "on_failure": [step("told", input={"value": "from:error.step"})],
    }
    handle = await engine.start(raw)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert await steps_of(engine, handle.id) == {
        "list": "succeeded", "c": "succeeded", "s": "failed", "told": "succeeded", "c:undo": "succeeded",
    }  # fmt: skip
    assert await counter(engine, key) == 1
    raw["steps"][2]["on_error"] = "continue"
    handle = await engine.start(raw)
    await handle.result()
    assert await status_of(engine, handle.id) == "completed"


async def test_attempt_after_one_whose_answer_was_lost_gives_what_is_recorded(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the worker is killed between the record and the answer."""
    record, lost = StepRecorder.record, list[str]()

    async def record_and_die(recorder: StepRecorder, ended: StepRecord) -> None:
        await record(recorder, ended)
        if not lost and ended.step_id == "a":
            lost.append(ended.step_id)
            raise RuntimeError("killed")

    monkeypatch.setattr(StepRecorder, "record", record_and_die)
    key = str(uuid4())
    fails = step("a", "fail", input={"message": "no", "times": 0}, retry={"max_attempts": 3, "initial": 0.01})
    raw = {"id": "lost", "steps": [fails, step("b", "count", input={"key": key, "by": "from:a.attempt"})]}
    handle = await engine.start(raw)
    await handle.result()
    assert lost == ["a"]
    assert await counter(engine, key) == 1


async def test_signal_that_cannot_be_stored_is_passed_over(engine: Engine) -> None:
    raw = {"id": "nul", "steps": [{"id": "w", "wait": {"signal": "go"}}], "output": "from:w"}
    handle = await engine.start(raw)
    await handle.signal("go", "a\0b")
    await handle.signal("go", "fine")
    assert await handle.result() == "fine"


async def test_flood_of_signals_that_fit_nobody_yet(temporal: Client, database: AsyncEngine) -> None:
    waits = [
        {"id": "a", "wait": {"signal": "go", "schema": {"type": "object", "required": ["first"]}}},
        {"id": "b", "wait": {"signal": "go", "schema": {"type": "object", "required": ["n"]}}, "depends_on": ["a"]},
    ]
    async with running_engine(temporal, database) as engine:
        handle = await engine.start({"id": "flood", "steps": waits, "output": "from:b.n"})
        for number in range(400):
            await handle.signal("go", {"n": number})
        await handle.signal("go", {"first": True})
        assert await handle.result() == 0


async def test_cancelling_twice_over_many_parts_ends_as_cancelled(temporal: Client, database: AsyncEngine) -> None:
    key = str(uuid4())
    steps = [step(f"s{n}", input={"value": n}, compensate=undo(key)) for n in range(12)]
    waits = {"id": "w", "wait": {"signal": "never"}, "depends_on": [f"s{n}" for n in range(12)]}
    with history_limit(60):
        async with running_engine(temporal, database) as engine:
            handle = await engine.start({"id": "undoing", "steps": [*steps, waits]})
            async with engine.database.connect() as connection:
                while len(await steps_of(engine, handle.id)) < 12:
                    await connection.rollback()
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as ended:
                await handle.result()
            assert type(ended.value.cause).__name__ == "CancelledError"
            assert await status_of(engine, handle.id) == "cancelled"
            assert await counter(engine, key) == 12


async def test_dry_run_leaves_nothing_in_the_cache(engine: Engine) -> None:
    raw = {"id": "dry", "steps": [step("a", input={"value": 1}, cache={"key": "k", "ttl": "1h"})]}
    handle = await engine.start(raw, dry_run=True)
    await handle.result()
    async with engine.database.connect() as connection:
        assert (await connection.execute(select(step_cache))).all() == []


async def test_compensation_that_cannot_be_done_is_recorded(engine: Engine) -> None:
    late = {"service": "flow", "action": "sleep", "input": {"seconds": "from:a.value"}}
    raw = {
        "id": "stuck",
        "steps": [
            step("a", input={"value": "text"}, compensate=late),
            step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, depends_on=["a"]),
        ],
    }
    handle = await engine.start(raw)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await steps_of(engine, handle.id))["a:undo"] == "failed"


async def test_wide_map_of_runs_with_large_inputs(engine: Engine) -> None:
    await engine.save({"id": "wide", "steps": [step(f"s{n}", input={"value": "x" * 300}) for n in range(8)]})
    item = {"text": "y" * 3_600}
    raw = {
        "id": "parents",
        "steps": [
            {
                "id": "m",
                "map": {"items": list(range(60)), "max_parallel": 60},
                "workflow": {"id": "wide"},
                "input": item,
            }
        ],
    }
    handle = await engine.start(raw)
    await handle.result()
    assert await steps_of(engine, handle.id) == {"m": "succeeded"}
