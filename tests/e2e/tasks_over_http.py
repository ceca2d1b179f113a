"""Tasks as a client of the API has them, for tests on the real server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import AsyncClient

from tests.e2e.conftest import Platform, step

Json = dict[str, Any]


NEVER_SOON = {"type": "daily", "at": "02:30"}


async def until(client: AsyncClient, path: str, holds: Callable[[Json], bool]) -> Json:
    async with asyncio.timeout(60):
        while not holds(shown := (await client.get(path)).json()):  # noqa: ASYNC110 - a schedule fires
            await asyncio.sleep(0.1)
    return shown


@pytest.fixture
async def root(platform: Platform, admin: AsyncClient) -> AsyncClient:
    definition: Json = {"id": "count", "steps": [step("c", "count", input={"key": "from:input.key"})]}
    definition["input"] = {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]}
    assert (await admin.post("/workflow", json=definition)).status_code == 201
    return admin


def task(schedule: Json, key: str = "k", **more: Any) -> Json:
    return {"name": "a task", "schedule": schedule, "target": {"workflow": "count"}, "input": {"key": key}, **more}


async def post(client: AsyncClient, body: Json) -> str:
    answer = await client.post("/task/schedule", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


async def count(client: AsyncClient, key: str) -> int:
    answer = await client.get(f"/flow/counters/{key}")
    return answer.json()["value"] if answer.status_code == 200 else 0


async def history(client: AsyncClient, task_id: str) -> list[Json]:
    return (await client.get(f"/task/{task_id}/history")).json()["items"]


async def reconcile(client: AsyncClient) -> Json:
    answer = await client.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
    return answer.json()["output"]
