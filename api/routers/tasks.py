"""Tasks: workflows and actions that run by a schedule."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated, Any
from uuid import uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from fastapi import Path, Query
from pydantic import TypeAdapter
from pydantic_core import from_json
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response
from temporalio.service import RPCError, RPCStatusCode

from api import runs as views
from api.dependencies import AdminDep, CallerDep, PartsDep
from api.idempotency import Answer
from api.pagination import Instant, Page, PageDep, Text
from api.parts import Parts
from api.problems import is_unexpected
from api.repeatable import IdempotencyDep
from api.routing import resource
from models.catalogue import CATALOGUE
from models.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, Problem
from models.identity import Caller, Role, smaller_role
from models.persistence.audit import record_change
from models.schedules import Policy
from models.tasks import (
    Backfill,
    ExecutedPending,
    NewTask,
    Preview,
    Previewed,
    Scheduled,
    Target,
    Task,
    TaskRun,
    Triggered,
)
from services.identity.users import timezone_of
from services.schedules import task_runs, tasks
from services.schedules.history import FIRST, HeldSchedule, Started, current
from services.schedules.server_times import BACK_FILLED
from services.schedules.task_runs import FORM
from services.schedules.tasks import StoredTask
from services.schedules.telling import one_at_a_time, tell
from services.schedules.text import describe
from services.schedules.times import SECOND, instant_of, next_times
from workflows.platform import action_definition_id
from workflows.task_schedules import TaskSchedules

_log = structlog.get_logger(__name__)
router = resource("tasks")

TaskId = Annotated[str, Path(pattern=r"^[0-9a-f-]{36}$", examples=["6f1d2f4e-2a53-4c0b-8a4e-6a8f5f9a3c10"])]
_CURSOR = TypeAdapter[tuple[datetime, str]](tuple[Instant, Text])
_MOMENT_CURSOR = TypeAdapter[datetime](Instant)
_SHOWN = 10
"""Fire times that an answer names."""
_LISTED = 5
"""Those of each task in a list, as Temporal has it."""
_MOST_FILLED = 10_000
"""Runs of one back-fill."""
_MOST_SPANS = 500
"""Spans of one back-fill. Temporal keeps a thousand of a schedule, and drops the rest."""
_BATCH = 200
"""Tasks that are looked at between two readings of the list."""
_PENDING = timedelta(days=7)
"""How far back `execute-pending` looks."""


@router.post("/task/schedule", status_code=201, response_model=Scheduled)
async def schedule_task(new: NewTask, caller: CallerDep, parts: PartsDep, idempotency: IdempotencyDep) -> Response:
    """Run something by a schedule. Nothing is kept of one that never fires, or whose target or input does not fit."""
    async with parts.autocommit.connect() as connection:
        zone = await _zone(connection, caller, new.timezone)
    definition, times = await _check(parts, caller, new, zone)
    task_id = str(uuid4())

    async def accept() -> Answer:
        await tasks.create_task(connection, _stored(task_id, caller, new, zone, definition))
        return Answer.of(201, Scheduled(id=task_id, next=times, text=describe(new.schedule, zone)))

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, accept)
    await _tell(parts, from_json(answer.body)["id"])
    return answer.response()


@router.post("/task/preview")
async def preview_schedule(asked: Preview, caller: CallerDep, parts: PartsDep) -> Previewed:
    """When a schedule would fire, before anything is created."""
    async with parts.autocommit.connect() as connection:
        zone = await _zone(connection, caller, asked.timezone)
    after = datetime.now(UTC) if asked.from_ is None else instant_of(asked.from_, zone) - SECOND
    times = next_times(asked.schedule, zone, after, asked.count, asked.policy.dst)
    return Previewed(next=times, text=describe(asked.schedule, zone))


@router.post("/task/execute-pending")
async def execute_pending(caller: AdminDep, parts: PartsDep) -> ExecutedPending:
    """Start everything that was due within the last week and has not started, whoever's it is; once."""
    started: dict[str, int] = {}
    place: tuple[datetime, str] | None = None
    while True:
        async with parts.database.connect() as connection:
            rows = await tasks.list_tasks(connection, caller, name=None, paused=False, before=place, limit=_BATCH)
        for row in rows:
            try:
                if runs := await _start_pending(parts, caller, row):
                    started[row.id] = runs
            except ConflictError as error:
                _log.warning("a task cannot be executed", task_id=row.id, code=error.code)
        if len(rows) < _BATCH:
            break
        place = (rows[-1].created_at, rows[-1].id)
    total = sum(started.values())
    async with parts.database.begin() as connection:
        await record_change(connection, caller.user_id, "task.execute-pending", "task", {"started": total})
    return ExecutedPending(started=total, tasks=tuple(started))


