"""From an action's method to a Temporal activity: everything that is the same for all of them.

Fetch what is kept outside of history, validate, check the role, heartbeat, run, keep a large result outside of
history, record how it ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json, to_json
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.recorder import StepRecorder
from activities.results import ResultCache
from activities.step import Step
from models.actions import ActionSpec
from models.canonical import canonical
from models.errors import ForbiddenError, InvalidInputError, Problem, TooLooError
from models.persistence.values import BlobStore
from models.runs import Failure, StepCall, StepStatus
from models.values import INLINE_LIMIT, STORED_ENCODING, STORED_VALUE, Hole, MissingValueError, StoredValue
from services.orchestration.runs import StepRecord

ERROR_CHARACTERS = 2_000
"""What is kept of an error's text: texts of megabytes are retried without end (TRAPS 3)."""

PROGRESS_EVERY = timedelta(seconds=2)
"""How often what an action says of its progress is passed on, when it has changed."""
PART_LIMIT = 256
"""Bytes of the result of an item or a turn above which it is kept outside of history: there may be thousands."""
CACHED = "cached"
"""Why a step that succeeded did nothing."""

Activity = Callable[[RawValue, RawValue], Awaitable[RawValue]]


@dataclass(frozen=True)
class ActionAdapter:
    """Makes activities of the methods of one worker's services."""

    recorder: StepRecorder
    blobs: BlobStore
    results: ResultCache

    def activities(self, service: object, specs: Sequence[ActionSpec[Any, Any]]) -> list[Activity]:
        """One activity per action; the method has the action's name with underscores."""
        return [self._activity(spec, getattr(service, spec.name.replace("-", "_"))) for spec in specs]

    def _activity(self, spec: ActionSpec[Any, Any], method: Callable[[Any, Step], Awaitable[Any]]) -> Activity:
        @activity.defn(name=spec.type)
        async def run(action_input: RawValue, call: RawValue) -> RawValue:
            return await self._run(spec, method, action_input.payload.data, call.payload.data)

        return run

    async def _run(
        self, spec: ActionSpec[Any, Any], method: Callable[[Any, Step], Awaitable[Any]], data: bytes, call_data: bytes
    ) -> RawValue:
        call = StepCall.model_validate_json(call_data)
        step = _step(call)
        info = activity.info()
        started = StepRecord(
            run_id=step.run_id,
            step_id=step.step_id,
            owner_id=call.caller.user_id,
            status=StepStatus.RUNNING,
            attempt=step.attempt,
            started_at=info.started_time,
            ended_at=None,
            part=call.part,
        )
        with _heartbeat(step, info.heartbeat_timeout.total_seconds() if info.heartbeat_timeout else None):
            if step.attempt > 1 and (done := await self.recorder.success(step.run_id, step.step_id)) is not None:
                return _answer(done)  # only its answer was lost
            try:
                data, reason = await self._result(spec, method, from_json(data), call, step)
                record = await self._keep(data, replace(started, reason=reason))
            except Exception as error:
                failure = _failure(error, step)
                await self.recorder.record(_failed(started, failure))
                raise failure from error
            await self.recorder.record(record)
        return _answer(record)

    async def _result(
        self,
        spec: ActionSpec[Any, Any],
        method: Callable[[Any, Step], Awaitable[Any]],
        given: Any,
        call: StepCall,
        step: Step,
    ) -> tuple[bytes, str | None]:
        """The result as JSON, and why it was not made anew."""
        if call.caller.role not in spec.roles:
            raise ForbiddenError(f"{spec.type} is not for the role {call.caller.role}")
        cache = call.cache
        key = b"" if cache is None else _key_hash(await self._fill(cache.key, cache.holes))
        if cache is not None and (kept := await self.results.find(call.caller.user_id, spec.type, key)) is not None:
            return kept, CACHED
        value = await self._fill(given, call.holes)
        data = to_json(await method(_validated(spec, value), step))
        if cache is not None:
            await self.results.keep(call.caller.user_id, spec.type, key, data, timedelta(seconds=cache.ttl_seconds))
        return data, None

    async def _fill(self, value: Any, holes: Sequence[Hole]) -> Any:
        try:
            return await self.blobs.fill(value, holes)
        except MissingValueError as error:
            raise InvalidInputError(
                "a value this step's input needs is missing; give its reference a default with ??", code="missing-value"
            ) from error

    async def _keep(self, data: bytes, started: StepRecord) -> StepRecord:
        record = replace(started, status=StepStatus.SUCCEEDED, ended_at=datetime.now(UTC), output_bytes=len(data))
        if len(data) <= (PART_LIMIT if started.part else INLINE_LIMIT):
            return replace(record, output=from_json(data))
        (ref,) = await self.blobs.store([data])
        return replace(record, output_ref=ref)


