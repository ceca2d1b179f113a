"""The `flow` actions: small, real parts for authors and for tests (CONTRACT 3)."""

import asyncio
import time

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.step import Step
from models.errors import TooLooError
from models.flow import Count, Counter, Echo, Fail, Failed, Sleep, Slept
from services.orchestration.counters import count_once


class RequestedFailureError(TooLooError):
    """What `flow.fail` fails with."""

    status = 422
    code = "failed"
    title = "Failed on request"
    retryable = True


class FlowActivities:
    """Runs on the orchestration worker."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def echo(self, action_input: Echo, _step: Step) -> Echo:
        """Give back the value."""
        return action_input

    async def sleep(self, action_input: Sleep, step: Step) -> Slept:
        """Sleep; a later attempt sleeps only what is left."""
        until = step.previous["until"] if step.previous else time.time() + action_input.seconds
        step.report({"until": until})
        await asyncio.sleep(max(0.0, until - time.time()))
        return Slept(seconds=action_input.seconds)

    async def fail(self, action_input: Fail, step: Step) -> Failed:
        """Fail, for the first `times` attempts or for ever."""
        if action_input.times is None or step.attempt <= action_input.times:
            raise RequestedFailureError(action_input.message, code=action_input.code)
        return Failed(attempt=step.attempt)

    async def count(self, action_input: Count, step: Step) -> Counter:
        """Add to a counter, once per step."""
        async with self._database.begin() as connection:
            return await count_once(connection, step.run_id, step.step_id, action_input)