async def _start_pending(parts: Parts, caller: Caller, row: Row[Any]) -> int:
    """Start what a task has missed: how many runs these are."""
    now = datetime.now(UTC)
    since = now - _PENDING
    async with parts.database.connect() as connection:
        schedules = current(await task_runs.list_schedules(connection, row))
        _, missing = await task_runs.read_history(
            connection, caller, row, schedules, since=since, before=now, limit=_MOST_FILLED
        )
    missed = [one.planned_at for one in missing if one.outcome == "missed"]
    groups = (await asyncio.to_thread(schedules[0].together, missed))[-_MOST_SPANS:]
    await _fill_in(parts, row.id, schedules[0], groups)
    return sum(map(len, groups))


@router.get("/task/scheduled")
async def list_tasks(
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    name: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="Part of the name.")] = None,
    paused: bool | None = None,
) -> Page[Task]:
    """One's own tasks, newest first; everybody's for admins."""
    async with parts.autocommit.connect() as connection:
        rows = await tasks.list_tasks(
            connection, caller, name=name, paused=paused, before=page.after(_CURSOR), limit=page.rows
        )
    active = [row for row in rows if not row.paused]
    times = await TaskSchedules(parts.temporal).next_times([row.id for row in active])
    if unknown := [row for row in active if row.id not in times]:
        async with parts.autocommit.connect() as connection:
            times |= await task_runs.next_times(connection, unknown, _LISTED)
    shown = await asyncio.to_thread(lambda: [_task(row, row.paused, times.get(row.id, ())) for row in rows])
    return page.page(shown, lambda task: (task.created_at, task.id))


@router.get("/task/{task_id}")
async def get_task(task_id: TaskId, caller: CallerDep, parts: PartsDep) -> Task:
    """A task, and what Temporal counts of it."""
    async with parts.autocommit.connect() as connection:
        row = await tasks.find_task(connection, caller, task_id)
    seen = await TaskSchedules(parts.temporal).see(task_id)
    if seen is None:
        async with parts.autocommit.connect() as connection:
            times = await task_runs.next_times(connection, [row], _SHOWN)
        return _task(row, row.paused, times[task_id])
    return _task(row, seen.paused, seen.next).model_copy(update={"skipped": seen.skipped, "missed": seen.missed})


@router.put("/task/{task_id}")
async def change_task(task_id: TaskId, new: NewTask, caller: CallerDep, parts: PartsDep) -> Scheduled:
    """Change a task; what it has run stays. A run under way goes on as it began."""
    async with parts.autocommit.connect() as connection:
        row = await tasks.find_task(connection, caller, task_id)
        owner = caller if row.owner_id == caller.user_id else (await tasks.find_due(connection, task_id)).owner
        zone = await _zone(connection, owner, new.timezone)
    definition, times = await _check(parts, owner, new, zone)
    async with parts.database.begin() as connection:
        row = await tasks.find_task(connection, caller, task_id, lock=True)
        await tasks.change_task(connection, caller, row, _stored(task_id, owner, new, zone, definition))
        left = await task_runs.count_runs_left(connection, [task_id])
    await _tell(parts, task_id)
    return Scheduled(id=task_id, next=times[: left.get(task_id)], text=describe(new.schedule, zone))


@router.delete("/task/{task_id}", status_code=204)
async def delete_task(task_id: TaskId, caller: CallerDep, parts: PartsDep) -> None:
    """Run a task no more. A run under way goes on."""
    async with parts.database.begin() as connection:
        await tasks.delete_task(connection, caller, task_id)
    await _tell(parts, task_id)


@router.post("/task/{task_id}/pause")
async def pause_task(task_id: TaskId, caller: CallerDep, parts: PartsDep) -> Task:
    """Let a task rest: times that come meanwhile are not made up for."""
    async with parts.database.begin() as connection:
        row = await tasks.find_task(connection, caller, task_id, lock=True)
        await tasks.set_paused(connection, caller, row, paused=True)
    return await _told(parts, caller, task_id)


@router.post("/task/{task_id}/resume")
async def resume_task(task_id: TaskId, caller: CallerDep, parts: PartsDep) -> Task:
    """Let a task go on, also one that a failure has paused."""
    async with parts.database.begin() as connection:
        row = await _find_to_run(connection, caller, task_id)
        await tasks.set_paused(connection, caller, row, paused=False)
    return await _told(parts, caller, task_id)