def _answer(record: StepRecord) -> RawValue:
    """What Temporal is told of a step that has succeeded."""
    if record.output_ref is None:
        return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=to_json(record.output)))
    stored = STORED_VALUE.dump_json(StoredValue(record.output_ref, record.output_bytes or 0))
    return RawValue(Payload(metadata={"encoding": STORED_ENCODING}, data=stored))


def _key_hash(key: Any) -> bytes:
    return sha256(to_json(canonical(key))).digest()


def _step(call: StepCall) -> Step:
    info = activity.info()
    assert info.workflow_id is not None  # noqa: S101 - actions are only ever run by workflows
    assert info.workflow_type is not None  # noqa: S101 - the same
    return Step(
        run_id=info.workflow_id,
        step_id=info.activity_id,
        definition=info.workflow_type,
        attempt=info.attempt,
        caller=call.caller,
        previous=next(iter(info.heartbeat_details), None),
    )


def _validated(spec: ActionSpec[Any, Any], value: Any) -> Any:
    try:
        return spec.input.model_validate(value)
    except ValidationError as error:
        problems = [
            Problem(pointer="".join(f"/{part}" for part in detail["loc"]), code=detail["type"], message=detail["msg"])
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        text = "; ".join(f"{problem.pointer or 'the input'}: {problem.message}" for problem in problems[:10])
        raise InvalidInputError(f"the input of {spec.type} is not valid: {text}", problems=problems) from error


@contextmanager
def _heartbeat(step: Step, timeout: float | None) -> Any:
    """Heartbeat three times in each timeout, repeating the last details: an empty heartbeat erases them (TRAPS 8).

    Sooner when there are new ones, for those who watch.

    Around everything that waits for the database too: while it is away, attempts must not be used up.
    """
    if timeout is None:
        yield
        return
    loop = asyncio.get_running_loop()

    longest = timeout / 3
    look_every = min(longest, PROGRESS_EVERY.total_seconds())
    sent, sent_at = step.previous, loop.time()

    def look() -> None:
        nonlocal timer, sent, sent_at
        details = step.previous if step.progress is None else step.progress
        if details != sent or loop.time() - sent_at >= longest:
            activity.heartbeat(*([] if details is None else [details]))
            sent, sent_at = details, loop.time()
        timer = loop.call_later(look_every, look)

    timer = loop.call_later(look_every, look)
    try:
        yield
    finally:
        timer.cancel()


def _failure(error: Exception, step: Step) -> ApplicationError:
    details = {"attempt": step.attempt}
    if isinstance(error, ApplicationError):
        return error
    if isinstance(error, TooLooError):
        message = error.detail[:ERROR_CHARACTERS]
        return ApplicationError(message, details, type=error.code, non_retryable=not error.retryable)
    return ApplicationError(f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS], details, type="internal")


def _failed(started: StepRecord, failure: ApplicationError) -> StepRecord:
    final = failure.non_retryable or _was_last_attempt(started.attempt, failure.type or "")
    return replace(
        started,
        status=StepStatus.FAILED if final else StepStatus.RETRYING,
        ended_at=datetime.now(UTC) if final else None,
        error=Failure(
            step=started.step_id, code=failure.type or "error", message=failure.message, attempt=started.attempt
        ),
    )


def _was_last_attempt(attempt: int, code: str) -> bool:
    policy = activity.info().retry_policy
    if policy is None:
        return False
    return 0 < policy.maximum_attempts <= attempt or code in (policy.non_retryable_error_types or ())
