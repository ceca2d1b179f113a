"""Temporal and the record of tasks come to agree, whatever ended between the two or was changed in one of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import delete, select, text, update
from temporalio.service import RPCError

from models.identity import Caller, Role
from models.persistence.tables import audit, task_runs
from models.persistence.tables import tasks as table
from services.schedules import tasks
from tests.e2e.conftest import Platform
from tests.e2e.tasks_over_http import NEVER_SOON, history, post, reconcile, root, task, until
from workflows.task_schedules import TaskSchedules

__all__ = ["root"]


async def told_long_ago(platform: Platform) -> None:
    """What was told of late may not be in Temporal's list yet, and is not compared with it."""
    async with platform.database.begin() as connection:
        await connection.execute(update(table).values(told_at=datetime.now(UTC) - timedelta(minutes=2)))


async def test_what_was_recorded_and_not_told_is_told_later(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    schedules = TaskSchedules(platform.temporal)
    await schedules.remove(task_id)  # as if the process had ended between the record and the telling
    async with platform.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == task_id).values(told_revision=0))
    run = (await root.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})).json()
    assert run["output"]["told"] == 1, run
    assert len((await root.get(f"/task/{task_id}")).json()["next"]) == 10
    async with platform.database.begin() as connection:
        await tasks.delete_task(connection, Caller(user_id="root", role=Role.ADMIN), task_id)
    await root.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
    with pytest.raises(RPCError):
        await platform.temporal.get_schedule_handle(f"task-{task_id}").describe()


async def test_what_was_due_before_temporal_was_told_runs_when_it_is(root: AsyncClient, platform: Platform) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    task_id = await post(root, task({"type": "once", "at": at.isoformat()}, "late"))
    await TaskSchedules(platform.temporal).remove(task_id)  # as if the process had ended before the telling
    async with platform.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == task_id).values(told_revision=0))
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds() + 0.1)
    assert (await reconcile(root))["told"] == 1
    ran = await until(root, f"/task/{task_id}/history", lambda page: page["items"])
    assert [datetime.fromisoformat(one["planned_at"]) for one in ran["items"]] == [at]


async def test_what_was_due_before_the_telling_runs_as_its_policy_has_it(root: AsyncClient, platform: Platform) -> None:
    hourly = {"type": "cron", "cron": "0 * * * *"}
    policy = {"overlap": "skip", "catchup_window_seconds": 4 * 3_600}
    task_id = await post(root, task(hourly, "late", timezone="UTC", policy=policy))
    await TaskSchedules(platform.temporal).remove(task_id)
    async with platform.database.begin() as connection:
        values = {"told_revision": 0, "created_at": datetime.now(UTC) - timedelta(hours=3)}
        await connection.execute(update(table).where(table.c.id == task_id).values(values))
    assert (await reconcile(root))["told"] == 1
    path = f"/task/{task_id}/history"
    page = await until(root, path, lambda page: page["items"][-1]["outcome"] == "completed")
    *others, _ = [one["outcome"] for one in page["items"]]
    assert set(others) == {"skipped"}, "they came while the first was to run"
    assert (await root.get(f"/task/{task_id}")).json()["missed"] == 0


