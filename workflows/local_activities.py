"""Local activities as the engine asks for them: of its own worker, and as long as it takes."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError

with workflow.unsafe.imports_passed_through():
    from workflows.dag.effects import StepFailedError, StepFailure

ERROR_CHARACTERS = 2_000
"""What is kept of an error's text."""
WITHIN = timedelta(seconds=60)
RETRY = RetryPolicy(initial_interval=timedelta(seconds=0.2), maximum_interval=timedelta(seconds=10))
"""As long as it takes: the database may be away."""

ResultT = TypeVar("ResultT")


async def to_its_end(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """What follows from something that has happened: a cancellation comes too late for it."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:  # comes once: a run that was asked to cancel is not asked again
        return await task


async def ask_locally(activity: str, given: Any, result_type: type[ResultT] | Callable[..., ResultT]) -> ResultT:
    """The answer of a local activity. Raises StepFailedError when it refuses."""
    try:
        return await workflow.execute_local_activity(
            activity,
            args=given if isinstance(given, list) else [given],
            result_type=result_type,  # pyright: ignore[reportArgumentType]
            start_to_close_timeout=WITHIN,
            retry_policy=RETRY,
        )
    except FailureError as error:
        cause = error.cause if isinstance(error, ActivityError) else error  # that of a local one may come bare
        raise_if_cancelled(cause)
        code = cause.type if isinstance(cause, ApplicationError) and cause.type else "error"
        raise StepFailedError(StepFailure(code, str(getattr(cause, "message", error))[:ERROR_CHARACTERS])) from error


def raise_if_cancelled(cause: BaseException | None) -> None:
    """Tell a cancellation by the run itself from one by somebody else, which is a failure like others."""
    task = asyncio.current_task()
    if isinstance(cause, CancelledError) and task is not None and task.cancelling():
        raise asyncio.CancelledError from cause


async def record(activity: str, given: Any, result_type: type[Any]) -> tuple[Any, bool]:
    """Write to the record of runs. Second: was the run cancelled meanwhile?

    A cancellation does not stop it: a record that says other than Temporal is worse than a run that ends after all.
    """
    recording = workflow.start_local_activity(
        activity, given, result_type=result_type, start_to_close_timeout=WITHIN, retry_policy=RETRY
    )
    try:
        return await asyncio.shield(recording), False
    except asyncio.CancelledError:  # comes once: a run that was asked to cancel is not asked again
        return await recording, True
