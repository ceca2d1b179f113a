"""Local activities of the DAG workflow: the record of runs, and what takes more than a workflow may."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Protocol

from pydantic_core import to_json
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.errors import TooLooError
from models.identity import Caller
from models.persistence.database import is_refused_value
from models.persistence.values import BlobStore
from models.runs import (
    Admission,
    Admit,
    AskApproval,
    CloseRun,
    LiveRun,
    OpenChild,
    OpenedChild,
    OpenRun,
    RecordedEnd,
    SettleApproval,
    StepReport,
)
from models.values import INLINE_LIMIT, Hole, MissingValueError, StoredValue, Value
from models.workflows import ChildPlan
from services.orchestration import admission
from services.orchestration.admission import next_waiting
from services.orchestration.approvals import ask_approval, settle_approval
from services.orchestration.runs import NewRun, StepRecord, close_run, find_end, find_row, mark_running, open_run


class Children(Protocol):
    """Definitions as runs of them need them. The worker hands it in: it takes the compiler."""

    async def plan(self, caller: Caller, workflow: str, version: int, run_input: Any) -> ChildPlan:
        """The plan of a definition that the caller may run with that input.

        Raises TooLooError.
        """
        ...

    async def evaluate(self, text: str, item: str, variables: Any) -> Any:
        """The value of an expression. Raises TooLooError."""
        ...

    async def describe(self, run_id: str) -> LiveRun | None:
        """What Temporal knows of a run; None when it never heard of it."""
        ...

    async def cancel(self, run_id: str) -> None:
        """Ask a run to cancel."""
        ...

    async def wake(self, run_id: str) -> None:
        """Let a run that waits for its place ask again. It will by itself, later."""
        ...


class EngineActivities:
    """Each may be done again: what is recorded first holds."""

    def __init__(self, database: AsyncEngine, blobs: BlobStore, children: Children) -> None:
        self._database = database
        self._blobs = blobs
        self._children = children

    @activity.defn(name="orchestration.open-run")
    async def open_run(self, opened: OpenRun) -> None:
        """Record a run that did not come through the API."""
        request = opened.request
        run = NewRun(
            opened.run_id,
            opened.workflow,
            opened.version,
            request.caller,
            request.trigger,
            request.input,
            labels=opened.labels,
            dry_run=request.dry_run,
            admitted=request.admitted,
        )
        async with self._writing() as connection:
            await open_run(connection, run)
            await mark_running(connection, opened.run_id)

    @activity.defn(name="orchestration.open-child")
    async def open_child(self, asked: OpenChild) -> OpenedChild:
        """Record a run of another definition, as a step asks for it, with the plan it will run."""
        run_input = await self._filled(asked.input, asked.holes)
        try:
            plan = await self._children.plan(asked.caller, asked.workflow, asked.version, run_input)
        except TooLooError as error:
            raise ApplicationError(error.detail, type=error.code, non_retryable=not error.retryable) from error
        run = NewRun(
            asked.run_id,
            asked.workflow,
            asked.version,
            asked.caller,
            "workflow",
            run_input,
            labels=plan.labels,
            parent=asked.parent,
            dry_run=asked.dry_run,
            admitted=asked.dry_run or not plan.is_limited,
        )
        async with self._writing() as connection:
            await open_run(connection, run)
            await mark_running(connection, asked.run_id)
        return OpenedChild(plan=plan.json.decode(), input=run_input)

    @activity.defn(name="orchestration.admit-run")
    async def admit_run(self, asked: Admit) -> Admission:
        """Give a run its place among those with its key, when its turn has come.

        A run that holds a place, or waits in front, and has ended behind our back is closed on the way.
        """
        for looked in (False, True):
            async with self._writing() as connection:
                run = await find_row(connection, asked.run_id)
                if run is None or run.ended_at is not None or run.admitted_at is not None:
                    return Admission(admitted=True)
                await admission.lock_key(connection, run.definition_id, asked.key)
                await admission.set_key(connection, asked.run_id, asked.key)
                rows = await admission.open_with_key(connection, run.definition_id, asked.key)
                if asked.run_id in admission.next_in_line(rows, asked.max):
                    await admission.take_place(connection, asked.run_id)
                    return Admission(admitted=True)
            before = list(takewhile(lambda other: other != asked.run_id, (row.run_id for row in rows)))
            if not looked and not await self._close_ended(before):
                break
        if asked.policy == "cancel_oldest":
            holders = [row.run_id for row in rows if row.admitted]
            return Admission(admitted=False, cancel=tuple(holders[: max(0, len(before) + 1 - asked.max)]))
        if asked.policy == "reject":
            return Admission(admitted=False, refused=f"{asked.max} runs with this key are under way")
        return Admission(admitted=False)

    @activity.defn(name="orchestration.cancel-run")
    async def cancel_run(self, run_id: str) -> None:
        """Ask Temporal to cancel the part of a run that goes on, when an earlier part was asked."""
        await self._children.cancel(run_id)

    @activity.defn(name="orchestration.evaluate")
    async def evaluate(self, text: str, item: str, variables: Value) -> Value:
        """The value of an expression that takes long, or for which values have to be fetched."""
        document = await self._filled(variables.json, variables.holes)
        try:
            result = await self._children.evaluate(text, item, document)
        except TooLooError as error:
            raise ApplicationError(error.detail, type=error.code, non_retryable=True) from error
        return await self._kept(result)

    @activity.defn(name="orchestration.fill")
    async def fill(self, value: Value) -> Value:
        """A value with its holes filled."""
        return Value(await self._filled(value.json, value.holes))

    @activity.defn(name="orchestration.keep")
    async def keep(self, value: Value) -> Value:
        """A value as the engine holds it: a large one outside of history."""
        return await self._kept(value.json)

    @activity.defn(name="orchestration.ask-approval")
    async def ask_approval(self, asked: AskApproval) -> None:
        """Put a question before people."""
        shown = await self._filled(asked.shown, asked.holes)
        async with self._writing() as connection:
            await ask_approval(connection, asked, shown)

    @activity.defn(name="orchestration.settle-approval")
    async def settle_approval(self, settled: SettleApproval) -> None:
        """Record how a question was answered."""
        async with self._writing() as connection:
            await settle_approval(connection, settled)

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
        now = datetime.now(UTC)
        steps = [await self._step(closed.run_id, step, now) for step in closed.steps]
        async with self._writing() as connection:
            is_first = await self._close(connection, closed, output, steps, now)
            end = await find_end(connection, closed.run_id)
            waits = None if end is None else await next_waiting(connection, end)
        if waits is not None:
            await self._children.wake(waits)
        if is_first or end is None or end.status == closed.status:
            return None
        kept = await self._kept(end.output)
        return RecordedEnd(status=end.status, output=kept.json, holes=kept.holes, error=end.error)

    @staticmethod
    async def _close(
        connection: AsyncConnection, closed: CloseRun, output: Any, steps: Sequence[StepRecord], now: datetime
    ) -> bool:
        return await close_run(
            connection, closed.run_id, closed.status, at=now, output=output, error=closed.error, steps=steps
        )

    async def _step(self, run_id: str, step: StepReport, now: datetime) -> StepRecord:
        record = StepRecord(
            run_id=run_id,
            step_id=step.id,
            owner_id="",
            status=step.status,
            attempt=(step.failure.attempt or 0) if step.failure else int(step.started_at is not None),
            started_at=step.started_at,
            ended_at=step.ended_at or now,
            reason=step.reason,
            error=step.failure,
            part=step.part,
            detail=step.detail,
        )
        if step.output is None and not step.holes:
            return record
        data = to_json(await self._filled(step.output, step.holes))
        if len(data) <= INLINE_LIMIT:
            return replace(record, output=step.output, output_bytes=len(data))
        (ref,) = await self._blobs.store([data])
        return replace(record, output_ref=ref, output_bytes=len(data))

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction. What the database can not store is no reason to try again for ever."""
        try:
            async with self._database.begin() as connection:
                yield connection
        except DBAPIError as error:
            if not is_refused_value(error):
                raise
            message = "the database cannot store a value of the run"
            raise ApplicationError(message, type="unstorable", non_retryable=True) from error

    async def _close_ended(self, run_ids: Sequence[str]) -> bool:
        """Close the record of runs that have ended in Temporal; whether there were any."""
        closed = False
        for run_id in run_ids:
            live = await self._children.describe(run_id)
            if live is not None and live.status.ended:
                async with self._writing() as connection:
                    at = live.ended_at or datetime.now(UTC)
                    closed |= await close_run(connection, run_id, live.status, at=at, error=live.error)
        return closed

    async def _filled(self, value: Any, holes: Sequence[Hole]) -> Any:
        try:
            return await self._blobs.fill(value, holes)
        except MissingValueError as error:
            message = "a value that is needed is missing; give its reference a default with ??"
            raise ApplicationError(message, type="missing-value", non_retryable=True) from error

    async def _kept(self, value: Any) -> Value:
        data = to_json(value)
        if len(data) <= INLINE_LIMIT:
            return Value(value)
        (ref,) = await self._blobs.store([data])
        return Value.of_stored(StoredValue(ref, len(data)))