@router.post("/task/{task_id}/trigger", status_code=202, response_model=Triggered)
async def trigger_task(task_id: TaskId, caller: CallerDep, parts: PartsDep, idempotency: IdempotencyDep) -> Response:
    """Run a task now, once, whether or not it is paused; after a run under way, if its policy is to skip."""

    async def accept() -> Answer:
        second = await task_runs.take_second(connection, held, task_id)
        await record_change(connection, caller.user_id, "task.trigger", f"task/{task_id}")
        return Answer.of(202, Triggered(id=task_id, planned_at=second))

    async with parts.database.begin() as connection:
        held = task_runs.held_schedule(await _find_to_run(connection, caller, task_id))
        answer = await idempotency.answer_once(connection, accept)
    planned_at = datetime.fromisoformat(from_json(answer.body)["planned_at"])
    await _ask(parts, task_id, lambda schedules: schedules.trigger(task_id, held.policy, planned_at))
    return answer.response()


@router.post("/task/{task_id}/backfill", status_code=202)
async def backfill_task(task_id: TaskId, span: Backfill, caller: CallerDep, parts: PartsDep) -> Previewed:
    """Run what the schedule says for a time that has passed, and has not had its run; one after the other."""
    async with parts.autocommit.connect() as connection:
        held = task_runs.held_schedule(await _find_to_run(connection, caller, task_id))
    now = datetime.now(UTC)
    begin, end = instant_of(span.from_, held.zone), instant_of(span.to, held.zone)
    if end < begin:
        raise _refused("/to", "end-before-start", "`to` is before `from`.")
    if end > now:
        raise _refused("/to", "in-future", "`to` has not come yet: a back-fill is of times that have passed.")
    if begin < now - BACK_FILLED:
        raise _refused("/from", "too-old", f"`from` is more than {BACK_FILLED.days} days ago.")
    due = await asyncio.to_thread(lambda: list(islice(held.times(begin, end + SECOND), _MOST_FILLED + 1)))
    if len(due) > _MOST_FILLED:
        raise _refused("/to", "too-large", f"These are more than the {_MOST_FILLED:,} runs of one back-fill.")
    async with parts.database.begin() as connection:
        started = await task_runs.started_times(connection, task_id, begin, end)
        due = [at for at in due if at not in started]
        groups = await asyncio.to_thread(held.together, due)
        if len(groups) > _MOST_SPANS:
            raise _refused("/to", "too-large", f"These are more than {_MOST_SPANS} spans without runs.")
        await record_change(connection, caller.user_id, "task.backfill", f"task/{task_id}", {"runs": len(due)})
    await _fill_in(parts, task_id, held, groups)
    return Previewed(next=tuple(due[:_SHOWN]), text="1 run" if len(due) == 1 else f"{len(due):,} runs")


async def _fill_in(parts: Parts, task_id: str, held: HeldSchedule, groups: list[list[datetime]]) -> None:
    """Start what was planned for these times."""
    now = datetime.now(UTC)
    spans = [held.starts(times[0], times[-1]) for times in groups]
    spans = [(begin, min(end, now)) for begin, end in spans]
    if spans:
        await _ask(parts, task_id, lambda schedules: schedules.fill_in(task_id, held.policy, spans))


async def _find_to_run(connection: AsyncConnection, caller: Caller, task_id: str) -> Row[Any]:
    """A task, locked. Raises ForbiddenError when the caller may do less than it runs with."""
    row = await tasks.find_task(connection, caller, task_id, lock=True)
    role = Role(row.role)
    if smaller_role(caller.role, role) is not role:
        raise ForbiddenError(f"The task runs with the role {role}, which this key does not have.")
    return row


async def _ask(parts: Parts, task_id: str, ask: Callable[[TaskSchedules], Awaitable[None]]) -> None:
    """Ask something of a schedule. Temporal forgets one a week after its last time: then it is made again."""
    schedules = TaskSchedules(parts.temporal)
    try:
        await one_at_a_time(parts.database, task_id, lambda: ask(schedules))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        await tell(parts.database, schedules, task_id)
        await one_at_a_time(parts.database, task_id, lambda: ask(schedules))


@router.get("/task/{task_id}/history")
async def list_task_history(task_id: TaskId, caller: CallerDep, parts: PartsDep, page: PageDep) -> Page[TaskRun]:
    """The times at which a task was to run, the latest first: what became of them. Deleting a task keeps it."""
    before = page.after(_MOMENT_CURSOR) or datetime.now(UTC) + SECOND
    async with parts.database.connect() as connection:
        row = await tasks.find_task(connection, caller, task_id, also_deleted=True)
        schedules = await task_runs.list_schedules(connection, row)
        started, missing = await task_runs.read_history(
            connection, caller, row, schedules, since=FIRST, before=before, limit=page.rows
        )
    items = [_task_run(parts, one) for one in started]
    items += [TaskRun(planned_at=one.planned_at, started_at=None, outcome=one.outcome, run_id=None) for one in missing]
    items.sort(key=lambda one: one.planned_at, reverse=True)
    return page.page(items, lambda one: one.planned_at)


