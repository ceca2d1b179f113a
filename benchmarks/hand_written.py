"""The rival of `overhead`: the same DAGs as a Temporal user would write them by hand.

Same worker settings, and the same to see in the Web UI: a summary on each activity, which costs both alike.
"""

import asyncio
import os
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, JsonValue

    from workers.runtime import ACTIVITIES, SANDBOX, WORKFLOW_TASKS

TASK_QUEUE = "hand-written"
CHAINS = 20
"""Side by side in `Conditional`."""
_TIMEOUT = timedelta(seconds=60)


class Value(BaseModel):
    """Any value."""

    value: JsonValue = None


@activity.defn
async def echo(value: Value) -> Value:
    """Give back the value."""
    return value


async def _echo(value: JsonValue) -> JsonValue:
    result = await workflow.execute_activity(
        echo,
        Value(value=value),
        start_to_close_timeout=_TIMEOUT,
        heartbeat_timeout=timedelta(seconds=10),
        summary="echo: Give back a value",
    )
    return result.value


@workflow.defn
class Chain:
    """Steps one after the other, each with the result of the last."""

    @workflow.run
    async def run(self, length: int) -> JsonValue:
        """Run `length` steps."""
        value: JsonValue = 0
        for _ in range(length):
            value = await _echo(value)
        return value


@workflow.defn
class FanOut:
    """Independent steps at once."""

    @workflow.run
    async def run(self, width: int) -> list[JsonValue]:
        """Run `width` steps."""
        return list(await asyncio.gather(*[_echo(number) for number in range(width)]))


@workflow.defn
class Ladder:
    """Diamonds in a row: one step, two in parallel on its result, one on both."""

    @workflow.run
    async def run(self, rungs: int) -> JsonValue:
        """Run `rungs` diamonds of three steps behind a first step."""
        value = await _echo(0)
        for _ in range(rungs):
            left, right = await asyncio.gather(_echo(value), _echo(value))
            value = await _echo([left, right][0])
        return value


@workflow.defn
class Conditional:
    """Chains side by side, in which every fifth step has a condition on the one before."""

    @workflow.run
    async def run(self, steps: int) -> None:
        """Run `steps` steps."""

        async def chain() -> None:
            value: JsonValue = 0
            for n in range(steps // CHAINS):
                if n % 5 == 4 and value != 0:  # noqa: PLR2004 - every fifth
                    continue
                value = await _echo(value)

        await asyncio.gather(*[chain() for _ in range(CHAINS)])


async def _main() -> None:
    config = ClientConfig.load_client_connect_config()
    client = await Client.connect(**config, data_converter=pydantic_data_converter, identity=f"hand@{os.getpid()}")
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[Chain, FanOut, Ladder, Conditional],
        activities=[echo],
        workflow_runner=SANDBOX,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS,
        max_concurrent_activities=ACTIVITIES,
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_main())
