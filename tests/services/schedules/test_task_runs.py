"""What the record says of the schedules that a task had."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from models.persistence.tables import task_pauses, task_runs
from models.persistence.tables import tasks as table
from models.schedules import Policy
from services.identity.users import ensure_user
from services.orchestration.runs import NewRun, open_run
from services.schedules.history import FIRST, NotStarted, current
from services.schedules.task_runs import (
    NewTaskRun,
    count_runs_left,
    list_schedules,
    next_times,
    read_history,
    record_task_run,
)
from services.schedules.tasks import StoredTask, change_task, create_task, delete_task, find_task, set_paused

ADA = Caller(user_id="ada", role=Role.AUTHOR)
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOURLY = {"type": "cron", "cron": "0 * * * *", "max_runs": 2}
TASK = StoredTask(
    id="t",
    owner_id="ada",
    role=Role.AUTHOR,
    name="hourly",
    schedule=HOURLY,
    timezone="UTC",
    definition_id="w",
    target={"workflow": "w"},
    input={},
    policy=Policy().model_dump(mode="json"),
)


async def made_five_hours_ago(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await ensure_user(connection, "ada", Role.AUTHOR, actor_id="ada")
        await create_task(connection, TASK)
        await connection.execute(update(table).values(created_at=NOW - 5.5 * HOUR))
        for hours, planned in ((5, True), (4.5, False), (3, True)):
            at = NOW - hours * HOUR
            await record_task_run(connection, NewTaskRun("t", at, str(hours), "temporal", planned))


async def change(database: AsyncEngine, **what: Any) -> None:
    async with database.begin() as connection:
        row = await find_task(connection, ADA, "t", lock=True)
        await change_task(connection, ADA, row, replace(TASK, **what))


async def test_a_limited_schedule_is_over_after_the_last_of_its_planned_runs(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)
    async with database.connect() as connection:
        task = await find_task(connection, ADA, "t")
        (held,) = await list_schedules(connection, task)
        assert await next_times(connection, [task], 5) == {"t": ()}
    assert held.until == NOW - 3 * HOUR + timedelta(seconds=1), "what was triggered does not count"


async def test_another_name_changes_nothing_of_it(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)
    await change(database, name="renamed")
    async with database.connect() as connection:
        row = await find_task(connection, ADA, "t")
        assert len(await list_schedules(connection, row)) == 1
    assert (row.name, row.revision, row.schedule_revision) == ("renamed", 2, 1)


async def test_another_policy_is_kept_beside_the_one_before_and_counts_on(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)
    await change(database, policy=Policy(overlap="buffer-all").model_dump(mode="json"))
    async with database.connect() as connection:
        row = await find_task(connection, ADA, "t")
        later, before = current(await list_schedules(connection, row))
        assert await count_runs_left(connection, ["t"]) == {"t": 0}
    assert (later.policy.overlap, before.policy.overlap) == ("buffer-all", "skip")
    assert later.until == before.until == NOW - 3 * HOUR + timedelta(seconds=1)
    assert row.schedule_revision == 1


async def test_another_schedule_counts_anew(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)
    await change(database, schedule={**HOURLY, "max_runs": 3})
    async with database.connect() as connection:
        row = await find_task(connection, ADA, "t")
        later, before = await list_schedules(connection, row)
        assert len(current([later, before])) == 1
        assert await count_runs_left(connection, ["t"]) == {"t": 3}
        now = datetime.now(UTC)
        first, *others = (await next_times(connection, [row], 5))["t"]
    assert now <= first <= now + HOUR
    assert others == [first + HOUR, first + 2 * HOUR]
    assert later.since == row.updated_at
    assert later.until > NOW + HOUR
    assert before.until == NOW - 3 * HOUR + timedelta(seconds=1)
    assert row.schedule_revision == row.revision == 2


async def test_a_deleted_task_was_due_until_then(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)
    await change(database, schedule={**HOURLY, "max_runs": None})
    async with database.begin() as connection:
        await delete_task(connection, ADA, "t")
        row = await find_task(connection, ADA, "t", also_deleted=True)
        held, *_ = await list_schedules(connection, row)
        assert await count_runs_left(connection, ["t"]) == {}
    assert (held.since, held.until) == (row.updated_at, row.deleted_at)


async def test_pauses_that_are_asked_for_at_once_follow_each_other(database: AsyncEngine) -> None:
    await made_five_hours_ago(database)

    async def pause(*, paused: bool) -> None:
        async with database.begin() as connection:
            await connection.execute(text("SELECT 1"))  # the transaction has begun, and waits for the others
            task = await find_task(connection, ADA, "t", lock=True)
            await set_paused(connection, ADA, task, paused=paused)

    await asyncio.gather(*(pause(paused=number % 3 != 0) for number in range(30)))
    async with database.connect() as connection:
        rows = (await connection.execute(select(task_pauses).order_by(task_pauses.c.paused_at))).all()
        paused = (await find_task(connection, ADA, "t")).paused
    moments = [moment for row in rows for moment in (row.paused_at, row.resumed_at)]
    assert moments[:-1] == sorted(moments[:-1])
    assert (moments[-1] is None) == paused


@pytest.mark.parametrize("limit", [2, 200])
@pytest.mark.parametrize("is_late", [False, True])
async def test_what_a_run_kept_from_running_was_skipped_on_every_page(
    database: AsyncEngine, limit: int, *, is_late: bool
) -> None:
    await made_five_hours_ago(database)
    at = NOW - 7 * HOUR
    async with database.begin() as connection:
        await connection.execute(update(table).values(schedule={"type": "cron", "cron": "0 * * * *"}))
        await open_run(connection, NewRun("long", "w", 1, ADA, "schedule", {}, {}))
        await record_task_run(connection, NewTaskRun("t", at, "long", "temporal", on_schedule=is_late))
        if not is_late:
            await connection.execute(update(task_runs).values(started_at=task_runs.c.planned_at))
        task = await find_task(connection, ADA, "t")
        schedules = await list_schedules(connection, task)
        found: list[NotStarted] = []
        before = NOW
        while True:
            started, missing = await read_history(
                connection, ADA, task, schedules, since=FIRST, before=before, limit=limit
            )
            page = sorted({one.planned_at for one in (*started, *missing)}, reverse=True)[:limit]
            found += [one for one in missing if one.planned_at in page]
            if len(page) < limit:
                break
            before = page[-1]
    assert found == [NotStarted(NOW - hours * HOUR, "skipped") for hours in (1, 2, 4)]
