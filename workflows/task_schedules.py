"""The schedules of tasks in Temporal. Not workflow code itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import PatchScheduleRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleBackfill,
    ScheduleHandle,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from models.schedules import Policy
from models.server_times import TaskSchedule
from workflows.client import TASK_QUEUE
from workflows.schedule_spec import OVERLAPS, renewed_state, to_policy, to_spec, to_state
from workflows.search_attributes import TRIGGER, USER
from workflows.start import RUN_TASK

_PREFIX = "task-"
_WITHIN = timedelta(seconds=10)
"""For what has to be done."""
_PATIENCE = timedelta(seconds=2)
"""For what an answer can do without."""


@dataclass(frozen=True)
class Seen:
    """What Temporal says of a schedule."""

    paused: bool
    """Also by a failure, or by an operator in the Temporal Web UI."""
    next: tuple[datetime, ...]
    """Ten."""
    skipped: int
    """Since a run before was still running."""
    missed: int
    """Since the server was away for longer than the catch-up window."""


class TaskSchedules:
    """Makes, changes and reads them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, task: TaskSchedule) -> None:
        """Make a schedule, or make it what it is to be. Doing it again changes nothing."""
        if task.is_known and await self._renew(task):
            return
        if not await self._make(task):
            await self._renew(task)

    async def _make(self, task: TaskSchedule) -> bool:
        """Whether there was none."""
        is_over = task.remaining_runs == 0  # which the SDK does not let a new one be
        state = to_state(task.remaining_runs or None, paused=task.paused or is_over)
        try:
            await self._client.create_schedule(
                _schedule_id(task.task_id),
                _schedule(task, state),
                backfill=_late(task),
                search_attributes=TypedSearchAttributes([SearchAttributePair(USER, task.owner_id)]),
                rpc_timeout=_WITHIN,
            )
        except ScheduleAlreadyRunningError:
            return False
        return not is_over or await self._renew(replace(task, counts_anew=True, pauses_anew=True))

    async def _renew(self, task: TaskSchedule) -> bool:
        """Whether there was one."""

        async def renew(found: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(_schedule(task, renewed_state(task, found.description.schedule.state)))

        try:
            handle = self._handle(task.task_id)
            await handle.update(renew, rpc_timeout=_WITHIN)
            if task.counts_anew and task.late:
                await handle.backfill(*_late(task), rpc_timeout=_WITHIN)
                await self._taken_in(task.task_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def remove(self, task_id: str) -> None:
        """Delete a schedule, if there is one."""
        try:
            await self._handle(task_id).delete(rpc_timeout=_WITHIN)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def trigger(self, task_id: str, policy: Policy, planned_at: datetime) -> None:
        """Run a task now, as its policy has it where runs meet; but none is skipped that somebody has asked for.

        `planned_at`: what its run is told, to the second. Under the same one it is done once.
        """
        overlap = "buffer-all" if policy.overlap in {"skip", "buffer-one"} else policy.overlap
        trigger = TriggerImmediatelyRequest(overlap_policy=OVERLAPS[overlap].value)  # pyright: ignore[reportArgumentType] - it is an int
        trigger.scheduled_time.FromDatetime(planned_at)
        request = PatchScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=_schedule_id(task_id),
            patch=SchedulePatch(trigger_immediately=trigger),
            identity=self._client.identity,
            request_id=str(uuid5(NAMESPACE_URL, f"tooloo:trigger/{task_id}/{planned_at.isoformat()}")),
        )
        await self._client.workflow_service.patch_schedule(request, retry=True, timeout=_WITHIN)
        await self._taken_in(task_id)

    async def fill_in(self, task_id: str, policy: Policy, spans: Sequence[tuple[datetime, datetime]]) -> None:
        """Run what the schedule says for times that have passed. Bounds are included.

        One after the other, but side by side where the next run ends the one before: it would end what waits, too.
        """
        overlap = "allow-all" if policy.overlap in {"cancel-other", "terminate-other"} else "buffer-all"
        fills = [ScheduleBackfill(start_at=start, end_at=end, overlap=OVERLAPS[overlap]) for start, end in spans]
        await self._handle(task_id).backfill(*fills, rpc_timeout=_WITHIN)
        await self._taken_in(task_id)

    async def _taken_in(self, task_id: str) -> None:
        """Until the schedule has read what it was asked: the next request would take its place.

        The request itself has been taken, so a server that is slow to answer this is no reason to refuse it.
        """
        with suppress(RPCError, asyncio.TimeoutError):
            await self._handle(task_id).describe(rpc_timeout=_WITHIN)

    async def paused(self) -> AsyncIterator[tuple[str, bool]]:
        """The tasks of all schedules, a little later than they change, and whether they are paused."""
        async for one in await self._client.list_schedules():
            if one.id.startswith(_PREFIX) and one.schedule is not None:
                yield one.id.removeprefix(_PREFIX), one.schedule.state.paused

    async def is_paused(self, task_id: str) -> bool | None:
        """Whether a schedule is paused now; None when there is none."""
        try:
            return (await self._handle(task_id).describe()).schedule.state.paused
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def see(self, task_id: str) -> Seen | None:
        """What Temporal says of a schedule; None when it does not know it, or does not answer."""
        with suppress(RPCError, asyncio.TimeoutError):
            described = await self._handle(task_id).describe(rpc_timeout=_PATIENCE)
            info = described.info
            return Seen(
                described.schedule.state.paused,
                tuple(info.next_action_times),
                info.num_actions_skipped_overlap,
                info.num_actions_missed_catchup_window,
            )
        return None

    async def next_times(self, task_ids: Sequence[str]) -> dict[str, tuple[datetime, ...]]:
        """The next five times of schedules, a little later than they change; none while Temporal does not answer."""
        if not task_ids:
            return {}
        ids = ", ".join(f"'{_schedule_id(task_id)}'" for task_id in task_ids)
        with suppress(RPCError, asyncio.TimeoutError):
            found = await self._client.list_schedules(
                f"ScheduleId IN ({ids})", page_size=len(task_ids), rpc_timeout=_PATIENCE
            )
            return {
                one.id.removeprefix(_PREFIX): tuple(one.info.next_action_times)
                async for one in found
                if one.info is not None
            }
        return {}

    def _handle(self, task_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(_schedule_id(task_id))


def _late(task: TaskSchedule) -> list[ScheduleBackfill]:
    if task.late is None:
        return []
    begin, end = task.late
    return [ScheduleBackfill(start_at=begin, end_at=end, overlap=OVERLAPS[task.policy.overlap])]


def _schedule_id(task_id: str) -> str:
    return f"{_PREFIX}{task_id}"


def _schedule(task: TaskSchedule, state: ScheduleState) -> Schedule:
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
        state=state,
    )
