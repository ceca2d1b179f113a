"""The one workflow that runs every definition. Its Temporal type is the definition's id."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from pydantic_core import from_json

    from models.documents import check_json
    from models.errors import InvalidInputError
    from models.runs import (
        Admission,
        Admit,
        CloseRun,
        Failure,
        OpenRun,
        RecordedEnd,
        RunRequest,
        RunStatus,
        StepReport,
    )
    from models.values import VALUE, Value, put
    from workflows.dag.concurrency import concurrency_key
    from workflows.dag.effects import Answer
    from workflows.dag.execution import Execution
    from workflows.dag.mailbox import AnswerRefusedError
    from workflows.dag.plan import Concurrency, load_plan
    from workflows.dag.progress import PROGRESS, Progress, RunEnd, Signal
    from workflows.dag.states import reports
    from workflows.effects_in_temporal import TemporalEffects, child_run_id, json_value
    from workflows.local_activities import ERROR_CHARACTERS, record
    from workflows.search_attributes import FAILED_STEP
    from workflows.start import PLACE_IS_FREE

HISTORY_EVENTS = 4_000
HISTORY_BYTES = 4 * 1024 * 1024
"""Longer histories are slow to replay after a restart (TRAPS 1, 7): past them the run continues as new."""
HISTORY_EVENTS_WITH_CHILDREN = 20_000
"""Runs of other definitions are waited for before that, and may take long; Temporal ends a run at 51,200."""

ADMISSION_INTERVALS = (1.0, 30.0)
"""Seconds between askings for a place, from the first to the longest; who leaves one wakes the next."""


@workflow.defn(dynamic=True)
class RunDagWorkflow:
    """Runs a plan. Arguments: the plan, a RunRequest and, after continue-as-new, the Progress so far."""

    def __init__(self) -> None:
        self._execution: Execution | None = None
        self._early: list[Signal] = []
        self._place_is_free = False

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Run to the end. Raises RunFailedError when the run fails, CancelledError when it is cancelled."""
        try:
            return await self._run(args)
        except RunFailedError:
            raise
        except Exception as defect:
            # Ours, and no fault of the definition. Temporal would do the task again for ever.
            workflow.logger.exception("defect of the engine")
            message = f"TooLoo itself has failed: {type(defect).__name__}: {defect}"[:ERROR_CHARACTERS]
            error = Failure(step=None, code="internal", message=message, attempt=None)
            with suppress(Exception):  # reconciliation records what Temporal knows
                await self._record_end(RunStatus.FAILED, Value(), error, ())
            raise RunFailedError(error) from defect

    async def _run(self, args: Sequence[RawValue]) -> Any:
        self._plan = load_plan(args[0].payload.data)
        self._request = RunRequest.model_validate_json(args[1].payload.data)
        progress = PROGRESS.validate_json(args[2].payload.data) if len(args) > 2 else Progress()  # noqa: PLR2004
        execution = Execution(
            self._plan,
            self._request.input,
            TemporalEffects(self._plan, self._request),
            progress=progress,
            dry_run=self._request.dry_run,
            must_drain=_must_drain,
            on_change=_show_progress,
        )
        self._execution = execution
        for signal in self._early:
            execution.mailbox.deliver(signal)
        if not await self._begin(args, execution):
            execution.stop(RunEnd.CANCELLED)
        end = await self._run_until_deadline(execution)
        if end is RunEnd.DRAINED:
            self._continue(args, execution, admitted=True)
        recorded = await self._close(execution, RunStatus(end.value))
        return await (self._result(execution, end) if recorded is None else self._recorded_result(recorded))

    @workflow.signal(dynamic=True)
    def take_signal(self, name: str, args: Sequence[RawValue]) -> None:
        """A signal of the definition: its payload, and an id that tells a repeated one."""
        try:
            given = [from_json(one.payload.data) if one.payload.data else None for one in args[:2]]
            check_json(given)
        except (ValueError, InvalidInputError):
            workflow.logger.warning("a signal that cannot be kept", extra={"signal": name})
            return
        payload, signal_id = [*given, None, None][:2]
        signal = Signal(name, signal_id if isinstance(signal_id, str) else str(workflow.uuid4()), payload)
        if self._execution is None:
            self._early.append(signal)
        else:
            self._execution.mailbox.deliver(signal)
            self._execution.look()

    @workflow.signal(name=PLACE_IS_FREE)
    def take_place(self) -> None:
        """Ask again for a place among the runs of the definition."""
        self._place_is_free = True

    @workflow.update(name="tooloo-answer")
    def answer(self, step_id: str, answer: Answer) -> None:
        """Answer an approval."""
        assert self._execution is not None  # noqa: S101 - the validator has looked
        self._execution.mailbox.take_answer(step_id, answer)

    @answer.validator
    def check_answer(self, step_id: str, answer: Answer) -> None:
        """Refuse an answer that cannot be taken. Raises ApplicationError."""
        if self._execution is None:
            raise ApplicationError("the run has just begun", type="not-waiting")
        try:
            self._execution.mailbox.check_answer(step_id, answer, self._request.caller.user_id)
        except AnswerRefusedError as error:
            problems = [problem.model_dump(mode="json") for problem in error.problems]
            raise ApplicationError(str(error), problems, type=error.code) from error

    @workflow.query(name="tooloo-steps")
    def steps(self) -> list[StepReport]:
        """Steps as the engine knows them."""
        return [] if self._execution is None else list(reports(self._execution, self._child_run))

    def _child_run(self, step_id: str) -> str:
        return child_run_id(workflow.info().workflow_id, step_id)

    async def _begin(self, args: Sequence[RawValue], execution: Execution) -> bool:
        """Record the run where nobody has, and wait for its place. False when it was cancelled meanwhile.

        Raises RunFailedError when it may not wait.
        """
        if not self._request.recorded:
            opened = OpenRun(
                run_id=workflow.info().workflow_id,
                workflow=self._plan.workflow,
                version=self._plan.version,
                request=self._request,
                labels=self._plan.labels,
            )
            _, cancelled = await record("orchestration.open-run", opened, type(None))
            if cancelled:
                return False
        limit = self._plan.concurrency
        if limit is None or self._request.admitted or self._request.dry_run:
            return True
        try:
            await self._wait_for_place(limit, args, execution)
        except asyncio.CancelledError:
            return False
        return True

    async def _wait_for_place(self, limit: Concurrency, args: Sequence[RawValue], execution: Execution) -> None:
        run_id = workflow.info().workflow_id
        key = concurrency_key(limit, self._request.input)
        asked = Admit(run_id=run_id, key=key, max=limit.max, policy=limit.policy)
        interval, longest = ADMISSION_INTERVALS
        while True:
            self._place_is_free = False
            admission, cancelled = await record("orchestration.admit-run", asked, Admission)
            if cancelled:
                raise asyncio.CancelledError
            if admission.admitted:
                return
            if admission.refused is not None:
                error = Failure(step=None, code="concurrency-limit", message=admission.refused, attempt=None)
                await self._record_end(RunStatus.FAILED, Value(), error, ())
                raise RunFailedError(error)
            for other in admission.cancel:
                await _cancel_other(other)
            workflow.set_current_details(f"**Waits for a place: {limit.max} at once.**")
            try:
                await workflow.wait_condition(lambda: self._place_is_free, timeout=timedelta(seconds=interval))
            except TimeoutError:
                interval = min(longest, interval * 2)
            if _must_drain(has_children=False):
                self._continue(args, execution, admitted=False)

    async def _run_until_deadline(self, execution: Execution) -> RunEnd:
        if self._plan.timeout is None or execution.progress.outcome is not None:
            return await execution.run()
        left = max(0.0, execution.progress.deadline_after(workflow.time(), self._plan.timeout) - workflow.time())
        timer = asyncio.get_running_loop().call_later(left, execution.stop, RunEnd.TIMED_OUT)
        try:
            return await execution.run()
        finally:
            timer.cancel()

    def _continue(self, args: Sequence[RawValue], execution: Execution, *, admitted: bool) -> None:
        request = self._request.model_copy(update={"recorded": True, "admitted": admitted})
        workflow.continue_as_new(
            args=[
                args[0],
                json_value(request.model_dump(mode="json")),
                json_value(PROGRESS.dump_python(execution.progress, mode="json")),
            ]
        )

    async def _close(self, execution: Execution, status: RunStatus) -> RecordedEnd | None:
        """Record that the run has ended; or the end it had before, by a workflow task that is done again."""
        output = execution.output() if status is RunStatus.COMPLETED else Value()
        error = execution.error
        if error is not None and error.step is not None:
            workflow.upsert_search_attributes([FAILED_STEP.value_set(error.step)])
        return await self._record_end(status, output, error, tuple(reports(execution, self._child_run)))

    @staticmethod
    async def _record_end(
        status: RunStatus, output: Value, error: Failure | None, steps: tuple[StepReport, ...]
    ) -> RecordedEnd | None:
        closed = CloseRun(
            run_id=workflow.info().workflow_id,
            status=status,
            output=output.json,
            holes=output.holes,
            error=error,
            steps=steps,
        )
        recorded, _ = await record("orchestration.close-run", closed, RecordedEnd)
        return recorded

    async def _result(self, execution: Execution, end: RunEnd) -> Any:
        if end is RunEnd.CANCELLED:
            await _end_as_cancelled()
        if execution.error is not None:
            raise RunFailedError(execution.error)
        return self._shown(execution.output())

    async def _recorded_result(self, recorded: RecordedEnd) -> Any:
        if recorded.status is RunStatus.CANCELLED:
            await _end_as_cancelled()
        if recorded.error is not None:
            raise RunFailedError(recorded.error)
        return self._shown(Value(recorded.output, recorded.holes))

    def _shown(self, output: Value) -> Any:
        """What the workflow gives back: with its holes to a run whose step it is, with names in them to people."""
        if self._request.parent is not None:
            return VALUE.dump_python(output, mode="json")
        shown = output.json
        for hole in output.holes:
            shown = put(shown, hole.at, vars(hole.stored))
        return shown


