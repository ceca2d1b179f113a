"""The record of tasks: who owns which, what it runs and when, and whether it rests. Functions never commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Row, func, insert, literal, select, text, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import NotFoundError
from models.identity import Caller, Role, smaller_role
from models.persistence.audit import record_change
from models.persistence.tables import task_pauses, tasks, users
from services.schedules.history import HeldSchedule
from services.schedules.task_runs import held_schedule


@dataclass(frozen=True)
class StoredTask:
    """A task as it is kept; what is JSON is read by those who know its contracts."""

    id: str
    owner_id: str
    role: Role
    """Of whoever scheduled it: it never runs with a larger one."""
    name: str
    schedule: dict[str, Any]
    timezone: str
    definition_id: str
    target: dict[str, Any]
    input: JsonValue
    policy: dict[str, Any]


@dataclass(frozen=True)
class DueTask:
    """What it takes to run a task."""

    definition_id: str
    input: JsonValue
    owner: Caller
    """With the role that they have now, or had when they scheduled it, whichever is smaller."""
    schedule: HeldSchedule


def _owned(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else tasks.c.owner_id == caller.user_id


async def create_task(connection: AsyncConnection, task: StoredTask) -> None:
    """Record a task. Doing it again changes nothing."""
    created = await connection.execute(upsert(tasks).values(vars(task)).on_conflict_do_nothing())
    if created.rowcount:
        await record_change(connection, task.owner_id, "task.create", f"task/{task.id}")


async def find_task(
    connection: AsyncConnection, caller: Caller, task_id: str, *, lock: bool = False, also_deleted: bool = False
) -> Row[Any]:
    """A task of the caller's; of anybody's for admins. Raises NotFoundError, the same for another's as for none.

    `lock`: until the end of the transaction, nobody else changes it.
    """
    statement = select(tasks).where(tasks.c.id == task_id, _owned(caller))
    if not also_deleted:
        statement = statement.where(tasks.c.deleted_at.is_(None))
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


async def change_task(connection: AsyncConnection, caller: Caller, row: Row[Any], task: StoredTask) -> None:
    """Change a task, whose row is locked, in place; another schedule counts its runs anew."""
    values = {key: value for key, value in vars(task).items() if key not in {"id", "owner_id"}}
    values["revision"] = row.revision + 1
    now = await _now(connection)
    if (row.schedule, row.timezone, row.policy) != (task.schedule, task.timezone, task.policy):
        await connection.execute(_KEEP_SCHEDULE, {"task": task.id, "now": now})
    if _when(row.schedule, row.timezone, row.policy) != _when(task.schedule, task.timezone, task.policy):
        values["schedule_revision"] = row.revision + 1
    await connection.execute(update(tasks).where(tasks.c.id == task.id).values(**values, updated_at=now))
    await record_change(connection, caller.user_id, "task.change", f"task/{task.id}")


_KEEP_SCHEDULE = text("""
    INSERT INTO task_schedules (task_id, since, until, schedule, timezone, policy)
    SELECT id, coalesce((SELECT max(until) FROM task_schedules WHERE task_id = :task), created_at), :now,
           schedule, timezone, policy
    FROM tasks WHERE id = :task
""")


def _when(schedule: dict[str, Any], timezone: str, policy: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    """What decides at which times a task fires."""
    return schedule, timezone, policy["dst"]


async def set_paused(connection: AsyncConnection, caller: Caller, row: Row[Any], *, paused: bool) -> None:
    """Note that a task, whose row is locked, rests or goes on: whatever Temporal has made of it by itself."""
    revision = {"revision": row.revision + 1, "paused_revision": row.revision + 1}
    await connection.execute(update(tasks).where(tasks.c.id == row.id).values(paused=paused, **revision))
    if paused != row.paused:
        await note_pause(connection, row.id, paused=paused)
    await record_change(connection, caller.user_id, "task.pause" if paused else "task.resume", f"task/{row.id}")


async def note_pause(connection: AsyncConnection, task_id: str, *, paused: bool, at: datetime | None = None) -> None:
    """Begin a pause, now or at another time, or end it: nothing is due meanwhile. The task's row is locked."""
    now = await _now(connection)
    if paused:
        await connection.execute(insert(task_pauses).values(task_id=task_id, paused_at=at or now))
    else:
        open_one = update(task_pauses).where(task_pauses.c.task_id == task_id, task_pauses.c.resumed_at.is_(None))
        await connection.execute(open_one.values(resumed_at=now))


async def _now(connection: AsyncConnection) -> datetime:
    """The database's clock. `now()` is when the transaction began, maybe before it had to wait for another."""
    return (await connection.execute(select(func.clock_timestamp()))).scalar_one()


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
        select(tasks, users.c.role.label("owner_role"))
        .join(users, users.c.id == tasks.c.owner_id)
        .where(tasks.c.id == task_id, tasks.c.deleted_at.is_(None))
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise NotFoundError("The task was deleted.", code="task-deleted")
    owner = Caller(user_id=row.owner_id, role=smaller_role(Role(row.role), Role(row.owner_role)))
    return DueTask(row.definition_id, row.input, owner, held_schedule(row))


def _no_such_task() -> NotFoundError:
    return NotFoundError("There is no such task.")
