"""The platform's own definitions and schedules, as they have to be in a database and a Temporal namespace."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from models.catalogue import CATALOGUE
from models.identity import SYSTEM, SYSTEM_USER, Role
from models.persistence.tables import users
from models.runs import RunRequest
from services.orchestration.definitions import save_definition
from workflows.client import TASK_QUEUE, workflow_arguments
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.plan import Plan
from workflows.platform import ANALYTICS_NIGHT, ARCHIVE, ERASURES, RECONCILE, platform_definitions

RECONCILE_EVERY = timedelta(minutes=2)
ERASE_EVERY = timedelta(minutes=5)
_CATCH_UP = timedelta(minutes=10)
"""After it, a start that was missed is left to the next one."""


async def save_platform_definitions(database: AsyncEngine) -> Mapping[str, Plan]:
    """Save every platform definition; their plans by id. Safe to repeat."""
    plans: dict[str, Plan] = {}
    async with database.begin() as connection:
        await connection.execute(
            upsert(users).values(id=SYSTEM_USER, role=Role.ADMIN.value, listed=False).on_conflict_do_nothing()
        )
        for definition in platform_definitions():
            plans[definition["id"]] = await _save(connection, definition)
    return plans


async def apply_platform_definitions(database: AsyncEngine, temporal: Client) -> Mapping[str, Plan]:
    """Save every platform definition, and let Temporal start those that repeat; their plans by id. Safe to repeat."""
    plans = await save_platform_definitions(database)
    for name, spec, summary in (
        (RECONCILE, _every(RECONCILE_EVERY), "Bring the record of runs in line with Temporal"),
        (ERASURES, _every(ERASE_EVERY), "Finish erasing people from Temporal and the archive"),
        (ARCHIVE, _nightly(2, 20), "Make files of old activity events"),  # before the comparison, which reads for long
        (ANALYTICS_NIGHT, _nightly(3, 20), "Compare all metrics with the events they follow from"),
    ):
        await _schedule(temporal, plans[name], spec, summary)
    return plans


def _every(interval: timedelta) -> ScheduleSpec:
    return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)])


def _nightly(hour: int, minute: int) -> ScheduleSpec:
    return ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(hour)], minute=[ScheduleRange(minute)])])


async def _save(connection: AsyncConnection, definition: dict[str, Any]) -> Plan:
    compiled = _compile(definition, version=0)
    version, _ = await save_definition(connection, SYSTEM, definition["id"], definition, compiled.hash)
    return _compile(definition, version)


def _compile(definition: dict[str, Any], version: int) -> Plan:
    compiled = compile_definition(definition, CATALOGUE, version=version, platform=True)
    if not isinstance(compiled, Compiled):
        raise TypeError(f"the platform's own {definition['id']} does not compile: {compiled}")
    return compiled.plan


async def _schedule(temporal: Client, plan: Plan, spec: ScheduleSpec, summary: str) -> None:
    request = RunRequest(input={}, caller=SYSTEM, trigger="schedule", recorded=False)
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            plan.workflow,
            args=workflow_arguments(plan, request),
            id=plan.workflow,
            task_queue=TASK_QUEUE,
            static_summary=summary,
        ),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=_CATCH_UP),
    )
    try:
        await temporal.create_schedule(plan.workflow, schedule)
    except ScheduleAlreadyRunningError:
        handle = temporal.get_schedule_handle(plan.workflow)

        async def renew(found: ScheduleUpdateInput) -> ScheduleUpdate:
            schedule.state = found.description.schedule.state  # an operator may have paused it
            return ScheduleUpdate(schedule)

        await handle.update(renew)
