"""The record of when tasks ran, and of the schedules they had. Functions never commit."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import TypeAdapter
from sqlalchemy import Row, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import ConflictError
from models.identity import Caller
from models.persistence.tables import task_pauses, task_runs, task_schedules, task_triggers
from models.runs import Failure, RunStatus
from models.schedules import Form, Policy, Schedule
from services.schedules.history import FIRST, NEVER, HeldSchedule, NotStarted, Span, Started, not_started
from services.schedules.times import SECOND

_MINUTE = timedelta(minutes=1)
FORM = TypeAdapter[Form](Schedule)


@dataclass(frozen=True)
class NewTaskRun:
    """The run of a planned time."""

    task_id: str
    planned_at: datetime
    run_id: str
    started_by: str
    """The ids of the workflow and of the execution that started it."""
    on_schedule: bool
    """Whether it counts for the limit of the schedule: neither triggered nor filled in."""


async def find_planned(connection: AsyncConnection, task_id: str, planned_at: datetime) -> tuple[str | None, bool]:
    """Who has started the run of a planned time, None when nobody has; and whether somebody triggered it."""
    row = (await connection.execute(_PLANNED, {"task": task_id, "planned_at": planned_at})).one()
    return row.started_by, row.triggered


_PLANNED = text("""
    SELECT (SELECT started_by FROM task_runs WHERE task_id = :task AND planned_at = :planned_at) AS started_by,
           EXISTS (SELECT FROM task_triggers WHERE task_id = :task AND planned_at = :planned_at) AS triggered
""")


async def record_task_run(connection: AsyncConnection, run: NewTaskRun, error: Failure | None = None) -> None:
    """Note the run of a planned time, or why there is none. The first one holds."""
    row = {**vars(run), "error": None if error is None else error.model_dump(mode="json")}
    await connection.execute(upsert(task_runs).values(row).on_conflict_do_nothing())


def held_schedule(row: Row[Any], since: datetime = FIRST, until: datetime = NEVER) -> HeldSchedule:
    """A schedule as it is kept, and for how long it held."""
    form, policy = FORM.validate_python(row.schedule), Policy.model_validate(row.policy)
    try:
        zone = ZoneInfo(row.timezone)
    except ZoneInfoNotFoundError as error:
        message = f"The time zone {row.timezone} was retired: give the task another one."
        raise ConflictError(message, code="retired-timezone") from error
    return HeldSchedule(form, zone, policy, since, until)


async def list_schedules(connection: AsyncConnection, task: Row[Any]) -> list[HeldSchedule]:
    """The schedule that a task has or had last, and those before, the latest first; another policy is another one."""
    statement = select(task_schedules).where(task_schedules.c.task_id == task.id)
    before = (await connection.execute(statement.order_by(task_schedules.c.until.desc()))).all()
    since = before[0].until if before else task.created_at
    held = [held_schedule(task, since, task.deleted_at or NEVER)]
    for one in before:
        with suppress(ConflictError):  # when it fired in a zone that was retired, nobody knows any more
            held.append(held_schedule(one, one.since, one.until))
    found: list[HeldSchedule] = []
    for _, same in groupby(held, lambda one: one.when):
        found += await _until_the_last_run(connection, task.id, list(same))
    return found


async def _until_the_last_run(
    connection: AsyncConnection, task_id: str, same: list[HeldSchedule]
) -> list[HeldSchedule]:
    """A limited schedule holds until the last of its runs; `same`: under different policies."""
    most = same[0].form.max_runs
    if most is None:
        return same
    span = task_runs.c.planned_at.between(same[-1].since, same[0].until)
    statement = select(task_runs.c.planned_at).where(task_runs.c.task_id == task_id, task_runs.c.on_schedule, span)
    last = await connection.scalar(statement.order_by(task_runs.c.planned_at).offset(most - 1).limit(1))
    return same if last is None else [replace(one, until=min(one.until, last + SECOND)) for one in same]


async def started_times(connection: AsyncConnection, task_id: str, begin: datetime, end: datetime) -> set[datetime]:
    """The planned times of a span, bounds included, that have had their runs."""
    statement = select(task_runs.c.planned_at).where(
        task_runs.c.task_id == task_id, task_runs.c.planned_at.between(begin, end)
    )
    return set(await connection.scalars(statement))


async def find_starter(connection: AsyncConnection, run_id: str) -> str | None:
    """The id of the workflow that starts a task's run; None of any other run."""
    by = await connection.scalar(select(task_runs.c.started_by).where(task_runs.c.run_id == run_id))
    return None if by is None else by.partition("/")[0]


async def take_second(connection: AsyncConnection, held: HeldSchedule, task_id: str) -> datetime:
    """The planned time of a trigger: one that no other has. The task's row is locked. Raises ConflictError."""
    now = datetime.now(UTC)
    triggers = select(task_triggers.c.planned_at).where(task_triggers.c.task_id == task_id)
    taken = set(await connection.scalars(triggers.where(task_triggers.c.planned_at > now - _MINUTE)))
    second = held.free_second(now, taken)
    if second is None:
        raise ConflictError("The task was triggered sixty times within a minute.", code="too-often")
    await connection.execute(insert(task_triggers).values(task_id=task_id, planned_at=second))
    return second


