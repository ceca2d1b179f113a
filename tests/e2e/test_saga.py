"""The example with a map, a switch, an approval, compensations and a sub-workflow, through crashes and undone."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from models.settings import CHECKOUT
from tests.e2e.processes import PatientClient, Processes

pytestmark = pytest.mark.xdist_group("stack of processes")

EXAMPLES = CHECKOUT / "examples"
ORDER = json.loads((EXAMPLES / "order.json").read_text())
PIECES = sum(line["quantity"] for line in ORDER["lines"])
COUNTERS = ("reserved", "charged", "packed", "parcels", "released", "refunded", "recalled")


@asynccontextmanager
async def counted(client: PatientClient, **expected: int) -> AsyncGenerator[None]:
    """What happens inside adds this much to the counters, and nothing to the others."""
    before = {key: (await client.get(f"/flow/counters/{key}"))["value"] for key in COUNTERS}
    yield
    after = {key: (await client.get(f"/flow/counters/{key}"))["value"] for key in COUNTERS}
    assert {key: after[key] - before[key] for key in COUNTERS} == {**dict.fromkeys(COUNTERS, 0), **expected}


async def begin(stack: Processes, client: PatientClient, **more: Any) -> str:
    for name in ("parcel", "order"):
        await stack.tooloo("apply", str(EXAMPLES / f"{name}.yaml"))
    return (await client.post("/workflow/order/execute", {"input": {**ORDER, **more}}))["run_id"]


async def key_of_another_admin(client: PatientClient) -> str:
    return (await client.post("/keys", {"user_id": "bob", "role": "admin", "name": "test"}))["key"]


def steps_of(run: dict[str, Any]) -> dict[str, str]:
    return {step["id"]: step["status"] for step in run["steps"]}


async def test_order_completes_through_two_crashes_of_its_worker(stack: Processes) -> None:
    async with stack.client() as client:
        expected = {"reserved": PIECES, "charged": 1, "packed": PIECES, "parcels": 1}
        async with counted(client, **expected):
            run_id = await begin(stack, client)
            await client.until(f"/runs/{run_id}", lambda run: steps_of(run)["sign-off"] == "waiting")
            first = stack.kill("worker-orchestration")
            await stack.until_healthy("worker-orchestration", after=first)
            key = await key_of_another_admin(client)
            await stack.tooloo("approve", run_id, "sign-off", "--data", '{"discount": 5}', key=key)
            second = stack.kill("worker-orchestration")
            run = await client.until(f"/runs/{run_id}", lambda run: run["ended_at"] is not None)
        await stack.until_healthy("worker-orchestration", after=second)
    assert (run["status"], run["error"]) == ("completed", None)
    assert run["output"]["class"] == "large"
    assert run["output"]["discount"] == 5
    assert set(steps_of(run).values()) == {"succeeded"}


async def test_order_whose_last_step_fails_is_undone_the_last_first(stack: Processes) -> None:
    async with stack.client() as client:
        expected = {
            "reserved": PIECES, "charged": 1, "packed": PIECES, "parcels": 1,
            "released": PIECES, "refunded": 1, "recalled": 1,
        }  # fmt: skip
        async with counted(client, **expected):
            run_id = await begin(stack, client, refusals=99)
            await client.until(f"/runs/{run_id}", lambda run: steps_of(run)["sign-off"] == "waiting")
            key = await key_of_another_admin(client)
            await stack.tooloo("approve", run_id, "sign-off", "--data", '{"discount": 0}', key=key)
            run = await client.until(f"/runs/{run_id}", lambda run: run["ended_at"] is not None)
    assert (run["status"], run["error"]["step"], run["error"]["code"]) == ("failed", "confirm", "refused")
    assert [one["status"] for one in run["compensations"]] == ["succeeded"] * 5
    undone = [one["id"] for one in run["compensations"]]
    assert undone[:2] == ["parcel:undo", "charge:undo"]
    assert sorted(undone[2:]) == ["reserve[0]:undo", "reserve[1]:undo", "reserve[2]:undo"]
