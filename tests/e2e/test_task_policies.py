"""What becomes of the times of a task that come while it runs: each policy, on the real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.e2e.conftest import Platform

Json = dict[str, Any]
TIMES = 4
EVERY = 2
"""Seconds."""


class Waiting:
    """A task of a few planned times; its runs go on until they are let go."""

    def __init__(self, client: AsyncClient, task_id: str, planned: list[datetime]) -> None:
        self.client = client
        self.id = task_id
        self.planned = planned

    @classmethod
    async def begin(cls, client: AsyncClient, **policy: Any) -> "Waiting":
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        bounds = {"start": start.isoformat(), "end": (start + timedelta(seconds=EVERY * TIMES - 1)).isoformat()}
        body = {
            "name": str(policy),
            "schedule": {"type": "interval", "every_seconds": EVERY, **bounds},
            "target": {"workflow": "waiting"},
            "policy": policy,
        }
        answer = await client.post("/task/schedule", json=body)
        assert answer.status_code == 201, answer.text
        planned = [datetime.fromisoformat(at) for at in answer.json()["next"]]
        assert len(planned) == TIMES
        return cls(client, answer.json()["id"], planned)

    async def runs(self) -> list[tuple[datetime, str, str]]:
        """Planned time, outcome and run of those that have begun, in order."""
        items = (await self.client.get(f"/task/{self.id}/history")).json()["items"]
        begun = [one for one in items if one["run_id"]]
        return [(datetime.fromisoformat(one["planned_at"]), one["outcome"], one["run_id"]) for one in begun][::-1]

    async def outcomes(self) -> list[str]:
        return [outcome for _, outcome, _ in await self.runs()]

    async def until(self, holds: Callable[[list[tuple[datetime, str, str]]], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds(await self.runs()):  # noqa: ASYNC110 - schedules fire
                await asyncio.sleep(0.1)

    async def until_skipped(self, count: int) -> None:
        """Until Temporal has left out that many."""
        async with asyncio.timeout(60):
            while (await self.client.get(f"/task/{self.id}")).json()["skipped"] != count:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.1)

    async def let_go(self, number: int) -> None:
        """Let the run of that number complete, when it has begun."""
        await self.until(lambda runs: len(runs) > number)
        run_id = (await self.runs())[number][2]
        answer = await self.client.post(f"/workflow/waiting/executions/{run_id}/signals/go", json={"payload": None})
        assert answer.status_code == 202, answer.text
        await self.until(lambda runs: runs[number][1] == "completed")

    async def until_all_have_come(self) -> None:
        """Until the server has seen the last planned time come."""
        async with asyncio.timeout(60):
            while (await self.client.get(f"/task/{self.id}")).json()["next"]:  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.1)


@pytest.fixture
async def root(platform: Platform, admin: AsyncClient) -> AsyncIterator[AsyncClient]:
    del platform
    waiting: Json = {"id": "waiting", "steps": [{"id": "go", "wait": {"signal": "go"}}]}
    assert (await admin.post("/workflow", json=waiting)).status_code == 201
    yield admin
    for task in (await admin.get("/task/scheduled")).json()["items"]:
        await admin.delete(f"/task/{task['id']}")


async def test_skip_leaves_out_what_comes_during_a_run(root: AsyncClient) -> None:
    task = await Waiting.begin(root, overlap="skip")
    await task.until_skipped(TIMES - 1)
    await task.let_go(0)
    assert [(at, outcome) for at, outcome, _ in await task.runs()] == [(task.planned[0], "completed")]


async def test_buffer_one_keeps_the_first_that_comes_during_a_run(root: AsyncClient) -> None:
    task = await Waiting.begin(root, overlap="buffer-one")
    await task.until_skipped(TIMES - 2)
    assert await task.outcomes() == ["running"]
    await task.let_go(0)
    await task.let_go(1)
    assert [(at, outcome) for at, outcome, _ in await task.runs()] == [(at, "completed") for at in task.planned[:2]]


async def test_buffer_all_runs_everything_one_after_the_other(root: AsyncClient) -> None:
    task = await Waiting.begin(root, overlap="buffer-all")
    await task.until_all_have_come()
    for number in range(TIMES):
        await task.until(lambda runs, number=number: len(runs) == number + 1)
        assert await task.outcomes() == ["completed"] * number + ["running"]
        await task.let_go(number)
    assert [at for at, _, _ in await task.runs()] == task.planned


@pytest.mark.parametrize(("overlap", "status"), [("cancel-other", "cancelled"), ("terminate-other", "terminated")])
async def test_the_next_ends_the_one_before(root: AsyncClient, overlap: str, status: str) -> None:
    task = await Waiting.begin(root, overlap=overlap)
    await task.let_go(TIMES - 1)
    async with asyncio.timeout(60):  # what is terminated cannot say so: the platform looks for it every two minutes
        while await task.outcomes() != ["failed"] * (TIMES - 1) + ["completed"]:
            await root.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
    ended = [(await root.get(f"/runs/{run_id}")).json()["status"] for _, _, run_id in await task.runs()]
    assert ended == [status] * (TIMES - 1) + ["completed"]


async def test_allow_all_lets_them_run_side_by_side(root: AsyncClient) -> None:
    task = await Waiting.begin(root, overlap="allow-all")
    await task.until(lambda runs: len(runs) == TIMES)
    assert await task.outcomes() == ["running"] * TIMES
    for number in range(TIMES):
        await task.let_go(number)
    assert await task.outcomes() == ["completed"] * TIMES
