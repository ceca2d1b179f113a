"""Keeping Temporal's schedules and the record of tasks the same.

When a task fires is kept by Temporal, in the schedule of the task's id. What is recorded is told to Temporal
afterwards; `told_revision` says up to which change. So whatever ends between the two writes, a later telling repairs.
What Temporal or an operator in its Web UI pauses is taken over into the record.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import TooLooError
from models.identity import SYSTEM_USER
from models.persistence.audit import record_change
from models.persistence.tables import tasks
from models.server_times import TaskSchedule
from services.schedules.server_times import server_times
from services.schedules.task_runs import count_runs_left, list_schedules
from services.schedules.tasks import note_pause

_log = structlog.get_logger(__name__)
_AGAIN = timedelta(days=30)
"""After which a schedule is told anew: it is exact up to a horizon only."""
_SETTLING = timedelta(minutes=1)
"""What was told later than that may not be in Temporal's list yet."""
_LAG = timedelta(minutes=5)
"""For how long a pause may have gone unnoticed; but it began after the last run."""


class Schedules(Protocol):
    """The schedules of tasks, where they are kept."""

    async def put(self, task: TaskSchedule) -> None:
        """Make a schedule, or make it what it is to be. Doing it again changes nothing."""
        ...

    async def remove(self, task_id: str) -> None:
        """Delete a schedule, if there is one."""
        ...

    def paused(self) -> AsyncIterator[tuple[str, bool]]:
        """The tasks of all schedules, a little later than they change, and whether they are paused."""
        ...

    async def is_paused(self, task_id: str) -> bool | None:
        """Whether a schedule is paused now; None when there is none."""
        ...


async def tell(database: AsyncEngine, schedules: Schedules, task_id: str) -> None:
    """Let a task's schedule be what the record says. One at a time for a task. Commits."""
    async with database.begin() as connection:
        row = (await connection.execute(select(tasks).where(tasks.c.id == task_id).with_for_update())).one_or_none()
        if row is None:
            return  # erased meanwhile
        if row.deleted_at is None:
            await schedules.put(await _schedule(connection, row))
        else:
            await schedules.remove(task_id)
        told = update(tasks).where(tasks.c.id == task_id).values(told_revision=row.revision, told_at=func.now())
        await connection.execute(told)


async def one_at_a_time(database: AsyncEngine, task_id: str, ask: Callable[[], Awaitable[None]]) -> None:
    """Ask Temporal something of a task while nobody else does: of what comes at once, it takes the last only."""
    async with database.begin() as connection:
        await connection.execute(select(tasks.c.id).where(tasks.c.id == task_id).with_for_update())
        await ask()


async def tell_or_warn(database: AsyncEngine, schedules: Schedules, task_id: str) -> bool:
    """Tell of a task; whether it could be told. One that cannot be is no reason to leave the others."""
    try:
        await tell(database, schedules, task_id)
    except TooLooError as error:
        _log.warning("a schedule cannot be told", task_id=task_id, code=error.code)
        return False
    return True


async def _schedule(connection: AsyncConnection, row: Row[Any]) -> TaskSchedule:
    schedules = await list_schedules(connection, row)
    held, left = schedules[0], await count_runs_left(connection, [row.id])
    remaining = left.get(row.id)
    now, counts_anew = datetime.now(UTC), row.schedule_revision > row.told_revision
    since = None if counts_anew else await connection.scalar(_LAST_RUN, {"task": row.id})
    return TaskSchedule(
        task_id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        times=server_times(held.form, held.zone, now, held.policy.dst),
        policy=held.policy,
        is_known=row.told_revision > 0,
        remaining_runs=remaining,
        counts_anew=counts_anew,
        paused=row.paused,
        pauses_anew=row.paused_revision > row.told_revision,
        late=None if row.paused or remaining == 0 else held.late(since or held.since, now),
    )


_LAST_RUN = text("SELECT max(planned_at) FROM task_runs WHERE task_id = :task")


async def untold(connection: AsyncConnection, limit: int) -> Sequence[str]:
    """Tasks of which Temporal does not know everything, or was told long ago."""
    again = tasks.c.deleted_at.is_(None) & (tasks.c.told_at < func.now() - _AGAIN)
    statement = select(tasks.c.id).where((tasks.c.told_revision != tasks.c.revision) | again).limit(limit)
    return (await connection.scalars(statement)).all()


async def compare(database: AsyncEngine, schedules: Schedules) -> int:
    """Mend what differs though everything was told: how many tasks that were. Commits.

    A schedule that is gone is made again; one whose task the record does not know is removed; a pause that began or
    ended in Temporal is taken over.
    """
    listed = {task_id: paused async for task_id, paused in schedules.paused()}
    async with database.connect() as connection:
        known = set(await connection.scalars(_KNOWN, {"ids": list(listed)}))
        rows = (await connection.execute(_SETTLED, {"settling": _SETTLING})).all()
    strangers = listed.keys() - known
    for task_id in sorted(strangers):
        await schedules.remove(task_id)
    mended = len(strangers)
    for row in rows:
        if listed.get(row.id) != row.paused:
            mended += await _mend(database, schedules, row)
    return mended


_KNOWN = text("""
    SELECT id FROM tasks WHERE id = ANY(CAST(:ids AS text[])) AND (deleted_at IS NULL OR told_revision <> revision)
""")
_SETTLED = text("""
    SELECT id, revision, paused FROM tasks
    WHERE deleted_at IS NULL AND told_revision = revision AND told_at < now() - CAST(:settling AS interval) ORDER BY id
""")


_SINCE = text("""
    SELECT greatest(now() - CAST(:lag AS interval), (SELECT max(planned_at) FROM task_runs WHERE task_id = :task),
                    (SELECT max(resumed_at) + interval '1 millisecond' FROM task_pauses WHERE task_id = :task))
""")


async def _mend(database: AsyncEngine, schedules: Schedules, row: Row[Any]) -> bool:
    paused = await schedules.is_paused(row.id)
    if paused == row.paused:
        return False
    if paused is None:
        return await tell_or_warn(database, schedules, row.id)
    async with database.begin() as connection:
        unchanged = (tasks.c.id == row.id) & (tasks.c.revision == row.revision)
        taken_over = update(tasks).where(unchanged).values(paused=paused).returning(tasks.c.id)
        if await connection.scalar(taken_over) is None:
            return False
        since = await connection.scalar(_SINCE, {"task": row.id, "lag": _LAG}) if paused else None
        await note_pause(connection, row.id, paused=paused, at=since)
        how = "task.pause" if paused else "task.resume"
        await record_change(connection, SYSTEM_USER, how, f"task/{row.id}", {"in": "Temporal"})
    return True
