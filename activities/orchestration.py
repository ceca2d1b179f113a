"""The record of runs as the engine writes it, and its reconciliation with Temporal."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog
from pydantic_core import to_json
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.step import Step
from models.errors import TooLooError
from models.orchestration import Reconciled, ReconcileRuns
from models.persistence.values import BlobStore
from models.runs import CloseRun, Failure, LiveRun, OpenRun, RecordedEnd, RunStatus
from models.values import INLINE_LIMIT, MissingValueError, StoredValue
from services.orchestration.runs import NewRun, close_run, find_end, mark_running, open_run, open_runs

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


class RunRecordActivities:
    """Local activities of the DAG workflow."""

    def __init__(self, database: AsyncEngine, blobs: BlobStore) -> None:
        self._database = database
        self._blobs = blobs

    @activity.defn(name="orchestration.open-run")
    async def open_run(self, opened: OpenRun) -> None:
        """Record a run that did not come through the API."""
        request = opened.request
        run = NewRun(
            opened.run_id, opened.workflow, opened.version, request.caller, request.trigger, request.input, labels={}
        )
        async with self._database.begin() as connection:
            await open_run(connection, run)
            await mark_running(connection, opened.run_id)

    @activity.defn(name="orchestration.close-run")
    async def close_run(self, closed: CloseRun) -> RecordedEnd | None:
        """Record the end of a run and of every step no worker saw ending; or say which end is recorded already.

        The second happens when the workflow task that ended the run has to be done again, after a crash or because a
        cancellation came in between: then the engine may come to another end than the one people have seen.
        """
        try:
            output = await self._blobs.fill(closed.output, closed.holes)
        except MissingValueError:
            output = None
        async with self._database.begin() as connection:
            if await close_run(
                connection,
                closed.run_id,
                closed.status,
                at=datetime.now(UTC),
                output=output,
                error=closed.error,
                steps=closed.steps,
            ):
                return None
            end = await find_end(connection, closed.run_id)
        if end is None or end.status == closed.status:
            return None
        return RecordedEnd(status=end.status, output=await self._inline(end.output), error=end.error)

    async def _inline(self, output: Any) -> Any:
        data = to_json(output)
        if len(data) <= INLINE_LIMIT:
            return output
        (ref,) = await self._blobs.store([data])
        return vars(StoredValue(ref, len(data)))


class OrchestrationActivities:
    """The platform's own actions."""

    def __init__(self, database: AsyncEngine, runs: RunsInTemporal) -> None:
        self._database = database
        self._runs = runs

    async def reconcile_runs(self, _input: ReconcileRuns, step: Step) -> Reconciled:
        """Start what was accepted and never started; close what was terminated or timed out outside of the engine."""
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
                return Reconciled(checked=checked, started=started, closed=closed)
            after = rows[-1].run_id

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

    async def _settle(self, row: Row[Any], live: LiveRun | None) -> bool:
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
