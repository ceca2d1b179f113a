"""The platform's own actions: reconciling the record of runs with Temporal."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.step import Step
from models.errors import TooLooError
from models.orchestration import Reconciled, ReconcileRuns
from models.runs import Failure, LiveRun, RunStatus
from services.orchestration.runs import close_run, mark_running, open_runs
from services.schedules.task_runs import find_starter
from services.schedules.telling import Schedules, compare, tell_or_warn, untold

_log = structlog.get_logger(__name__)

SETTLING = timedelta(seconds=10)
"""Younger runs are left alone: whoever accepted them is still starting them."""
PAGE = 500


class RunsInTemporal(Protocol):
    """Runs as Temporal has them. The worker hands it in: starting one needs the compiler."""

    async def describe(self, run_id: str) -> LiveRun | None:
        """What Temporal knows of a run; None when it never heard of it."""
        ...

    async def start(self, row: Row[Any]) -> None:
        """Start a run from its record; once, however often it is asked for."""
        ...


class OrchestrationActivities:
    """The platform's own actions."""

    def __init__(self, database: AsyncEngine, runs: RunsInTemporal, schedules: Schedules) -> None:
        self._database = database
        self._runs = runs
        self._schedules = schedules

    async def reconcile_runs(self, _input: ReconcileRuns, step: Step) -> Reconciled:
        """Start what was accepted and never started; close what was terminated or timed out outside of the engine.

        And tell Temporal of schedules what it does not know, since somebody ended between the record and the telling;
        then mend whatever else differs.
        """
        before = datetime.now(UTC) - SETTLING
        checked = started = closed = 0
        after = ""
        while True:
            async with self._database.connect() as connection:
                rows = await open_runs(connection, older_than=before, after=after, limit=PAGE)
            for row in rows:
                live = await self._runs.describe(row.run_id)
                if live is None and row.status == RunStatus.QUEUED:
                    started += await self._start(row)
                else:
                    closed += await self._settle(row, live)
                checked += 1
                step.report({"checked": checked})
            if len(rows) < PAGE:
                break
            after = rows[-1].run_id
        told = await self._tell()
        mended = await compare(self._database, self._schedules)
        return Reconciled(checked=checked, started=started, closed=closed, told=told, mended=mended)

    async def _tell(self) -> int:
        async with self._database.connect() as connection:
            task_ids = await untold(connection, PAGE)
        return sum([await tell_or_warn(self._database, self._schedules, task_id) for task_id in task_ids])

    async def _start(self, row: Row[Any]) -> bool:
        try:
            await self._runs.start(row)
        except TooLooError as error:
            _log.warning("run can not start", run_id=row.run_id, code=error.code)
            failure = Failure(step=None, code=error.code, message=error.detail, attempt=None)
            async with self._database.begin() as connection:
                await close_run(connection, row.run_id, RunStatus.FAILED, at=datetime.now(UTC), error=failure)
            return False
        return True

    async def _is_about_to_start(self, row: Row[Any]) -> bool:
        """Whether the run of a step or the workflow of a task has recorded it and is still to start it."""
        starter = row.parent
        if starter is None:
            async with self._database.connect() as connection:
                starter = await find_starter(connection, row.run_id)
        live = None if starter is None else await self._runs.describe(starter)
        return live is not None and not live.status.ended

    async def _settle(self, row: Row[Any], live: LiveRun | None) -> bool:
        if live is None and await self._is_about_to_start(row):
            return False
        async with self._database.begin() as connection:
            if live is None:
                lost = Failure(step=None, code="lost", message="Temporal does not know this run any more", attempt=None)
                return await close_run(connection, row.run_id, RunStatus.TERMINATED, at=datetime.now(UTC), error=lost)
            if live.status.ended:
                return await close_run(
                    connection, row.run_id, live.status, at=live.ended_at or datetime.now(UTC), error=live.error
                )
            await mark_running(connection, row.run_id)
            return False
