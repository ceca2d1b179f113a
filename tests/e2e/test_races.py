"""What happens at the same moment: acceptance and a crash, an end and a cancellation."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import activities.orchestration
import api.runs
from models.persistence.tables import run_steps, runs
from tests.e2e.conftest import Platform, step
from tests.e2e.records import assert_record_is_true
from workflows.client import describe_run


class Killed(BaseException):
    """Stands for the end of the API's process: nothing of the request is executed any more."""


async def start(admin: AsyncClient, workflow: str, run_input: Any = None) -> str:
    answer = await admin.post(f"/workflow/{workflow}/execute", json={"input": run_input or {}})
    assert answer.status_code == 202, answer.text
    return answer.json()["run_id"]


async def ended(admin: AsyncClient, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (shown := (await admin.get(f"/runs/{run_id}")).json())["ended_at"] is None:  # noqa: ASYNC110 - the API knows
            await asyncio.sleep(0.05)
    return shown


async def test_run_accepted_by_an_api_that_died_is_started_once_by_reconciliation(
    admin: AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities.orchestration, "SETTLING", timedelta(0))
    counter = f"accepted-{uuid4()}"
    definition = {"id": "accepted", "steps": [step("a", "count", input={"key": counter})]}
    assert (await admin.post("/workflow", json=definition)).status_code == 201

    async def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(api.runs, "start", die)
        with pytest.raises(Killed):
            await admin.post("/workflow/accepted/execute", json={"input": {}})
    (accepted,) = (await admin.get("/workflow/accepted/executions")).json()["items"]
    assert accepted["status"] == "queued"
    assert await describe_run(platform.temporal, accepted["run_id"]) is None

    async def reconcile() -> dict[str, Any]:
        answer = await admin.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
        assert answer.json()["status"] == "completed", answer.text
        return answer.json()["output"]

    assert max(found["started"] for found in await asyncio.gather(reconcile(), reconcile(), reconcile())) == 1
    assert (await ended(admin, accepted["run_id"]))["status"] == "completed"
    assert (await reconcile())["started"] == 0
    assert (await admin.get(f"/flow/counters/{counter}")).json()["value"] == 1
    await assert_record_is_true(platform.database, platform.temporal, accepted["run_id"])


async def test_cancellation_at_any_moment_leaves_one_truth(admin: AsyncClient, platform: Platform) -> None:
    chain = [step(f"s{n}", "sleep" if n == 2 else "count", **_work(n)) for n in range(5)]  # fmt: skip
    assert (await admin.post("/workflow", json={"id": "short", "steps": chain})).status_code == 201
    moments = random.Random(3)  # a fixed seed: the same moments each time
    run_ids = [await start(admin, "short", {"key": f"short-{uuid4()}"}) for _ in range(50)]

    async def cancel(run_id: str) -> None:
        await until_steps_ended(platform.database, run_id, moments.randint(0, len(chain)))
        answer = await admin.post(f"/workflow/short/executions/{run_id}/cancel")
        assert answer.status_code in {202, 409}, answer.text

    await asyncio.gather(*map(cancel, run_ids))
    statuses = [(await ended(admin, run_id))["status"] for run_id in run_ids]
    assert set(statuses) <= {"cancelled", "completed"}
    for run_id in run_ids:
        await assert_record_is_true(platform.database, platform.temporal, run_id)


def _work(n: int) -> dict[str, Any]:
    after = {"depends_on": [f"s{n - 1}"]} if n else {}
    return {"input": {"seconds": 0.05} if n == 2 else {"key": "from:input.key"}, **after}


async def until_steps_ended(database: AsyncEngine, run_id: str, count: int) -> None:
    here = select(func.count()).where(run_steps.c.run_id == run_id, run_steps.c.ended_at.is_not(None))
    async with asyncio.timeout(60):
        while True:
            async with database.connect() as connection:
                if (await connection.scalar(here) or 0) >= count:
                    return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("delivered", [True, False], ids=["delivered", "task done again"])
async def test_cancellation_while_the_end_is_recorded_changes_nothing(
    admin: AsyncClient, platform: Platform, delivered: bool
) -> None:
    """Delivered: while the record is being written. If not, Temporal refuses the end and has its task done again."""
    await admin.post("/workflow", json={"id": "closing", "steps": [step("s", input={"value": 7})], "output": "from:s"})
    async with platform.database.connect() as blocker:
        run_id = await start(admin, "closing")
        await hold_run(blocker, run_id)
        handle = platform.temporal.get_workflow_handle(run_id)
        await until_workflow_knows(handle, "activity_task_completed_event_attributes")
        await handle.cancel()
        if delivered:
            await until_workflow_knows(handle, "workflow_execution_cancel_requested_event_attributes")
        await blocker.rollback()
    run = await ended(admin, run_id)
    assert (run["status"], run["output"]) == ("completed", {"value": 7})
    await assert_record_is_true(platform.database, platform.temporal, run_id)
    assert await handle.result() == {"value": 7}


async def hold_run(connection: AsyncConnection, run_id: str) -> None:
    """Whoever records the run's end has to wait."""
    async with asyncio.timeout(60):
        while True:
            locked = select(runs.c.status).where(runs.c.run_id == run_id).with_for_update()
            if await connection.scalar(locked):
                return
            await connection.rollback()


async def until_workflow_knows(handle: Any, news: str) -> None:
    """Until a workflow task brings it: the next one that starts, for local activities work within their task."""
    async with asyncio.timeout(60):
        while True:
            kinds = [event.WhichOneof("attributes") async for event in handle.fetch_history_events()]
            if news in kinds and "workflow_task_started_event_attributes" in kinds[kinds.index(news) :]:
                return
            await asyncio.sleep(0.1)


async def test_attempt_is_not_used_up_while_its_end_can_not_be_recorded(admin: AsyncClient, platform: Platform) -> None:
    """It heartbeats while it waits for the database, here for longer than its heartbeat timeout."""
    quick = step("a", "sleep", input={"seconds": 0.5}, timeout={"heartbeat": 2}, retry={"max_attempts": 1})
    await admin.post("/workflow", json={"id": "waiting", "steps": [quick]})
    async with platform.database.connect() as blocker:
        run_id = await start(admin, "waiting")
        await blocker.execute(text("LOCK TABLE run_steps IN ACCESS EXCLUSIVE MODE"))
        await asyncio.sleep(6)
        await blocker.rollback()
    run = await ended(admin, run_id)
    assert (run["status"], run["steps"][0]["attempts"]) == ("completed", 1)