async def count_runs_left(connection: AsyncConnection, task_ids: Sequence[str]) -> dict[str, int]:
    """How often tasks are still to run by the schedules that they have; those without a limit are left out."""
    rows = await connection.execute(_RUNS_LEFT, {"tasks": list(task_ids)})
    return {row.id: row.runs_left for row in rows}


# What a task ran counts since its schedule, time zone or `dst` changed last.
_RUNS_LEFT = text("""
    SELECT task.id, greatest(0, CAST(task.schedule->>'max_runs' AS bigint) - (
        SELECT count(*) FROM task_runs ran
        WHERE ran.task_id = task.id AND ran.on_schedule AND ran.planned_at >= coalesce(changed.at, task.created_at)
    )) AS runs_left
    FROM tasks task LEFT JOIN LATERAL (
        SELECT max(until) AS at FROM task_schedules earlier
        WHERE earlier.task_id = task.id AND (earlier.schedule, earlier.timezone, earlier.policy->>'dst')
            <> (task.schedule, task.timezone, task.policy->>'dst')
    ) changed ON true
    WHERE task.id = ANY(CAST(:tasks AS text[])) AND task.schedule->>'max_runs' IS NOT NULL
""")


async def next_times(
    connection: AsyncConnection, some: Sequence[Row[Any]], count: int
) -> dict[str, tuple[datetime, ...]]:
    """When tasks fire next, as the record says: for when Temporal does not."""
    left = await count_runs_left(connection, [task.id for task in some])
    return await asyncio.to_thread(
        lambda: {task.id: _next_times(task, min(count, left.get(task.id, count))) for task in some}
    )


def _next_times(task: Row[Any], count: int) -> tuple[datetime, ...]:
    """None in a zone that was retired."""
    with suppress(ConflictError):
        return tuple(islice(held_schedule(task).times(datetime.now(UTC), NEVER), count))
    return ()


async def read_history(
    connection: AsyncConnection,
    caller: Caller,
    task: Row[Any],
    schedules: Sequence[HeldSchedule],
    *,
    since: datetime,
    before: datetime,
    limit: int,
) -> tuple[list[Started], list[NotStarted]]:
    """The last planned times that have had their runs, and the last that were due without; the latest first."""
    started = await _list_started(connection, caller, task.id, since=since, before=before, limit=limit)
    pauses = await _list_pauses(connection, task.id)
    seen = started[-1].planned_at if len(started) == limit else since
    ran = await connection.execute(_RAN, {"task": task.id, "since": seen, "before": before})
    missing = await asyncio.to_thread(
        not_started,
        schedules,
        {one.planned_at for one in started},
        [(row.busy_from, row.ended_at) for row in ran],
        pauses,
        datetime.now(UTC),
        since=seen,
        before=before,
        limit=limit,
    )
    return started, missing


# Where what comes during a run may be skipped, runs follow each other, but for what somebody starts beside them in the
# Temporal Web UI: of those that began before, only the last few can still have gone on.
_RAN = text("""
    SELECT ran.busy_from, run.ended_at FROM (
        (SELECT run_id, busy_from FROM task_runs
         WHERE task_id = :task AND busy_from >= :since AND busy_from < :before)
        UNION ALL
        (SELECT run_id, busy_from FROM task_runs
         WHERE task_id = :task AND busy_from < :since ORDER BY busy_from DESC LIMIT 10)
    ) ran JOIN runs run ON run.run_id = ran.run_id
""")
_STARTED = text("""
    SELECT ran.planned_at, ran.started_at, ran.run_id, ran.error, run.status, run.ended_at, run.error AS run_error,
           run.definition_id
    FROM task_runs ran JOIN tasks ON tasks.id = ran.task_id LEFT JOIN runs run ON run.run_id = ran.run_id
    WHERE ran.task_id = :task AND (:sees_all OR tasks.owner_id = :owner)
    AND ran.planned_at >= :since AND ran.planned_at < :before
    ORDER BY ran.planned_at DESC LIMIT :limit
""")


async def _list_started(
    connection: AsyncConnection, caller: Caller, task_id: str, *, since: datetime, before: datetime, limit: int
) -> list[Started]:
    place = {"task": task_id, "since": since, "before": before, "limit": limit}
    who = {"sees_all": caller.sees_all, "owner": caller.user_id}
    return [_started(row) for row in await connection.execute(_STARTED, {**place, **who})]


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


async def _list_pauses(connection: AsyncConnection, task_id: str) -> list[Span]:
    statement = select(task_pauses.c.paused_at, task_pauses.c.resumed_at).where(task_pauses.c.task_id == task_id)
    rows = await connection.execute(statement)
    return [(row.paused_at, row.resumed_at) for row in rows]
