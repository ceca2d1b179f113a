"""Tasks go on through kill -9 of any process and of all: every planned time runs once, as late as its policy has it."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.conftest import step
from tests.e2e.processes import PatientClient, Processes

pytestmark = pytest.mark.xdist_group("stack of processes")  # with --dist loadgroup one stack serves all of them

Json = dict[str, Any]
EVERY = timedelta(seconds=2)
SHORTEST_WINDOW = 10
"""Seconds."""
PARTS = ("worker-orchestration", "temporal", "postgres", "api")


instant = datetime.fromisoformat


class CountingTask:
    """A task that fires all the time, and counts."""

    def __init__(self, client: PatientClient, task_id: str, key: str) -> None:
        self.client = client
        self.id = task_id
        self.key = key

    @classmethod
    async def begin(cls, client: PatientClient, **policy: Any) -> "CountingTask":
        key = str(uuid4())
        body = {
            "name": "counts",
            "schedule": {"type": "interval", "every_seconds": EVERY.seconds},
            "target": {"workflow": "count-once"},
            "input": {"key": key},
            "policy": {"overlap": "buffer-all", **policy},
        }
        made = await client.post("/task/schedule", body, {"Idempotency-Key": key})
        return cls(client, made["id"], key)

    async def history(self) -> list[Json]:
        """All of it, the latest first."""
        items: list[Json] = []
        more = ""
        while True:
            page = await self.client.get(f"/task/{self.id}/history?limit=200{more}")
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            more = f"&cursor={page['next_cursor']}"

    async def until_up_to_date(self) -> None:
        """Until every planned time up to about now has completed."""
        asked = datetime.now(UTC)
        async with asyncio.timeout(180):
            while not self._is_complete(await self.history(), asked):  # noqa: ASYNC110 - schedules fire
                await asyncio.sleep(0.2)

    def _is_complete(self, items: list[Json], until: datetime) -> bool:
        times = [instant(one["planned_at"]) for one in items]
        every = all(later - earlier == EVERY for later, earlier in pairwise(times))
        return bool(times) and times[0] >= until and every and {one["outcome"] for one in items[1:]} == {"completed"}

    async def rest(self) -> list[Json]:
        """Pause it; its history when nothing runs any more."""
        await self.client.post(f"/task/{self.id}/pause", None)
        await self.client.until(
            f"/task/{self.id}/history", lambda page: all(one["outcome"] != "running" for one in page["items"])
        )
        return await self.history()

    async def count(self) -> int:
        return (await self.client.get(f"/flow/counters/{self.key}"))["value"]


@pytest.mark.timeout(600)  # seven restarts, an outage, and what is given up only after a while
async def test_a_task_fires_through_kill_9_of_everything(stack: Processes) -> None:
    async with stack.client() as client:
        definition = {"id": "count-once", "steps": [step("c", "count", input={"key": "from:input.key"})]}
        await client.post("/workflow", definition)
        patient = await CountingTask.begin(client)
        hasty = await CountingTask.begin(client, catchup_window_seconds=SHORTEST_WINDOW)
        for part in PARTS:
            await patient.until_up_to_date()
            killed = stack.kill(part)
            await stack.until_healthy(part, after=killed)
        await patient.until_up_to_date()
    stack.kill_everything()
    await asyncio.sleep(SHORTEST_WINDOW + 2 * EVERY.seconds)  # an outage that is longer than the catch-up window
    await stack.up()
    async with stack.client() as client:
        patient, hasty = CountingTask(client, patient.id, patient.key), CountingTask(client, hasty.id, hasty.key)
        await patient.until_up_to_date()
        shown = await client.until(f"/task/{hasty.id}", lambda one: one["missed"])
        await client.until(
            f"/task/{hasty.id}/history?limit=200",
            lambda page: sum(one["outcome"] == "missed" for one in page["items"]) >= shown["missed"],
        )
        pending = await client.post("/task/execute-pending", None)
        assert hasty.id in pending["tasks"]
        assert patient.id not in pending["tasks"], "all of its times have been caught up"
        await hasty.until_up_to_date()
        for task in (patient, hasty):
            items = await task.rest()
            assert {one["outcome"] for one in items} == {"completed"}
            assert await task.count() == len(items), "each planned time has counted once"
            assert all(instant(one["started_at"]) >= instant(one["planned_at"]) for one in items)
            assert len({one["run_id"] for one in items}) == len(items)
        counted = await patient.count()
        await client.post(f"/task/{patient.id}/trigger", None, {"Idempotency-Key": str(uuid4())})
        await client.until(f"/flow/counters/{patient.key}", lambda counter: counter["value"] > counted)
        assert len(await patient.rest()) == await patient.count() == counted + 1, "it rests, and was triggered once"
