"""Local activities of the task workflow."""

from datetime import datetime, timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import TooLooError
from models.identity import Caller
from models.runs import Failure
from models.tasks import OpenedTaskRun, OpenTaskRun
from models.workflows import ChildPlan
from services.orchestration import definitions
from services.orchestration.runs import NewRun, mark_running, open_run
from services.schedules import tasks

_AT_ONCE = timedelta(seconds=5)


class Plans(Protocol):
    """The plans of definitions. The worker hands them in: it takes the compiler."""

    async def plan(self, caller: Caller, workflow: str, version: int, run_input: object) -> ChildPlan:
        """The plan of a definition that the caller may run with that input. Raises TooLooError."""
        ...


class TaskActivities:
    """May be done again: what is recorded first holds."""

    def __init__(self, database: AsyncEngine, plans: Plans) -> None:
        self._database = database
        self._plans = plans

    @activity.defn(name="orchestration.open-task-run")
    async def open_task_run(self, asked: OpenTaskRun) -> OpenedTaskRun:
        """Record the run of a planned time: of the version that is current now, with the role its owner has now."""
        planned_at = await self._planned_at(asked)
        run_id = str(uuid5(NAMESPACE_URL, f"tooloo:task/{asked.task_id}/{planned_at.isoformat()}"))
        run = tasks.TaskRun(asked.task_id, planned_at, run_id, asked.asked_by)
        try:
            return await self._open(run)
        except TooLooError as error:
            if error.retryable:
                raise ApplicationError(error.detail, type=error.code) from error
            failure = Failure(step=None, code=error.code, message=error.detail, attempt=None)
            if error.code != "task-deleted":
                async with self._database.begin() as connection:
                    await tasks.record_task_run(connection, run, failure)
            raise ApplicationError(error.detail, type=error.code, non_retryable=True) from error

    async def _planned_at(self, asked: OpenTaskRun) -> datetime:
        """The planned time, which has one run; but who triggers a task in the second it fires in wants another."""
        if asked.asked_at - asked.planned_at > _AT_ONCE:
            return asked.planned_at
        async with self._database.connect() as connection:
            by = await tasks.started_by(connection, asked.task_id, asked.planned_at)
        return asked.planned_at if by in {None, asked.asked_by} else asked.asked_at

    async def _open(self, new: tasks.TaskRun) -> OpenedTaskRun:
        async with self._database.connect() as connection:
            due = await tasks.find_due(connection, new.task_id)
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
            await tasks.record_task_run(connection, new)
        return OpenedTaskRun(run_id=new.run_id, plan=plan.json.decode(), input=due.input, caller=due.owner)
