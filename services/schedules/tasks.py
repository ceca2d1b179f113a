"""The record of tasks: who owns which, when it was paused, what it has run. Functions never commit, but `tell`.

When a task fires is kept by Temporal, in the schedule of the task's id. What is written here is told to Temporal
afterwards; `told_revision` says up to which change. So whatever ends between the two writes, a later telling repairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from pydantic import JsonValue, TypeAdapter
from sqlalchemy import ColumnElement, Row, func, insert, literal, select, text, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import NotFoundError
from models.identity import Caller, Role
from models.persistence.audit import record_change
from models.persistence.tables import task_pauses, task_runs, tasks, users
from models.runs import Failure, RunStatus
from models.schedules import Form, Policy, Schedule
from models.server_times import TaskSchedule
from services.schedules.history import Started
from services.schedules.server_times import server_times

_FORM = TypeAdapter[Form](Schedule)


@dataclass(frozen=True)
class StoredTask:
    """A task as it is kept; what is JSON is read by those who know its contracts."""

    id: str
    owner_id: str
    name: str
    schedule: dict[str, Any]
    timezone: str
    definition_id: str
    target: dict[str, Any]
    input: JsonValue
    policy: dict[str, Any]


@dataclass(frozen=True)
class TaskRun:
    """The run of a planned time."""

    task_id: str
    planned_at: datetime
    run_id: str
    started_by: str
    """Temporal's id of the execution that started it."""


@dataclass(frozen=True)
class DueTask:
    """What it takes to run a task."""

    definition_id: str
    input: JsonValue
    owner: Caller
    """With the role that they have now."""


