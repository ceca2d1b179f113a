"""The schedules of tasks in Temporal. Not workflow code itself."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from models.schedules import Policy
from models.server_times import TaskSchedule
from workflows.client import TASK_QUEUE
from workflows.schedule_spec import to_policy, to_spec, to_state
from workflows.search_attributes import TRIGGER, USER
from workflows.start import RUN_TASK

_INSTANT = timedelta(seconds=1)


@dataclass(frozen=True)
class Counts:
    """What Temporal counts of a schedule."""

    started: int
    skipped: int
    """Since a run before was still running."""
    missed: int
    """Since the server was away for longer than the catch-up window."""
    paused: bool
    """Also by a failure, or by an operator in the Temporal Web UI."""
    next: tuple[datetime, ...]


class TaskSchedules:
    """Makes, changes and reads them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, task: TaskSchedule) -> None:
        """Make a schedule, or make it what it is to be. Doing it again changes nothing."""
        try:
            await self._client.create_schedule(
                _schedule_id(task.task_id),
                _schedule(task, task.max_runs),
                search_attributes=TypedSearchAttributes([SearchAttributePair(USER, task.owner_id)]),
            )
        except ScheduleAlreadyRunningError:

            async def renew(found: ScheduleUpdateInput) -> ScheduleUpdate:
                return ScheduleUpdate(_schedule(task, _remaining(found.description, task)))

            await self._handle(task.task_id).update(renew)

    async def remove(self, task_id: str) -> None:
        """Delete a schedule, if there is one."""
        try:
            await self._handle(task_id).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def trigger(self, task_id: str, policy: Policy) -> None:
        """Run a task now, as its policy has it where runs meet; but none is skipped that somebody has asked for."""
        overlap = ScheduleOverlapPolicy.BUFFER_ONE if policy.overlap == "skip" else None
        await self._handle(task_id).trigger(overlap=overlap)

    async def fill_in(self, task_id: str, spans: list[tuple[datetime, datetime]]) -> None:
        """Run what the schedule says for times that have passed, one after the other. Bounds are included."""
        fills = [
            ScheduleBackfill(start_at=start - _INSTANT, end_at=end, overlap=ScheduleOverlapPolicy.BUFFER_ALL)
            for start, end in spans
        ]
        await self._handle(task_id).backfill(*fills)

    async def counts(self, task_id: str) -> Counts | None:
        """What Temporal knows of a schedule; None when it does not know it, or does not answer."""
        with suppress(RPCError, asyncio.TimeoutError):
            described = await self._handle(task_id).describe()
            info = described.info
            return Counts(
                info.num_actions,
                info.num_actions_skipped_overlap,
                info.num_actions_missed_catchup_window,
                described.schedule.state.paused,
                tuple(info.next_action_times),
            )
        return None

    def _handle(self, task_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(_schedule_id(task_id))


def _schedule_id(task_id: str) -> str:
    return f"task-{task_id}"


def _schedule(task: TaskSchedule, remaining: int | None) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            RUN_TASK,
            task.task_id,
            id=_schedule_id(task.task_id),
            task_queue=TASK_QUEUE,
            static_summary=task.name,
            typed_search_attributes=TypedSearchAttributes(
                [SearchAttributePair(USER, task.owner_id), SearchAttributePair(TRIGGER, "schedule")]
            ),
        ),
        spec=to_spec(task.times, task.policy.jitter_seconds),
        policy=to_policy(task.policy),
        state=to_state(remaining, paused=task.paused, note=f"revision {task.revision}"),
    )


def _remaining(found: ScheduleDescription, task: TaskSchedule) -> int | None:
    """What is left of the runs; a schedule with another limit begins to count anew."""
    state = found.schedule.state
    if task.max_runs is None or not state.limited_actions:
        return task.max_runs
    return min(state.remaining_actions, task.max_runs)