async def test_what_is_paused_in_temporal_is_taken_over(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    handle = platform.temporal.get_schedule_handle(f"task-{task_id}")
    await handle.pause(note="by an operator")
    assert (await root.get(f"/task/{task_id}")).json()["paused"] is True
    changed = {**task(NEVER_SOON), "name": "renamed"}
    assert (await root.put(f"/task/{task_id}", json=changed)).status_code == 200
    assert (await handle.describe()).schedule.state.note == "by an operator"
    for paused in (True, False, True):
        await told_long_ago(platform)
        async with asyncio.timeout(30):
            while (await reconcile(root))["mended"] == 0:  # noqa: ASYNC110 - Temporal's list is a little late
                await asyncio.sleep(0.1)
        listed = (await root.get("/task/scheduled", params={"paused": paused})).json()["items"]
        assert [(one["id"], one["paused"]) for one in listed] == [(task_id, paused)]
        await (handle.unpause() if paused else handle.pause())
    async with platform.database.connect() as connection:
        trail = await connection.execute(select(audit.c.action, audit.c.actor_id).order_by(audit.c.id))
        assert [tuple(row) for row in trail if row.action in {"task.pause", "task.resume"}] == [
            ("task.pause", "tooloo-system"),
            ("task.resume", "tooloo-system"),
            ("task.pause", "tooloo-system"),
        ]


async def test_schedules_that_are_gone_are_made_again_and_strangers_are_removed(
    root: AsyncClient, platform: Platform
) -> None:
    task_id = await post(root, task({**NEVER_SOON, "max_runs": 3}))
    stranger = await post(root, task(NEVER_SOON))
    schedules = TaskSchedules(platform.temporal)
    await schedules.remove(task_id)
    async with platform.database.begin() as connection:
        await connection.execute(delete(table).where(table.c.id == stranger))  # as from an older backup
    await told_long_ago(platform)
    mended = 0
    async with asyncio.timeout(30):
        while mended < 2:  # Temporal's list is a little late
            mended += (await reconcile(root))["mended"]
    described = await platform.temporal.get_schedule_handle(f"task-{task_id}").describe()
    assert described.schedule.state.remaining_actions == 3
    assert await schedules.is_paused(stranger) is None


async def test_a_task_whose_zone_was_retired_harms_no_other(root: AsyncClient, platform: Platform) -> None:
    retired = await post(root, task(NEVER_SOON))
    other = await post(root, task(NEVER_SOON))
    async with platform.database.begin() as connection:
        await connection.execute(update(table).values(told_revision=0))
        lost = update(table).where(table.c.id == retired).values(timezone="US/Pacific-New")
        await connection.execute(lost)
    assert (await reconcile(root))["told"] == 1
    shown = (await root.get("/task/scheduled")).json()["items"]
    assert [(one["id"], one["timezone"]) for one in shown] == [(other, "UTC"), (retired, "US/Pacific-New")]
    assert (await root.post("/task/execute-pending")).json()["started"] == 0
    refused = await root.post(f"/task/{retired}/trigger")
    assert (refused.status_code, refused.json()["code"]) == (409, "retired-timezone")
    assert (await root.put(f"/task/{retired}", json=task(NEVER_SOON, timezone="UTC"))).status_code == 200
    assert (await reconcile(root))["told"] == 0, "it was told when it was changed"
    assert await history(root, retired) == []
    assert (await root.post(f"/task/{retired}/trigger")).status_code == 202


async def test_a_run_that_its_task_is_still_to_start_is_not_lost(root: AsyncClient, platform: Platform) -> None:
    waiting = {"id": "waiting", "steps": [{"id": "go", "wait": {"signal": "go"}}]}
    assert (await root.post("/workflow", json=waiting)).status_code == 201
    task_id = await post(root, {**task(NEVER_SOON), "target": {"workflow": "waiting"}})
    await root.post(f"/task/{task_id}/trigger")
    (run,) = (await until(root, f"/task/{task_id}/history", lambda page: page["items"]))["items"]
    unborn = str(uuid4())  # recorded by the same execution, whose child has not begun
    async with platform.database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO runs
                    (run_id, definition_id, version, owner_id, role, status, trigger, input, labels, started_at)
                SELECT :new, definition_id, version, owner_id, role, status, trigger, input, labels,
                       now() - interval '1 minute'
                FROM runs WHERE run_id = :old
            """),
            {"new": unborn, "old": run["run_id"]},
        )
        await connection.execute(update(task_runs).values(run_id=unborn))
    assert (await reconcile(root))["closed"] == 0
    async with platform.database.begin() as connection:
        await connection.execute(update(task_runs).values(run_id=run["run_id"]))
    assert (await reconcile(root))["closed"] == 1
    await root.post(f"/workflow/waiting/executions/{run['run_id']}/signals/go", json={"payload": None})
