"""Tasks on the real server: they fire, pause, are triggered, filled in, changed and deleted."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from httpx2 import AsyncClient
from sqlalchemy import update

from models.persistence.tables import tasks as table
from tests.e2e.conftest import Platform, step
from tests.e2e.tasks_over_http import NEVER_SOON, Json, count, history, post, root, task, until
from workflows.task_schedules import TaskSchedules

__all__ = ["root"]


async def test_a_task_fires_rests_goes_on_and_ends(root: AsyncClient) -> None:
    task_id = await post(root, task({"type": "interval", "every_seconds": 1}, "fires"))
    ran = await until(root, f"/task/{task_id}/history", lambda page: len(page["items"]) >= 2)
    times = [datetime.fromisoformat(item["planned_at"]) for item in ran["items"]]
    assert times == sorted(times, reverse=True)
    assert {at.microsecond for at in times} == {0}
    done = await until(
        root, f"/task/{task_id}/history", lambda page: any(one["outcome"] == "completed" for one in page["items"])
    )
    item = next(one for one in done["items"] if one["outcome"] == "completed")
    run = (await root.get(f"/runs/{item['run_id']}")).json()
    assert (run["workflow"], run["trigger"], run["status"]) == ("count", "schedule", "completed")
    assert datetime.fromisoformat(item["started_at"]) >= datetime.fromisoformat(item["planned_at"])
    paused = (await root.post(f"/task/{task_id}/pause")).json()
    assert (paused["paused"], paused["next"]) == (True, [])
    await until(root, f"/task/{task_id}/history", lambda page: all(o["outcome"] != "running" for o in page["items"]))
    before = await count(root, "fires")
    assert (await root.post(f"/task/{task_id}/trigger")).status_code == 202
    async with asyncio.timeout(30):
        while await count(root, "fires") == before:  # noqa: ASYNC110 - a run counts
            await asyncio.sleep(0.1)
    assert await count(root, "fires") == before + 1, "triggered once, and nothing fires while it rests"
    resumed = (await root.post(f"/task/{task_id}/resume")).json()
    assert (resumed["paused"], len(resumed["next"])) == (False, 10)
    assert (await root.delete(f"/task/{task_id}")).status_code == 204
    assert (await root.get(f"/task/{task_id}")).status_code == 404
    assert item in await history(root, task_id), "what it has run stays"


@pytest.mark.parametrize("jitter", [0, 86_400])
async def test_past_times_are_filled_in_once(root: AsyncClient, jitter: int) -> None:
    body = task({"type": "cron", "cron": "0 */6 * * *"}, "filled", timezone="UTC", policy={"jitter_seconds": jitter})
    task_id = await post(root, body)
    day = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    span = {"from": day.isoformat(), "to": (day + timedelta(hours=18)).isoformat()}
    answer = await root.post(f"/task/{task_id}/backfill", json=span)
    assert answer.status_code == 202, answer.text
    asked = answer.json()["next"]
    assert [datetime.fromisoformat(at) for at in asked] == [day + timedelta(hours=hours) for hours in (0, 6, 12, 18)]
    at_once = await root.post(f"/task/{task_id}/backfill", json=span)
    assert set(at_once.json()["next"]) <= set(asked), "some may have run already"
    done = await until(
        root,
        f"/task/{task_id}/history",
        lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 4,
    )
    assert [datetime.fromisoformat(one["planned_at"]).hour for one in done["items"]] == [18, 12, 6, 0]
    again = await root.post(f"/task/{task_id}/backfill", json={**span, "to": (day + timedelta(days=1)).isoformat()})
    assert again.json()["text"] == "1 run"
    await until(
        root, f"/task/{task_id}/history", lambda page: [o["outcome"] for o in page["items"]] == ["completed"] * 5
    )
    assert await count(root, "filled") == 5
    await root.delete(f"/task/{task_id}")


async def test_what_was_missed_is_executed_once(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task({"type": "cron", "cron": "0 * * * *"}, "pending", timezone="UTC"))
    past = datetime.now(UTC) - timedelta(hours=3)
    async with platform.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == task_id).values(created_at=past, updated_at=past))
    missed = [one for one in await history(root, task_id) if one["outcome"] == "missed"]
    assert len(missed) in {2, 3}
    answer = (await root.post("/task/execute-pending")).json()
    assert answer == {"started": len(missed), "tasks": [task_id]}
    await until(
        root, f"/task/{task_id}/history", lambda page: {one["outcome"] for one in page["items"]} == {"completed"}
    )
    assert (await root.post("/task/execute-pending")).json()["started"] == 0
    assert await count(root, "pending") == len(missed)


@pytest.mark.parametrize("overlap", ["skip", "allow-all"])
async def test_a_run_that_fails_pauses_its_task_where_the_policy_says_so(root: AsyncClient, overlap: str) -> None:
    failing = {"id": "fails", "steps": [step("f", "fail", input={"message": "no"}, retry={"max_attempts": 1})]}
    assert (await root.post("/workflow", json=failing)).status_code == 201
    body = {
        "name": "failing",
        "schedule": {"type": "interval", "every_seconds": 1},
        "target": {"workflow": "fails"},
        "policy": {"pause_on_failure": True, "overlap": overlap},
    }
    task_id = await post(root, body)
    listed = await until(root, "/task/scheduled?paused=true", lambda page: page["items"])
    assert [(one["id"], one["next"]) for one in listed["items"]] == [(task_id, [])]
    shown = await until(root, f"/task/{task_id}", lambda one: one["paused"])
    assert shown["next"] == []
    ran = await history(root, task_id)
    assert {one["outcome"] for one in ran} == {"failed"}
    changed = await root.put(f"/task/{task_id}", json={**body, "name": "renamed"})
    assert changed.status_code == 200
    assert (await root.get(f"/task/{task_id}")).json()["paused"] is True, "another name does not resume it"
    assert (await root.post(f"/task/{task_id}/resume")).json()["paused"] is False
    await until(root, f"/task/{task_id}/history", lambda page: len(page["items"]) > len(ran))
    await root.delete(f"/task/{task_id}")


async def test_a_limit_counts_the_runs_of_the_schedule(root: AsyncClient, platform: Platform) -> None:
    schedule = {"type": "interval", "every_seconds": 1, "max_runs": 2}
    task_id = await post(root, task(schedule, "limited"))
    path = f"/task/{task_id}/history"
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 2)
    assert (await root.get(f"/task/{task_id}")).json()["next"] == []
    assert (await root.post(f"/task/{task_id}/trigger")).status_code == 202
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 3)
    renamed = {**task(schedule, "limited"), "name": "renamed"}
    assert (await root.put(f"/task/{task_id}", json=renamed)).json()["next"] == [], "another name does not count anew"
    assert (await root.get(f"/task/{task_id}")).json()["next"] == []
    await TaskSchedules(platform.temporal).remove(task_id)  # as Temporal does a week after the last run
    assert (await root.get(f"/task/{task_id}")).json()["next"] == [], "as the record says"
    assert (await root.post(f"/task/{task_id}/trigger")).status_code == 202
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 4)
    assert (await root.get(f"/task/{task_id}")).json()["next"] == [], "made again, it is over as before"
    more = task({**schedule, "max_runs": 1}, "limited")
    assert (await root.put(f"/task/{task_id}", json=more)).status_code == 200
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 5)
    assert await count(root, "limited") == 5
    await root.delete(f"/task/{task_id}")


async def test_a_change_while_it_runs_leaves_the_run_and_its_history_as_they_are(root: AsyncClient) -> None:
    waiting = {"id": "waiting", "steps": [{"id": "go", "wait": {"signal": "go"}}]}
    assert (await root.post("/workflow", json=waiting)).status_code == 201
    body = {**task({"type": "interval", "every_seconds": 1}), "target": {"workflow": "waiting"}, "input": {}}
    task_id = await post(root, body)
    path = f"/task/{task_id}/history"
    (run,) = (await until(root, path, lambda page: page["items"]))["items"]
    changed = {**task({"type": "interval", "every_seconds": 1}, "changed"), "policy": {"overlap": "allow-all"}}
    assert (await root.put(f"/task/{task_id}", json=changed)).status_code == 200
    ran = await until(root, path, lambda page: any(one["outcome"] == "completed" for one in page["items"]))
    assert ran["items"][-1] == run
    assert {one["links"]["self"].split("/")[4] for one in ran["items"][:-1]} == {"count"}
    answer = await root.post(f"/workflow/waiting/executions/{run['run_id']}/signals/go", json={"payload": None})
    assert answer.status_code == 202
    await until(root, path, lambda page: page["items"][-1]["outcome"] == "completed")
    await root.delete(f"/task/{task_id}")


@pytest.mark.parametrize("overlap", ["skip", "buffer-one", "buffer-all", "allow-all"])
async def test_each_trigger_runs_once(root: AsyncClient, overlap: str) -> None:
    task_id = await post(root, task(NEVER_SOON, overlap, policy={"overlap": overlap}))
    path = f"/task/{task_id}/trigger"

    async def trigger(key: str) -> Json:
        while (answer := await root.post(path, headers={"Idempotency-Key": key})).status_code == 503:
            pass  # a busy server: under the same key it is asked again, and done once
        assert answer.status_code == 202, answer.text
        return answer.json()

    first = await trigger("first")
    for number in range(2):
        await trigger(f"alone-{number}")
    await asyncio.gather(*(trigger(f"together-{number}") for number in range(3)))
    assert await trigger("first") == first
    done = await until(
        root, f"/task/{task_id}/history", lambda page: [o["outcome"] for o in page["items"]] == ["completed"] * 6
    )
    assert first["planned_at"] in {one["planned_at"] for one in done["items"]}
    assert await count(root, overlap) == 6


@pytest.mark.parametrize("overlap", ["cancel-other", "terminate-other"])
async def test_what_is_filled_in_is_not_ended_by_the_next(root: AsyncClient, overlap: str) -> None:
    schedule = {"type": "interval", "every_seconds": 2}
    task_id = await post(root, task(schedule, overlap, timezone="UTC", policy={"overlap": overlap}))
    span = {"from": "2026-11-01T00:00:00", "to": "2026-11-01T00:00:06"}
    assert (await root.post(f"/task/{task_id}/backfill", json=span)).json()["text"] == "4 runs"
    await until(
        root,
        f"/task/{task_id}/history?limit=200",
        lambda page: sum(o["planned_at"] < "2026-11-02" and o["outcome"] == "completed" for o in page["items"]) == 4,
    )
    await root.delete(f"/task/{task_id}")
