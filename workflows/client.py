"""Runs from outside of their workflow: starting, describing and cancelling them. Not workflow code itself."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic_core import from_json, to_json
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState, TimeoutType
from temporalio.api.failure.v1 import Failure as TemporalFailure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RawValue, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.errors import ConflictError, ForbiddenError, InvalidInputError, Problem, TooLooError, UnavailableError
from models.runs import Failure, LiveRun, RunRequest, RunStatus, StepReport, StepState, StepStatus
from workflows.dag.effects import Answer
from workflows.dag.plan import Plan
from workflows.payloads import Blobs, data_converter
from workflows.start import PLACE_IS_FREE, run_attributes, run_priority, run_summary

TASK_QUEUE = "orchestration"

_STATUSES = {
    WorkflowExecutionStatus.RUNNING: RunStatus.RUNNING,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: RunStatus.RUNNING,
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}
ANSWER_WITHIN = timedelta(seconds=20)
"""What a worker may take to answer an update: Temporal waits ten seconds for the one that had the run and is gone."""
SHOWN_WITHIN = timedelta(seconds=2)
"""The same for a query that people wait for, and that is only part of what they see."""
_LOOKS, _LOOK_AGAIN = 5, timedelta(seconds=0.2)
"""How often, and how long apart, Temporal is told to delete until there is nothing left to delete."""
EVENTS_BEFORE_A_WORKER = 2
"""A history of a start and a scheduled workflow task: no worker has taken the run yet."""


async def connect(blobs: Blobs, *, identity: str | None = None, lazy: bool = False) -> Client:
    """A client of the server that Temporal's own variables name (`TEMPORAL_ADDRESS` …).

    `lazy`: connect when it is first used, so that a process can start while the server is away.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    return await Client.connect(**config, data_converter=data_converter(blobs), identity=identity, lazy=lazy)


def workflow_client(client: Client, blobs: Blobs) -> Client:
    """A client of the same server and namespace that reads and writes values as TooLoo does."""
    return Client(client.service_client, namespace=client.namespace, data_converter=data_converter(blobs))


def workflow_arguments(plan: Plan, request: RunRequest) -> list[RawValue]:
    """The arguments of a DAG workflow."""
    return [_json(plan.json), _json(to_json(request.model_dump(mode="json")))]


async def start_run(client: Client, plan: Plan, run_id: str, request: RunRequest) -> None:
    """Start a run under an id of ours; doing it again starts nothing twice."""
    try:
        await client.start_workflow(
            plan.workflow,
            args=workflow_arguments(plan, request),
            id=run_id,
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=run_attributes(plan, request),
            static_summary=run_summary(plan),
            priority=run_priority(request.caller),
        )
    except WorkflowAlreadyStartedError:
        return


async def describe_run(client: Client, run_id: str) -> LiveRun | None:
    """What Temporal knows of a run, without waiting for any worker; None when it never heard of it."""
    handle = client.get_workflow_handle(run_id)
    try:
        described = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    status = RunStatus.RUNNING if described.status is None else _STATUSES[described.status]
    if status is RunStatus.RUNNING and described.history_length <= EVENTS_BEFORE_A_WORKER:
        status = RunStatus.QUEUED
    return LiveRun(
        status=status,
        ended_at=described.close_time,
        error=await _failure_of(handle) if status is RunStatus.FAILED else _outside_failure(status),
        steps=tuple(_pending_step(pending) for pending in described.raw_description.pending_activities),
        history_length=described.history_length,
    )


async def step_reports(client: Client, run_id: str) -> list[StepReport]:
    """Steps as the run's engine knows them. Raises RPCError when no worker answers within the time."""
    return await client.get_workflow_handle(run_id).query(
        "tooloo-steps", result_type=list[StepReport], rpc_timeout=SHOWN_WITHIN
    )


async def signal_run(client: Client, run_id: str, name: str, payload: Any, signal_id: str) -> None:
    """Send a signal. Raises ConflictError when the run has ended."""
    try:
        await client.get_workflow_handle(run_id).signal(name, args=[payload, signal_id])
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConflictError("The run has already ended.", code="run-ended") from error
        raise


async def wake_run(client: Client, run_id: str) -> None:
    """Tell a run that waits for its place that one is free; no matter when nobody hears it."""
    with suppress(RPCError):
        await client.get_workflow_handle(run_id).signal(PLACE_IS_FREE)


