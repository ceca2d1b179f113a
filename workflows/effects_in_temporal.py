"""The effects of a run as Temporal has them: activities, runs of other definitions, local activities and timers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import Priority, RawValue, RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    RetryState,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from pydantic_core import from_json, to_json

    from models.actions import Retry, seconds
    from models.documents import check_json
    from models.errors import InvalidInputError
    from models.runs import (
        AskApproval,
        CacheCall,
        OpenChild,
        OpenedChild,
        RunRequest,
        SettleApproval,
        StepCall,
    )
    from models.values import INLINE_LIMIT, NULL, STORED_ENCODING, STORED_VALUE, VALUE, Value
    from workflows.dag.effects import ActionCall, Answer, RunCall, StepFailedError, StepFailure
    from workflows.dag.plan import Action, Expression, Node, Plan, load_plan
    from workflows.dag.validation import validate_value
    from workflows.local_activities import ERROR_CHARACTERS, ask_locally, raise_if_cancelled, to_its_end
    from workflows.start import run_attributes, run_priority, run_summary

CODE_CHARACTERS = 200
MAX_DEPTH = 16
"""Of runs in runs. Definitions that run each other in a circle are refused; this is for what slips through."""
WORK_AT_ONCE = 1_000
"""Conditions evaluated, or work that takes as long, in one activation: some 0.1 s of the 2 s Temporal allows."""
BYTES_AT_ONCE = 2 * 1024 * 1024
COMMAND_BYTES = 1_024
"""Of a command, beside its payloads."""

_TIMEOUT_CODES = {
    TimeoutType.START_TO_CLOSE: "timeout-start-to-close",
    TimeoutType.SCHEDULE_TO_START: "timeout-schedule-to-start",
    TimeoutType.SCHEDULE_TO_CLOSE: "timeout-schedule-to-close",
    TimeoutType.HEARTBEAT: "timeout-heartbeat",
}


def child_run_id(parent: str, step_id: str) -> str:
    """The run that a step of a run starts: the same one however often it is asked for."""
    return str(uuid5(NAMESPACE_URL, f"tooloo:{parent}/{step_id}"))


class TemporalEffects:
    """What one run asks of the world."""

    def __init__(self, plan: Plan, request: RunRequest) -> None:
        self._plan = plan
        self._request = request
        self._plain_call = json_value(StepCall(caller=request.caller).model_dump(mode="json"))
        self._task = 0
        self._work = self._bytes = 0
        self._break: asyncio.Task[None] | None = None
        self._full: asyncio.Task[None] | None = None

    def time(self) -> float:
        """The time of the workflow task."""
        return workflow.time()

    async def breathe(self, work: int) -> None:
        """Wait for a new activation when this one has done much: Temporal takes a long one for a deadlock."""
        while self._has_done_much():
            if self._break is None:
                self._break = asyncio.create_task(self._rest())
            await asyncio.shield(self._break)
        self._work += work

    async def act(self, call: ActionCall) -> Value:
        """Run an activity on the queue of the action's service."""
        action = call.action
        given = await self._whole(call.input) if action.foreign else call.input
        args = [json_value(given.json)] if action.foreign else [json_value(given.json), self._step_call(call)]
        await self._make_room(*args)
        try:
            result: RawValue = await workflow.execute_activity(
                action.type,
                args=args,
                activity_id=call.id,
                task_queue=action.queue,
                result_type=RawValue,
                start_to_close_timeout=seconds(action.timeout.start_to_close),
                schedule_to_close_timeout=seconds(action.timeout.schedule_to_close),
                schedule_to_start_timeout=seconds(action.timeout.schedule_to_start),
                heartbeat_timeout=seconds(action.timeout.heartbeat),
                retry_policy=_retry_policy(action.retry),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                summary=call.summary[:200],
                priority=Priority(priority_key=call.priority) if call.priority else Priority.default,
            )
        except ActivityError as error:
            raise_if_cancelled(error.cause)
            raise StepFailedError(_failure(error, action)) from error
        payload = result.payload
        if action.foreign:  # looked at first: what others send never names a value of ours
            return await self._foreign_result(action, payload)
        if payload.metadata.get("encoding") == STORED_ENCODING:
            return Value.of_stored(STORED_VALUE.validate_json(payload.data))
        return Value(from_json(payload.data))

    async def run(self, call: RunCall) -> Value:
        """Run another definition as a child workflow."""
        info = workflow.info()
        run_id = child_run_id(info.workflow_id, call.id)
        if self._request.depth >= MAX_DEPTH:
            raise StepFailedError(StepFailure("too-deep", f"runs in runs go {MAX_DEPTH} deep at most"))
        asked = OpenChild(
            parent=info.workflow_id,
            run_id=run_id,
            workflow=call.run.workflow,
            version=call.run.version,
            caller=self._request.caller,
            input=call.input.json,
            holes=call.input.holes,
            dry_run=self._request.dry_run,
            depth=self._request.depth + 1,
        )
        opened = await ask_locally("orchestration.open-child", asked, OpenedChild)
        plan = load_plan(opened.plan.encode())
        request = RunRequest(
            input=opened.input,
            caller=self._request.caller,
            trigger="workflow",
            admitted=plan.concurrency is None,
            dry_run=self._request.dry_run,
            parent=info.workflow_id,
            depth=self._request.depth + 1,
        )
        args = [json_data(opened.plan.encode()), json_value(request.model_dump(mode="json"))]
        await self._make_room(*args)
        try:
            child = await workflow.start_child_workflow(
                plan.workflow,
                args=args,
                id=run_id,
                result_type=RawValue,
                cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
                parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL
                if call.run.wait
                else workflow.ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=run_attributes(plan, request),
                static_summary=run_summary(plan),
                priority=run_priority(request.caller, call.priority),
            )
            if not call.run.wait:
                return Value({"run_id": run_id, "workflow": plan.workflow, "version": plan.version})
            result: RawValue = await child
        except WorkflowAlreadyStartedError as error:
            raise StepFailedError(StepFailure("already-started", f"the run {run_id} exists already")) from error
        except ChildWorkflowError as error:
            raise_if_cancelled(error.cause)
            raise StepFailedError(child_failure(error)) from error
        return VALUE.validate_json(result.payload.data)

    async def evaluate(self, expression: Expression, variables: Value) -> Value:
        """Evaluate in a local activity."""
        return await ask_locally("orchestration.evaluate", [expression.text, expression.item, variables], Value)

    async def keep(self, value: Value) -> Value:
        """Keep a large value outside of history."""
        if value.holes or len(to_json(value.json)) <= INLINE_LIMIT:
            return value
        return await to_its_end(ask_locally("orchestration.keep", value, Value))

    async def ask(self, node: Node, shown: Value, until: float | None) -> None:
        """Record a question, for `GET /approvals`."""
        question = node.question
        assert question is not None  # noqa: S101 - only such steps ask
        asked = AskApproval(
            run_id=workflow.info().workflow_id,
            workflow=self._plan.workflow,
            step_id=node.id,
            summary=node.summary,
            owner_id=self._request.caller.user_id,
            roles=question.roles,
            allow_requester=question.allow_requester,
            schema_=question.schema,
            shown=shown.json,
            holes=shown.holes,
            until=None if until is None else datetime.fromtimestamp(until, UTC),
        )
        await ask_locally("orchestration.ask-approval", asked, type(None))

    async def settle(self, node: Node, answer: Answer | None) -> None:
        """Record how a question was answered."""
        decision = "timed_out" if answer is None else "approved" if answer.approved else "rejected"
        settled = SettleApproval(
            run_id=workflow.info().workflow_id,
            step_id=node.id,
            decision=decision,
            by=answer and answer.by,
            comment=answer and answer.comment,
        )
        await to_its_end(ask_locally("orchestration.settle-approval", settled, type(None)))

    def _has_done_much(self) -> bool:
        task = workflow.info().get_current_history_length()
        if task != self._task:
            self._task, self._work, self._bytes = task, 0, 0
        return self._work >= WORK_AT_ONCE

    async def _rest(self) -> None:
        """A local activity: its end begins a new activation, and it takes a millisecond; a timer takes a second."""
        await ask_locally("orchestration.keep", NULL, Value)
        self._work = 0
        self._break = None

    async def _make_room(self, *given: RawValue) -> None:
        """Wait for a new workflow task when this one's commands have grown large: Temporal takes 4 MB in one answer."""
        while self._is_full():
            if self._full is None:
                self._full = asyncio.create_task(asyncio.sleep(0.001))
                self._full.add_done_callback(lambda _: setattr(self, "_full", None))
            await asyncio.shield(self._full)
        self._bytes += sum(min(INLINE_LIMIT, len(one.payload.data)) for one in given) + COMMAND_BYTES

    def _is_full(self) -> bool:
        self._has_done_much()
        return self._bytes >= BYTES_AT_ONCE

    def _step_call(self, call: ActionCall) -> RawValue:
        if not call.input.holes and not call.is_part and call.cache is None:
            return self._plain_call
        cache = call.cache
        kept = cache and CacheCall(key=cache.value.json, holes=cache.value.holes, ttl_seconds=cache.ttl)
        made = StepCall(caller=self._request.caller, holes=call.input.holes, part=call.is_part, cache=kept)
        return json_value(made.model_dump(mode="json"))

    @staticmethod
    async def _whole(value: Value) -> Value:
        """A value without holes: what other people's workers can read."""
        return await ask_locally("orchestration.fill", value, Value) if value.holes else value

    async def _foreign_result(self, action: Action, payload: Payload) -> Value:
        try:
            result = from_json(payload.data, allow_inf_nan=False) if payload.data else None
            check_json(result)
        except (ValueError, InvalidInputError) as error:
            message = f"{action.type} gave no JSON that can be kept: {error}"
            raise StepFailedError(StepFailure("invalid-result", message[:ERROR_CHARACTERS])) from error
        problems = validate_value(action.result, result, "")
        if problems:
            first = f"{problems[0].pointer or 'the whole'}: {problems[0].message}"
            message = f"what {action.type} gave does not fit its schema: {first}"
            raise StepFailedError(StepFailure("invalid-result", message[:ERROR_CHARACTERS]))
        return await self.keep(Value(result))


