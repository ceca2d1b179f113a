"""Local activities of the task workflow."""

from datetime import timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import NotFoundError, TooLooError
from models.identity import SYSTEM, Caller
from models.runs import Failure
from models.tasks import OpenedTaskRun, OpenTaskRun
from models.workflows import ChildPlan
from services.orchestration import definitions
from services.orchestration.runs import NewRun, mark_running, open_run
from services.schedules import task_runs, tasks
from services.schedules.task_runs import NewTaskRun
from services.schedules.telling import Schedules, tell


class Plans(Protocol):
    """The plans of definitions. The worker hands them in: it takes the compiler."""

    async def plan(self, caller: Caller, workflow: str, version: int, run_input: object) -> ChildPlan:
        """The plan of a definition that the caller may run with that input. Raises TooLooError."""
        ...


class TaskActivities:
    """May be done again: what is recorded first holds."""

    def __init__(self, database: AsyncEngine, plans: Plans, schedules: Schedules) -> None:
        self._database = database
        self._plans = plans
        self._schedules = schedules

    @activity.defn(name="orchestration.open-task-run")
    async def open_task_run(self, asked: OpenTaskRun) -> OpenedTaskRun:
        """Record the run of a planned time: of the version that is current now, with the role its owner has now."""
        try:
            async with self._database.connect() as connection:
                due = await tasks.find_due(connection, asked.task_id)
                by, triggered = await task_runs.find_planned(connection, asked.task_id, asked.planned_at)
        except NotFoundError as error:
            raise _refused(error) from error
        run = _new_task_run(asked, due, by, triggered=triggered)
        try:
            return await self._open(run, due)
        except TooLooError as error:
            if error.retryable:
                raise ApplicationError(error.detail, type=error.code) from error
            failure = Failure(step=None, code=error.code, message=error.detail, attempt=None)
            async with self._database.begin() as connection:
                await task_runs.record_task_run(connection, run, failure)
            raise _refused(error) from error

    @activity.defn(name="orchestration.task-failed")
    async def task_failed(self, task_id: str) -> None:
        """Pause a task whose run has failed, if its policy is to."""
        async with self._database.begin() as connection:
            try:
                row = await tasks.find_task(connection, SYSTEM, task_id, lock=True)
            except NotFoundError:
                return
            if row.paused or not row.policy["pause_on_failure"]:
                return
            await tasks.set_paused(connection, SYSTEM, row, paused=True)
        await tell(self._database, self._schedules, task_id)

    async def _open(self, new: NewTaskRun, due: tasks.DueTask) -> OpenedTaskRun:
        async with self._database.connect() as connection:
            version = await definitions.current_version(connection, due.definition_id)
        plan = await self._plans.plan(due.owner, due.definition_id, version, due.input)
        run = NewRun(
            new.run_id,
            due.definition_id,
            version,
            due.owner,
            "schedule",
            due.input,
            labels=plan.labels,
            admitted=not plan.is_limited,
        )
        async with self._database.begin() as connection:
            await open_run(connection, run)
            await mark_running(connection, new.run_id)
            await task_runs.record_task_run(connection, new)
        return OpenedTaskRun(run_id=new.run_id, plan=plan.json.decode(), input=due.input, caller=due.owner)


def _new_task_run(asked: OpenTaskRun, due: tasks.DueTask, started_by: str | None, *, triggered: bool) -> NewTaskRun:
    """A planned time has one run, however often it is asked for.

    But a trigger that found no second of its own, since the schedule fires in each, is another; and so is one of the
    Temporal Web UI, which knows nothing of ours.
    """
    held = due.schedule
    has_time = held.has(asked.planned_at)
    is_another = started_by not in {None, asked.asked_by} and triggered == has_time
    planned_at = asked.asked_at if is_another else asked.planned_at
    in_time = asked.asked_at - planned_at <= held.grace + timedelta(seconds=held.policy.catchup_window_seconds)
    counts = has_time and in_time and not is_another
    run_id = str(uuid5(NAMESPACE_URL, f"tooloo:task/{asked.task_id}/{planned_at.isoformat()}"))
    return NewTaskRun(asked.task_id, planned_at, run_id, asked.asked_by, counts)


def _refused(error: TooLooError) -> ApplicationError:
    return ApplicationError(error.detail, type=error.code, non_retryable=True)