async def _check(parts: Parts, owner: Caller, new: NewTask, zone: ZoneInfo) -> tuple[str, tuple[datetime, ...]]:
    """The definition that a task runs, and its next times.

    Raises InvalidInputError with all problems, ForbiddenError for learners.
    """
    if owner.role is Role.LEARNER and new.target.intent is None:
        raise ForbiddenError("Learners schedule intents only.")
    definition, times, problems = "", (), list[Problem]()
    try:
        times = next_times(new.schedule, zone, datetime.now(UTC), _SHOWN, new.policy.dst)
    except InvalidInputError as error:
        problems += error.problems
    try:
        definition = await _target(parts, owner, new)
    except InvalidInputError as error:
        problems += error.problems
    if problems:
        raise InvalidInputError("The task cannot be accepted.", problems=problems)
    return definition, times


async def _target(parts: Parts, owner: Caller, new: NewTask) -> str:
    target = new.target
    if target.intent is not None:
        raise _refused(
            "/target/intent",
            "not-supported-yet",
            "Intents cannot be scheduled yet.",
            "Schedule the workflow or the action that it stands for.",
        )
    place = "workflow" if target.workflow is not None else "action"
    try:
        compiled = await views.find_runnable(parts, owner, await _definition_id(parts, owner, target))
    except NotFoundError as error:
        there = f"GET /api/v1/{'workflow' if place == 'workflow' else 'actions'} lists those that you may run."
        raise _refused(f"/target/{place}", f"unknown-{place}", f"There is no such {place}.", there) from error
    views.check_input(compiled, new.input)
    return compiled.plan.workflow


async def _definition_id(parts: Parts, caller: Caller, target: Target) -> str:
    if target.workflow is not None:
        return target.workflow
    foreign = await parts.compiled.foreign_actions()
    spec = CATALOGUE.get(str(target.action)) or next((one for one in foreign if one.type == target.action), None)
    if spec is None or caller.role not in spec.roles:
        raise NotFoundError("There is no such action.")
    return action_definition_id(spec)


async def _zone(connection: AsyncConnection, owner: Caller, name: str | None) -> ZoneInfo:
    return ZoneInfo(name or await timezone_of(connection, owner.user_id) or "UTC")


def _stored(task_id: str, owner: Caller, new: NewTask, zone: ZoneInfo, definition: str) -> StoredTask:
    return StoredTask(
        id=task_id,
        owner_id=owner.user_id,
        role=owner.role,
        name=new.name,
        schedule=new.schedule.model_dump(mode="json", exclude_none=True),
        timezone=zone.key,
        definition_id=definition,
        target=new.target.model_dump(mode="json", exclude_none=True),
        input=new.input,
        policy=new.policy.model_dump(mode="json"),
    )


def _zone_or_utc(name: str) -> ZoneInfo:
    """UTC in place of a zone that was retired: its task cannot fire, and is still to be seen."""
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        return ZoneInfo("UTC")


def _task(row: Row[Any], paused: bool, times: Sequence[datetime]) -> Task:
    """A task as it is recorded, and when it fires next."""
    form, zone = FORM.validate_python(row.schedule), _zone_or_utc(row.timezone)
    return Task(
        id=row.id,
        name=row.name,
        owner_id=row.owner_id,
        schedule=form,
        timezone=row.timezone,
        target=Target.model_validate(row.target),
        input=row.input,
        policy=Policy.model_validate(row.policy),
        text=describe(form, zone),
        next=() if paused else tuple(at.astimezone(zone) for at in times),
        paused=paused,
        created_at=row.created_at,
        updated_at=row.updated_at,
        links={"self": f"/api/v1/task/{row.id}", "history": f"/api/v1/task/{row.id}/history"},
    )


def _task_run(parts: Parts, one: Started) -> TaskRun:
    return TaskRun(
        planned_at=one.planned_at,
        started_at=one.started_at,
        outcome=one.outcome,
        run_id=None if one.status is None else one.run_id,
        error=one.error,
        links={} if one.workflow is None else views.run_links(parts, one.workflow, one.run_id),
    )


async def _told(parts: Parts, caller: Caller, task_id: str) -> Task:
    await _tell(parts, task_id)
    return await get_task(task_id, caller, parts)


async def _tell(parts: Parts, task_id: str) -> None:
    """Let Temporal know. While it is away, that is left to the reconciler."""
    try:
        await tell(parts.database, TaskSchedules(parts.temporal), task_id)
    except Exception as error:
        if is_unexpected(error):
            raise
        _log.warning("a schedule is left to the reconciler", task_id=task_id, error=type(error).__name__)


def _refused(pointer: str, code: str, message: str, suggestion: str | None = None) -> InvalidInputError:
    problem = Problem(pointer=pointer, code=code, message=message, suggestion=suggestion)
    return InvalidInputError(message, problems=[problem])