def json_value(value: Any) -> RawValue:
    """A value as JSON."""
    return json_data(to_json(value))


def json_data(data: bytes) -> RawValue:
    """JSON as it is."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))


def _failure(error: ActivityError, action: Action) -> StepFailure:
    cause = error.cause
    attempt = action.retry.max_attempts if error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED else None
    if isinstance(cause, TemporalTimeoutError):
        kind = _TIMEOUT_CODES.get(cause.type, "timeout") if cause.type is not None else "timeout"
        if cause.type is TimeoutType.SCHEDULE_TO_START:
            waited = f" within {action.timeout.schedule_to_start:g} s" if action.timeout.schedule_to_start else ""
            message = f"{action.type}: no worker of the queue {action.queue} took the step{waited}; is one running?"
        else:
            message = f"{action.type}: {kind.replace('-', ' ')} ({cause.message})"
        return StepFailure(kind, message[:ERROR_CHARACTERS], attempt)
    if isinstance(cause, CancelledError):
        return StepFailure("cancelled", "the step was cancelled, but not by its run", attempt)
    if isinstance(cause, ApplicationError):
        details = cause.details[0] if not action.foreign and cause.details else {}
        code = _storable(cause.type or "error", CODE_CHARACTERS)
        return StepFailure(code, _storable(cause.message, ERROR_CHARACTERS), details.get("attempt", attempt))
    return StepFailure("error", str(cause or error)[:ERROR_CHARACTERS], attempt)


def _storable(text: str, characters: int) -> str:
    """Somebody else's text as the database takes it."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:characters]


def child_failure(error: ChildWorkflowError) -> StepFailure:
    """Why a run that was waited for did not complete."""
    cause = error.cause
    if isinstance(cause, CancelledError):
        return StepFailure("cancelled", f"the run of {error.workflow_type} was cancelled")
    if isinstance(cause, ApplicationError):
        return StepFailure(cause.type or "failed", f"{error.workflow_type}: {cause.message}"[:ERROR_CHARACTERS])
    return StepFailure("failed", f"{error.workflow_type}: {cause or error}"[:ERROR_CHARACTERS])


def _retry_policy(retry: Retry) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=retry.initial),
        backoff_coefficient=retry.backoff,
        maximum_interval=timedelta(seconds=retry.max_interval),
        maximum_attempts=retry.max_attempts,
        non_retryable_error_types=retry.non_retryable,
    )
