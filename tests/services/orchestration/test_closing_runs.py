"""The end of a run is recorded once, by whoever comes first, together with its event."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from models.events import EventType, run_subject
from models.identity import Caller, Role
from models.persistence.outbox import events_after
from models.runs import Failure, RunStatus, StepStatus
from services.identity.users import ensure_user
from services.orchestration.runs import NewRun, StepRecord, close_run, find_end, find_steps, open_run

ADMIN = Caller(user_id="admin", role=Role.ADMIN)
RUN = NewRun("run-1", "measure", 3, ADMIN, "api", {}, {})


async def _accept(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await ensure_user(connection, ADMIN.user_id, ADMIN.role, actor_id=ADMIN.user_id)
        await open_run(connection, RUN)


async def _close(database: AsyncEngine, status: RunStatus, **more: Any) -> bool:
    async with database.begin() as connection:
        return await close_run(connection, RUN.run_id, status, at=datetime.now(UTC), **more)


def _ended(step_id: str, status: StepStatus, **more: Any) -> StepRecord:
    now = datetime.now(UTC)
    return StepRecord(RUN.run_id, step_id, "", status, attempt=0, started_at=None, ended_at=now, **more)


async def _events(database: AsyncEngine) -> list[str]:
    async with database.connect() as connection:
        return [event.type for event in await events_after(connection, run_subject(RUN.run_id), 0)]


async def test_one_of_many_ends_is_recorded(database: AsyncEngine) -> None:
    await _accept(database)
    statuses = [RunStatus.COMPLETED, RunStatus.CANCELLED, RunStatus.TERMINATED] * 3
    recorded = await asyncio.gather(*[_close(database, status) for status in statuses])
    assert recorded.count(True) == 1
    async with database.connect() as connection:
        end = await find_end(connection, RUN.run_id)
    assert end is not None
    assert end.status == statuses[recorded.index(True)]
    assert await _events(database) == [EventType.WORKFLOW_STARTED, EventType.WORKFLOW_COMPLETED]


async def test_end_comes_with_the_steps_that_no_worker_saw(database: AsyncEngine) -> None:
    await _accept(database)
    error = Failure(step="load", code="timeout", message="too slow", attempt=2)
    steps = (
        _ended("load", StepStatus.FAILED, error=error),
        _ended("report", StepStatus.SKIPPED, reason="upstream"),
    )
    assert await _close(database, RunStatus.FAILED, error=error, steps=steps)
    async with database.connect() as connection:
        kept = await find_steps(connection, ADMIN, RUN.run_id)
    assert {name: (row.status, row.owner_id) for name, row in kept.items()} == {
        "load": ("failed", "admin"),
        "report": ("skipped", "admin"),
    }
    assert await _events(database) == [
        EventType.WORKFLOW_STARTED,
        EventType.STEP_COMPLETED,
        EventType.STEP_COMPLETED,
        EventType.WORKFLOW_COMPLETED,
    ]


async def test_run_nobody_recorded_has_no_end(database: AsyncEngine) -> None:
    assert not await _close(database, RunStatus.COMPLETED)
    assert await _events(database) == []