async def _end_as_cancelled() -> None:
    """Raise CancelledError. Temporal takes it for a failure unless this very part of the run was asked to cancel."""
    if workflow.cancellation_reason() is None:
        await record("orchestration.cancel-run", workflow.info().workflow_id, type(None))
        await asyncio.Event().wait()
    raise asyncio.CancelledError


async def _cancel_other(run_id: str) -> None:
    """Ask another run to make room; it may have ended by itself."""
    try:
        await workflow.get_external_workflow_handle(run_id).cancel()
    except FailureError:
        return


class RunFailedError(ApplicationError):
    """How a run that has failed ends in Temporal; its record says so already."""

    def __init__(self, error: Failure) -> None:
        where = "" if error.step is None else f"step {error.step}: "
        super().__init__(f"{where}{error.message}", error.model_dump(mode="json"), type=error.code, non_retryable=True)


def _must_drain(has_children: bool) -> bool:
    info = workflow.info()
    if has_children:
        return info.get_current_history_length() > HISTORY_EVENTS_WITH_CHILDREN
    return (
        info.is_continue_as_new_suggested()
        or info.get_current_history_length() > HISTORY_EVENTS
        or info.get_current_history_size() > HISTORY_BYTES
    )


def _show_progress(execution: Execution) -> None:
    scheduler, nodes = execution.scheduler, execution.plan.nodes
    running = [f"`{nodes[number].id}`" for number in islice(scheduler.running, 10)]
    workflow.set_current_details(
        f"**{len(scheduler.ended)} of {len(scheduler)} steps ended.**"
        + (f" Running: {', '.join(running)}{' …' if len(scheduler.running) > len(running) else ''}" if running else "")
    )