async def answer_run(client: Client, run_id: str, step_id: str, answer: Answer) -> None:
    """Answer an approval. Raises a TooLooError that says why it cannot be taken."""
    handle = client.get_workflow_handle(run_id)
    try:
        await handle.execute_update("tooloo-answer", args=[step_id, answer], rpc_timeout=ANSWER_WITHIN)
    except WorkflowUpdateFailedError as error:
        raise _refused(error.cause) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise UnavailableError("No worker of the orchestration service answers.") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise ConflictError("The run has already ended.", code="run-ended") from error
        raise


def _refused(cause: BaseException | None) -> TooLooError:
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else "conflict"
    message = cause.message if isinstance(cause, ApplicationError) else str(cause)
    if code == ForbiddenError.code:
        return ForbiddenError(message)
    if code == InvalidInputError.code:
        listed = cause.details[0] if isinstance(cause, ApplicationError) and cause.details else []
        return InvalidInputError(message, problems=[Problem.model_validate(problem) for problem in listed])
    return ConflictError(message, code=code)


async def cancel_run(client: Client, run_id: str) -> None:
    """Ask a run to cancel; one that has ended, or never started, stays as it is."""
    try:
        await client.get_workflow_handle(run_id).cancel()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def forget_runs(client: Client, run_ids: Iterable[str]) -> None:
    """Let Temporal end runs and delete their histories; those it never had, or has forgotten, are passed over.

    It takes the order and carries it out later: of runs that ended in the last half minute, when that is over. Raises
    UnavailableError when some are still there after a second.
    """
    left = list(run_ids)
    for _ in range(_LOOKS):
        left = [run_id for run_id in left if await _order_to_forget(client, run_id)]
        if not left:
            return
        await asyncio.sleep(_LOOK_AGAIN.total_seconds())
    raise UnavailableError(f"Temporal has not deleted {len(left)} runs yet.")


async def _order_to_forget(client: Client, run_id: str) -> bool:
    """Whether there was something to forget."""
    execution = WorkflowExecution(workflow_id=run_id)
    request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    try:
        await client.workflow_service.delete_workflow_execution(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _failure_of(handle: WorkflowHandle[Any, Any]) -> Failure:
    """The failure of a run that ended without its engine recording it."""
    try:
        await handle.result(follow_runs=False)
    except WorkflowFailureError as error:
        cause = error.cause
        code = cause.type if isinstance(cause, ApplicationError) and cause.type else "failed"
        return Failure(step=None, code=code, message=str(cause)[:2_000], attempt=None)
    return Failure(step=None, code="failed", message="the workflow failed", attempt=None)


def _outside_failure(status: RunStatus) -> Failure | None:
    messages = {
        RunStatus.TERMINATED: "the run was terminated in Temporal",
        RunStatus.TIMED_OUT: "the run timed out in Temporal",
    }
    if status not in messages:
        return None
    return Failure(step=None, code=status.value.replace("_", "-"), message=messages[status], attempt=None)


def _pending_step(pending: PendingActivityInfo) -> StepState:
    started = pending.state in {
        PendingActivityState.PENDING_ACTIVITY_STATE_STARTED,
        PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
    }
    if started:
        status, reason = StepStatus.RUNNING, None
    elif pending.attempt > 1:
        status, reason = StepStatus.RETRYING, "next attempt"
    else:
        status, reason = StepStatus.WAITING, "a worker"
    failure = None
    if pending.HasField("last_failure"):
        failure = Failure(
            step=pending.activity_id,
            code=_failure_code(pending.last_failure),
            message=pending.last_failure.message[:2_000],
            attempt=pending.attempt - 1,
        )
    return StepState(
        id=pending.activity_id,
        status=status,
        reason=reason,
        attempts=pending.attempt if started else pending.attempt - 1,
        started_at=_time(pending.last_started_time),
        next_attempt_at=_time(pending.next_attempt_schedule_time),
        progress=_progress(pending) if started else None,
        error=failure,
    )


def _progress(pending: PendingActivityInfo) -> Any:
    """What the activity reported last with its heartbeats; None for what is no JSON, which other workers may send."""
    for payload in pending.heartbeat_details.payloads:
        with suppress(ValueError):
            return from_json(payload.data) if payload.metadata["encoding"] == b"json/plain" else None
    return None


def _failure_code(failure: TemporalFailure) -> str:
    if failure.HasField("timeout_failure_info"):
        kind = TimeoutType.Name(failure.timeout_failure_info.timeout_type)
        return "timeout-" + kind.removeprefix("TIMEOUT_TYPE_").lower().replace("_", "-")
    return failure.application_failure_info.type or "error"


def _time(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(tzinfo=UTC) if stamp.seconds else None


def _json(data: bytes) -> RawValue:
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
