"""The one workflow that runs every definition. Its Temporal type is the definition's id."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from pydantic_core import from_json, to_json

    from models.actions import seconds
    from models.runs import (
        CloseRun,
        Failure,
        OpenRun,
        RecordedEnd,
        RunRequest,
        RunStatus,
        StepCall,
        StepEnd,
        StepStatus,
    )
    from models.values import STORED_ENCODING, STORED_VALUE, put
    from workflows.dag.execution import PROGRESS, Execution, Progress, RunEnd, StepFailedError, StepFailure
    from workflows.dag.plan import Node, load_plan
    from workflows.dag.templates import Filled
    from workflows.search_attributes import FAILED_STEP

HISTORY_EVENTS = 4_000
HISTORY_BYTES = 4 * 1024 * 1024
"""Longer histories are slow to replay after a restart (TRAPS 1, 7): past them the run continues as new."""

ERROR_CHARACTERS = 2_000

_TIMEOUT_CODES = {
    TimeoutType.START_TO_CLOSE: "timeout-start-to-close",
    TimeoutType.SCHEDULE_TO_START: "timeout-schedule-to-start",
    TimeoutType.SCHEDULE_TO_CLOSE: "timeout-schedule-to-close",
    TimeoutType.HEARTBEAT: "timeout-heartbeat",
}


@workflow.defn(dynamic=True)
class RunDagWorkflow:
    """Runs a plan. Arguments: the plan, a RunRequest and, after continue-as-new, the Progress so far."""

    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> Any:
        """Run to the end. Raises ApplicationError when the run fails, CancelledError when it is cancelled."""
        self._plan = load_plan(args[0].payload.data)
        self._request = RunRequest.model_validate_json(args[1].payload.data)
        progress = PROGRESS.validate_json(args[2].payload.data) if len(args) > 2 else Progress()  # noqa: PLR2004
        self._call = _json_value(StepCall(caller=self._request.caller).model_dump(mode="json"))
        cancelled = False if self._request.recorded else await self._open()
        execution = Execution(
            self._plan,
            self._request.input,
            self._run_step,
            progress=progress,
            must_drain=_history_is_long,
            on_change=_show_progress,
        )
        if cancelled:
            execution.stop(RunEnd.CANCELLED)
        end = await self._run_until_deadline(execution)
        if end is RunEnd.DRAINED:
            self._continue(args, execution)
        recorded = await self._close(execution, RunStatus(end.value))
        return _result(execution, end) if recorded is None else _recorded_result(recorded)

    async def _run_until_deadline(self, execution: Execution) -> RunEnd:
        if self._plan.timeout is None:
            return await execution.run()
        left = max(0.0, execution.progress.deadline_after(workflow.time(), self._plan.timeout) - workflow.time())
        timer = asyncio.get_running_loop().call_later(left, execution.stop, RunEnd.TIMED_OUT)
        try:
            return await execution.run()
        finally:
            timer.cancel()

    async def _run_step(self, number: int, filled: Filled) -> Any:
        node = self._plan.nodes[number]
        call = self._call
        if filled.holes:
            call = _json_value(StepCall(caller=self._request.caller, holes=filled.holes).model_dump(mode="json"))
        try:
            result: RawValue = await workflow.execute_activity(
                node.action,
                args=[_json_value(filled.value), call],
                activity_id=node.id,
                task_queue=node.queue,
                result_type=RawValue,
                start_to_close_timeout=seconds(node.timeout.start_to_close),
                schedule_to_close_timeout=seconds(node.timeout.schedule_to_close),
                schedule_to_start_timeout=seconds(node.timeout.schedule_to_start),
                heartbeat_timeout=seconds(node.timeout.heartbeat),
                retry_policy=_retry_policy(node),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=node.summary[:200],
            )
        except ActivityError as error:
            if isinstance(error.cause, CancelledError):
                raise asyncio.CancelledError from error
            raise StepFailedError(_failure(error, node)) from error
        payload = result.payload
        if payload.metadata["encoding"] == STORED_ENCODING:
            return STORED_VALUE.validate_json(payload.data)
        return from_json(payload.data)

    async def _open(self) -> bool:
        """Record that the run has begun. True when it was cancelled meanwhile."""
        opened = OpenRun(
            run_id=workflow.info().workflow_id,
            workflow=self._plan.workflow,
            version=self._plan.version,
            request=self._request,
        )
        _, cancelled = await _record("orchestration.open-run", opened)
        return cancelled

    def _continue(self, args: Sequence[RawValue], execution: Execution) -> None:
        request = self._request.model_copy(update={"recorded": True})
        workflow.continue_as_new(
            args=[
                args[0],
                _json_value(request.model_dump(mode="json")),
                _json_value(PROGRESS.dump_python(execution.progress, mode="json")),
            ]
        )

    async def _close(self, execution: Execution, status: RunStatus) -> RecordedEnd | None:
        """Record that the run has ended; or the end it had before, by a workflow task that is done again."""
        filled = execution.output() if status is RunStatus.COMPLETED else Filled(None, ())
        error = _run_error(execution, status)
        if error is not None and error.step is not None:
            workflow.upsert_search_attributes([FAILED_STEP.value_set(error.step)])
        closed = CloseRun(
            run_id=workflow.info().workflow_id,
            status=status,
            output=filled.value,
            holes=filled.holes,
            error=error,
            steps=tuple(_steps_that_did_not_succeed(execution)),
        )
        recorded, _ = await _record("orchestration.close-run", closed)
        return recorded


async def _record(activity: str, record: OpenRun | CloseRun) -> tuple[RecordedEnd | None, bool]:
    """Write to the record of runs, as long as it takes: the database may be away. Second: was it cancelled meanwhile?

    A cancellation does not stop it: a record that says other than Temporal is worse than a run that ends after all.
    """
    recording = workflow.start_local_activity(
        activity,
        record,
        result_type=RecordedEnd,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=0.2), maximum_interval=timedelta(seconds=10)),
    )
    try:
        return await asyncio.shield(recording), False
    except asyncio.CancelledError:  # comes once: a run that was asked to cancel is not asked again
        return await recording, True


def _steps_that_did_not_succeed(execution: Execution) -> list[StepEnd]:
    ends: list[StepEnd] = []
    for number, node in enumerate(execution.plan.nodes):
        status = execution.progress.status[number]
        if status is StepStatus.SUCCEEDED:
            continue
        failure = execution.progress.failures.get(number)
        ends.append(
            StepEnd(
                id=node.id,
                status=status,
                reason="upstream" if status is StepStatus.SKIPPED else None,
                failure=failure and Failure(step=node.id, **vars(failure)),
            )
        )
    return ends


def _run_error(execution: Execution, status: RunStatus) -> Failure | None:
    if status is RunStatus.TIMED_OUT:
        message = f"the run took longer than its limit of {execution.plan.timeout:g} s"
        return Failure(step=None, code="run-timeout", message=message, attempt=None)
    if status is RunStatus.FAILED and (first := execution.first_failure):
        step, failure = first
        return Failure(step=step, **vars(failure))
    return None


def _result(execution: Execution, end: RunEnd) -> Any:
    if end is RunEnd.CANCELLED:
        raise asyncio.CancelledError
    if error := _run_error(execution, RunStatus(end.value)):
        raise _run_failed(error)
    filled = execution.output()
    output = filled.value
    for hole in filled.holes:
        output = put(output, hole.at, vars(hole.stored))
    return output


def _recorded_result(recorded: RecordedEnd) -> Any:
    if recorded.status is RunStatus.CANCELLED:
        raise asyncio.CancelledError
    if recorded.error is not None:
        raise _run_failed(recorded.error)
    return recorded.output


def _run_failed(error: Failure) -> ApplicationError:
    where = "" if error.step is None else f"step {error.step}: "
    return ApplicationError(
        f"{where}{error.message}", error.model_dump(mode="json"), type=error.code, non_retryable=True
    )


def _failure(error: ActivityError, node: Node) -> StepFailure:
    cause = error.cause
    attempt = node.retry.max_attempts if error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED else None
    if isinstance(cause, TemporalTimeoutError):
        kind = _TIMEOUT_CODES.get(cause.type, "timeout") if cause.type is not None else "timeout"
        return StepFailure(
            kind, f"{node.action}: {kind.replace('-', ' ')} ({cause.message})"[:ERROR_CHARACTERS], attempt
        )
    if isinstance(cause, ApplicationError):
        details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
        return StepFailure(cause.type or "error", cause.message[:ERROR_CHARACTERS], details.get("attempt", attempt))
    return StepFailure("error", str(cause or error)[:ERROR_CHARACTERS], attempt)


def _retry_policy(node: Node) -> RetryPolicy:
    retry = node.retry
    return RetryPolicy(
        initial_interval=timedelta(seconds=retry.initial),
        backoff_coefficient=retry.backoff,
        maximum_interval=timedelta(seconds=retry.max_interval),
        maximum_attempts=retry.max_attempts,
        non_retryable_error_types=retry.non_retryable,
    )


def _history_is_long() -> bool:
    info = workflow.info()
    return (
        info.is_continue_as_new_suggested()
        or info.get_current_history_length() > HISTORY_EVENTS
        or info.get_current_history_size() > HISTORY_BYTES
    )


def _show_progress(execution: Execution) -> None:
    scheduler, nodes = execution.scheduler, execution.plan.nodes
    running = [f"`{nodes[number].id}`" for number in islice(scheduler.running, 10)]
    workflow.set_current_details(
        f"**{len(scheduler.status)} of {len(nodes)} steps ended.**"
        + (f" Running: {', '.join(running)}{' …' if len(scheduler.running) > len(running) else ''}" if running else "")
    )


def _json_value(value: Any) -> RawValue:
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=to_json(value)))