def _owned(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else tasks.c.owner_id == caller.user_id


async def create_task(connection: AsyncConnection, task: StoredTask) -> None:
    """Record a task. Doing it again changes nothing."""
    created = await connection.execute(upsert(tasks).values(vars(task)).on_conflict_do_nothing())
    if created.rowcount:
        await record_change(connection, task.owner_id, "task.create", f"task/{task.id}")


async def find_task(connection: AsyncConnection, caller: Caller, task_id: str, *, lock: bool = False) -> Row[Any]:
    """A task of the caller's; of anybody's for admins. Raises NotFoundError, the same for another's as for none.

    `lock`: until the end of the transaction, nobody else changes it.
    """
    statement = select(tasks).where(tasks.c.id == task_id, tasks.c.deleted_at.is_(None), _owned(caller))
    row = (await connection.execute(statement.with_for_update() if lock else statement)).one_or_none()
    if row is None:
        raise _no_such_task()
    return row


async def list_tasks(
    connection: AsyncConnection,
    caller: Caller,
    *,
    name: str | None,
    paused: bool | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Tasks, newest first. `name`: only those whose name has it, whatever the case."""
    statement = select(tasks).where(tasks.c.deleted_at.is_(None), _owned(caller))
    if name is not None:
        statement = statement.where(tasks.c.name.icontains(name, autoescape=True))
    if paused is not None:
        statement = statement.where(tasks.c.paused == paused)
    if before is not None:
        statement = statement.where(tuple_(tasks.c.created_at, tasks.c.id) < tuple_(*map(literal, before)))
    statement = statement.order_by(tasks.c.created_at.desc(), tasks.c.id.desc()).limit(limit)
    return (await connection.execute(statement)).all()


async def change_task(connection: AsyncConnection, caller: Caller, task: StoredTask) -> None:
    """Change a task in place. Raises NotFoundError."""
    values = {key: value for key, value in vars(task).items() if key not in {"id", "owner_id"}}
    statement = update(tasks).where(tasks.c.id == task.id, tasks.c.deleted_at.is_(None), _owned(caller))
    statement = statement.values(**values, revision=tasks.c.revision + 1, updated_at=func.now())
    if await connection.scalar(statement.returning(tasks.c.id)) is None:
        raise _no_such_task()
    await record_change(connection, caller.user_id, "task.change", f"task/{task.id}")


async def set_paused(connection: AsyncConnection, caller: Caller, task_id: str, *, paused: bool) -> None:
    """Note that a task rests, or goes on: also one that Temporal has paused by itself. Raises NotFoundError."""
    row = await find_task(connection, caller, task_id, lock=True)
    if row.paused and paused:
        return
    await connection.execute(
        update(tasks).where(tasks.c.id == task_id).values(paused=paused, revision=tasks.c.revision + 1)
    )
    if paused:
        await connection.execute(insert(task_pauses).values(task_id=task_id))
    else:
        open_one = update(task_pauses).where(task_pauses.c.task_id == task_id, task_pauses.c.resumed_at.is_(None))
        await connection.execute(open_one.values(resumed_at=func.now()))
    await record_change(connection, caller.user_id, "task.pause" if paused else "task.resume", f"task/{task_id}")


async def delete_task(connection: AsyncConnection, caller: Caller, task_id: str) -> None:
    """Hide a task: it fires no more; its runs stay. Raises NotFoundError."""
    statement = update(tasks).where(tasks.c.id == task_id, tasks.c.deleted_at.is_(None), _owned(caller))
    gone = statement.values(deleted_at=func.now(), revision=tasks.c.revision + 1)
    if await connection.scalar(gone.returning(tasks.c.id)) is None:
        raise _no_such_task()
    await record_change(connection, caller.user_id, "task.delete", f"task/{task_id}")


async def count_tasks(connection: AsyncConnection, definition_id: str) -> int:
    """How many tasks run a definition, whoever's they are."""
    statement = select(func.count()).where(tasks.c.definition_id == definition_id, tasks.c.deleted_at.is_(None))
    return await connection.scalar(statement) or 0


async def find_due(connection: AsyncConnection, task_id: str) -> DueTask:
    """What to run, and for whom. Raises NotFoundError (`task-deleted`)."""
    statement = (
        select(tasks.c.definition_id, tasks.c.input, tasks.c.owner_id, users.c.role)
        .join(users, users.c.id == tasks.c.owner_id)
        .where(tasks.c.id == task_id, tasks.c.deleted_at.is_(None))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise NotFoundError("The task was deleted.", code="task-deleted")
    return DueTask(row.definition_id, row.input, Caller(user_id=row.owner_id, role=Role(row.role)))


async def started_by(connection: AsyncConnection, task_id: str, planned_at: datetime) -> str | None:
    """Who has started the run of a planned time; None when nobody has."""
    statement = select(task_runs.c.started_by).where(
        task_runs.c.task_id == task_id, task_runs.c.planned_at == planned_at
    )
    return await connection.scalar(statement)


async def record_task_run(connection: AsyncConnection, run: TaskRun, error: Failure | None = None) -> None:
    """Note the run of a planned time, or why there is none. The first one holds."""
    row = {**vars(run), "error": None if error is None else error.model_dump(mode="json")}
    await connection.execute(upsert(task_runs).values(row).on_conflict_do_nothing())


_HISTORY = text("""
    SELECT ran.planned_at, ran.started_at, ran.run_id, ran.error, run.status, run.ended_at, run.error AS run_error,
           run.definition_id
    FROM task_runs ran JOIN tasks ON tasks.id = ran.task_id LEFT JOIN runs run ON run.run_id = ran.run_id
    WHERE ran.task_id = :task AND (:sees_all OR tasks.owner_id = :owner)
    AND ran.planned_at >= :since AND ran.planned_at < :before
    ORDER BY ran.planned_at DESC LIMIT :limit
""")


async def list_task_runs(
    connection: AsyncConnection, caller: Caller, task_id: str, *, since: datetime, before: datetime, limit: int
) -> list[Started]:
    """The runs of a task's planned times, the latest first."""
    place = {"task": task_id, "since": since, "before": before, "limit": limit}
    who = {"sees_all": caller.sees_all, "owner": caller.user_id}
    return [_started(row) for row in await connection.execute(_HISTORY, {**place, **who})]


def _started(row: Row[Any]) -> Started:
    error = row.error or row.run_error
    return Started(
        planned_at=row.planned_at,
        started_at=row.started_at,
        run_id=row.run_id,
        status=None if row.status is None else RunStatus(row.status),
        ended_at=row.ended_at,
        error=None if error is None else Failure.model_validate(error),
        workflow=row.definition_id,
    )


async def list_pauses(connection: AsyncConnection, task_id: str) -> Sequence[tuple[datetime, datetime | None]]:
    """When a task rested; the last one may go on."""
    statement = select(task_pauses.c.paused_at, task_pauses.c.resumed_at).where(task_pauses.c.task_id == task_id)
    return [(row.paused_at, row.resumed_at) for row in await connection.execute(statement)]


class Schedules(Protocol):
    """The schedules of tasks, where they are kept."""

    async def put(self, task: TaskSchedule) -> None:
        """Make a schedule, or make it what it is to be. Doing it again changes nothing."""
        ...

    async def remove(self, task_id: str) -> None:
        """Delete a schedule, if there is one."""
        ...


async def tell(database: AsyncEngine, schedules: Schedules, task_id: str) -> None:
    """Let a task's schedule be what the record says. One at a time for a task. Commits."""
    async with database.begin() as connection:
        row = (await connection.execute(select(tasks).where(tasks.c.id == task_id).with_for_update())).one()
        if row.deleted_at is None:
            await schedules.put(_schedule(row))
        else:
            await schedules.remove(task_id)
        told = update(tasks).where(tasks.c.id == task_id).values(told_revision=row.revision, told_at=func.now())
        await connection.execute(told)


async def untold(connection: AsyncConnection, limit: int) -> Sequence[str]:
    """Tasks of which Temporal does not know everything, or was told too long ago: its schedules have a horizon."""
    again = tasks.c.deleted_at.is_(None) & (tasks.c.told_at < func.now() - text("interval '30 days'"))
    statement = select(tasks.c.id).where((tasks.c.told_revision != tasks.c.revision) | again).limit(limit)
    return (await connection.scalars(statement)).all()


def _schedule(row: Row[Any]) -> TaskSchedule:
    form, policy = _FORM.validate_python(row.schedule), Policy.model_validate(row.policy)
    times = server_times(form, ZoneInfo(row.timezone), datetime.now(UTC), policy.dst)
    return TaskSchedule(row.id, row.name, row.owner_id, row.revision, row.paused, times, policy, form.max_runs)


def _no_such_task() -> NotFoundError:
    return NotFoundError("There is no such task.")
