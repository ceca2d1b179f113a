"""Tasks on the real server: they fire, pause, are triggered, filled in, changed and deleted."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import AsyncClient
from sqlalchemy import delete, select, text, update
from temporalio.service import RPCError

from models.identity import Caller, Role
from models.persistence.tables import audit, runs, task_runs, users
from models.persistence.tables import tasks as table
from services.schedules import tasks
from tests.e2e.conftest import Platform, step
from workflows.task_schedules import TaskSchedules

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


@pytest.mark.parametrize("jitter", [0, 86_400])
async def test_past_times_are_filled_in_once(root: AsyncClient, jitter: int) -> None:
    body = task({"type": "cron", "cron": "0 */6 * * *"}, "filled", timezone="UTC", policy={"jitter_seconds": jitter})
    task_id = await post(root, body)
    day = (datetime.now(UTC) - timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    span = {"from": day.isoformat(), "to": (day + timedelta(hours=18)).isoformat()}
    for _ in range(2):
        answer = await root.post(f"/task/{task_id}/backfill", json=span)
        assert answer.status_code == 202, answer.text
        assert [datetime.fromisoformat(at) for at in answer.json()["next"]] == [
            day + timedelta(hours=hours) for hours in (0, 6, 12, 18)
        ]
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


YESTERDAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
BOUNDS = {"start": "2030-01-01T00:00:00Z", "end": "2029-01-01T00:00:00Z"}
WRONG: list[tuple[Json, list[tuple[str, str]]]] = [
    (task({"type": "cron", "cron": "0 9 * *"}), [("/schedule/cron", "bad-cron")]),
    (task({"type": "cron", "cron": "0 0 31 2 *"}), [("/schedule/cron", "bad-cron")]),
    (task({"type": "interval", "every_seconds": 0}), [("/schedule/every_seconds", "greater-than-equal")]),
    (task({"type": "interval", "every_seconds": 0.001}), [("/schedule/every_seconds", "type-mismatch")]),
    # a million times a day
    (task({"type": "interval", "every_seconds": 0.0864}), [("/schedule/every_seconds", "type-mismatch")]),
    (task({"type": "cron", "cron": "*/0.06 * * * *"}), [("/schedule/cron", "bad-cron")]),
    (task(NEVER_SOON, timezone="Mars/Phobos"), [("/timezone", "unknown-timezone")]),
    (task(NEVER_SOON, timezone="US/Pacific-New"), [("/timezone", "unknown-timezone")]),
    (task({**NEVER_SOON, **BOUNDS}), [("/schedule/end", "end-before-start")]),
    (task({"type": "once", "at": "2020-01-01T00:00:00Z"}), [("/schedule/at", "never-fires")]),
    ({**task(NEVER_SOON), "target": {"workflow": "nothing"}}, [("/target/workflow", "unknown-workflow")]),
    ({**task(NEVER_SOON), "target": {"action": "no.thing"}}, [("/target/action", "unknown-action")]),
    ({**task(NEVER_SOON), "target": {"intent": "search"}}, [("/target/intent", "not-supported-yet")]),
    ({**task(NEVER_SOON), "target": {}}, [("/target", "bad-target")]),
    ({**task(NEVER_SOON), "input": {}}, [("/input/key", "missing-field")]),
    # all at once
    ({**task({"type": "hourly"}), "timezone": "", "policy": {"jitter_seconds": -1}},
     [("/schedule/type", "bad-type"), ("/timezone", "unknown-timezone"),
      ("/policy/jitter_seconds", "greater-than-equal")]),
    ({**task({"type": "once", "at": "2020-01-01T00:00:00Z"}), "input": {}},
     [("/schedule/at", "never-fires"), ("/input/key", "missing-field")]),
]  # fmt: skip


async def test_what_is_wrong_is_told_and_nothing_is_kept(root: AsyncClient, platform: Platform) -> None:
    schedules = TaskSchedules(platform.temporal)
    others = {other async for other, _ in schedules.paused()}
    task_id = await post(root, task(NEVER_SOON))
    before = (await root.get(f"/task/{task_id}")).json()
    for body, expected in WRONG:
        for answer in (await root.post("/task/schedule", json=body), await root.put(f"/task/{task_id}", json=body)):
            assert answer.status_code == 422, (expected, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == expected
            assert all(error["message"] for error in answer.json()["errors"])
    assert (await root.get(f"/task/{task_id}")).json() == before
    assert [one["id"] for one in (await root.get("/task/scheduled")).json()["items"]] == [task_id]
    async with platform.database.connect() as connection:
        assert (await connection.scalars(select(table.c.id))).all() == [task_id]
    assert {other async for other, _ in schedules.paused()} <= {task_id, *others}


async def test_a_preview_begins_where_it_is_asked_to_and_keeps_nothing(root: AsyncClient, platform: Platform) -> None:
    asked = {"schedule": NEVER_SOON, "timezone": "America/New_York", "from": "2027-03-13T02:30:00", "count": 2}
    answer = await root.post("/task/preview", json=asked)
    assert answer.json() == {
        "next": ["2027-03-13T02:30:00-05:00", "2027-03-14T03:00:00-04:00"],
        "text": "every day at 02:30, America/New_York",
    }
    for wrong in ({"count": 1_000_000}, {"count": 0}, {"from": "9999-01-01T00:00:00Z"}, {"timezone": "X/Y"}):
        refused = await root.post("/task/preview", json={**asked, **wrong})
        (field,) = wrong
        assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{field}"], refused.text
    async with platform.database.connect() as connection:
        assert (await connection.execute(select(table))).all() == []


async def test_a_backfill_names_what_is_wrong_with_its_span(root: AsyncClient) -> None:
    task_id = await post(root, task({"type": "cron", "cron": "* * * * *"}, timezone="UTC"))
    now = datetime.now(UTC)
    for begin, end, code in (
        (now - timedelta(hours=1), now - timedelta(hours=2), "end-before-start"),
        (now, now + timedelta(hours=1), "in-future"),
        (now - timedelta(days=30), now, "too-large"),
        (now - timedelta(days=367), now - timedelta(days=367), "too-old"),
    ):
        span = {"from": begin.isoformat(), "to": end.isoformat()}
        answer = await root.post(f"/task/{task_id}/backfill", json=span)
        field = "/from" if code == "too-old" else "/to"
        assert [(error["pointer"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]
    none = await root.post(
        f"/task/{task_id}/backfill", json={"from": "2026-01-01T00:00:01", "to": "2026-01-01T00:00:59"}
    )
    assert (none.status_code, none.json()) == (202, {"next": [], "text": "0 runs"})
    await root.delete(f"/task/{task_id}")


async def test_tasks_are_their_owner_s(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON, timezone="America/New_York"))
    async with await platform.client("ann", Role.AUTHOR) as ann, await platform.client("ada", Role.LEARNER) as ada:
        assert (await ada.post("/task/schedule", json=task(NEVER_SOON))).status_code == 403
        assert (await ann.post(f"/task/{task_id}/backfill", json=YESTERDAY)).status_code == 404
        for client in (ann, ada):
            assert (await client.get("/task/scheduled")).json()["items"] == []
            for asked in ("GET ", "DELETE ", "POST /pause", "POST /trigger", "GET /history"):
                method, path = asked.split(" ")
                answer = await client.request(method, f"/task/{task_id}{path}")
                assert answer.status_code == 404, (asked, answer.text)
            assert (await client.put(f"/task/{task_id}", json=task(NEVER_SOON))).status_code in {403, 404}
            assert (await client.post("/task/execute-pending")).status_code == 403
    assert (await root.delete("/workflow/count")).json()["code"] == "scheduled"
    (shown,) = (await root.get("/task/scheduled", params={"name": "TASK"})).json()["items"]
    assert (shown["id"], shown["text"], shown["timezone"]) == (task_id, shown["text"], "America/New_York")
    assert (await root.get("/task/scheduled", params={"name": "other"})).json()["items"] == []
    changed = await root.put(f"/task/{task_id}", json={**task({"type": "daily", "at": "03:00"}), "name": "renamed"})
    assert changed.status_code == 200, changed.text
    assert (await root.get(f"/task/{task_id}")).json()["name"] == "renamed"
    assert (await root.delete(f"/task/{task_id}")).status_code == 204
    assert (await root.delete("/workflow/count")).status_code == 204


async def test_what_was_recorded_and_not_told_is_told_later(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    schedules = TaskSchedules(platform.temporal)
    await schedules.remove(task_id)  # as if the process had ended between the record and the telling
    async with platform.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == task_id).values(told_revision=0))
    run = (await root.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})).json()
    assert run["output"]["told"] == 1, run
    assert len((await root.get(f"/task/{task_id}")).json()["next"]) == 10
    async with platform.database.begin() as connection:
        await tasks.delete_task(connection, Caller(user_id="root", role=Role.ADMIN), task_id)
    await root.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
    with pytest.raises(RPCError):
        await platform.temporal.get_schedule_handle(f"task-{task_id}").describe()


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


async def reconcile(client: AsyncClient) -> Json:
    answer = await client.post("/actions/orchestration.reconcile-runs/execute?wait=60", json={"input": {}})
    return answer.json()["output"]


async def told_long_ago(platform: Platform) -> None:
    """What was told of late may not be in Temporal's list yet, and is not compared with it."""
    async with platform.database.begin() as connection:
        await connection.execute(update(table).values(told_at=datetime.now(UTC) - timedelta(minutes=2)))


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


async def test_what_is_paused_in_temporal_is_taken_over(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    handle = platform.temporal.get_schedule_handle(f"task-{task_id}")
    await handle.pause(note="by an operator")
    assert (await root.get(f"/task/{task_id}")).json()["paused"] is True
    changed = {**task(NEVER_SOON), "name": "renamed"}
    assert (await root.put(f"/task/{task_id}", json=changed)).status_code == 200
    assert (await handle.describe()).schedule.state.note == "by an operator"
    for paused in (True, False, True):
        await told_long_ago(platform)
        async with asyncio.timeout(30):
            while (await reconcile(root))["mended"] == 0:  # noqa: ASYNC110 - Temporal's list is a little late
                await asyncio.sleep(0.1)
        listed = (await root.get("/task/scheduled", params={"paused": paused})).json()["items"]
        assert [(one["id"], one["paused"]) for one in listed] == [(task_id, paused)]
        await (handle.unpause() if paused else handle.pause())
    async with platform.database.connect() as connection:
        trail = await connection.execute(select(audit.c.action, audit.c.actor_id).order_by(audit.c.id))
        assert [tuple(row) for row in trail if row.action in {"task.pause", "task.resume"}] == [
            ("task.pause", "tooloo-system"),
            ("task.resume", "tooloo-system"),
            ("task.pause", "tooloo-system"),
        ]


async def test_schedules_that_are_gone_are_made_again_and_strangers_are_removed(
    root: AsyncClient, platform: Platform
) -> None:
    task_id = await post(root, task({**NEVER_SOON, "max_runs": 3}))
    stranger = await post(root, task(NEVER_SOON))
    schedules = TaskSchedules(platform.temporal)
    await schedules.remove(task_id)
    async with platform.database.begin() as connection:
        await connection.execute(delete(table).where(table.c.id == stranger))  # as from an older backup
    await told_long_ago(platform)
    mended = 0
    async with asyncio.timeout(30):
        while mended < 2:  # Temporal's list is a little late
            mended += (await reconcile(root))["mended"]
    described = await platform.temporal.get_schedule_handle(f"task-{task_id}").describe()
    assert described.schedule.state.remaining_actions == 3
    assert await schedules.is_paused(stranger) is None


async def test_a_limit_counts_the_runs_of_the_schedule(root: AsyncClient, platform: Platform) -> None:
    schedule = {"type": "interval", "every_seconds": 1, "max_runs": 2}
    task_id = await post(root, task(schedule, "limited"))
    path = f"/task/{task_id}/history"
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 2)
    assert (await root.get(f"/task/{task_id}")).json()["next"] == []
    assert (await root.post(f"/task/{task_id}/trigger")).status_code == 202
    await until(root, path, lambda page: [one["outcome"] for one in page["items"]] == ["completed"] * 3)
    renamed = {**task(schedule, "limited"), "name": "renamed"}
    assert (await root.put(f"/task/{task_id}", json=renamed)).status_code == 200
    assert (await root.get(f"/task/{task_id}")).json()["next"] == [], "another name does not count anew"
    await TaskSchedules(platform.temporal).remove(task_id)  # as Temporal does a week after the last run
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


async def test_a_task_never_runs_with_a_larger_role_than_it_was_scheduled_with(
    root: AsyncClient, platform: Platform
) -> None:
    async with await platform.client("ann", Role.AUTHOR) as ann:
        everybody = {"id": "count-all", "steps": [step("c", "count", input={"key": "roles"})]}
        assert (await ann.post("/workflow", json=everybody)).status_code == 201
        schedule = {"type": "interval", "every_seconds": 1}
        task_id = await post(ann, {"name": "ann's", "schedule": schedule, "target": {"workflow": "count-all"}})
        async with platform.database.begin() as connection:
            await connection.execute(update(users).where(users.c.id == "ann").values(role="admin"))
        ran = await until(ann, f"/task/{task_id}/history", lambda page: page["items"])
        async with platform.database.connect() as connection:
            role = await connection.scalar(select(runs.c.role).where(runs.c.run_id == ran["items"][0]["run_id"]))
        assert role == "author"
        renamed = {"name": "by root", "schedule": schedule, "target": {"workflow": "count-all"}}
        assert (await root.put(f"/task/{task_id}", json=renamed)).status_code == 200
        shown = (await ann.get(f"/task/{task_id}")).json()
        assert (shown["owner_id"], shown["name"]) == ("ann", "by root")
        await ann.delete(f"/task/{task_id}")


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


async def test_a_smaller_key_starts_nothing_with_a_larger_role(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    async with await platform.client("root", Role.LEARNER) as small:
        for what, body in (("trigger", None), ("backfill", YESTERDAY), ("resume", None)):
            answer = await small.post(f"/task/{task_id}/{what}", json=body)
            assert answer.status_code == 403, (what, answer.text)
        assert (await small.post(f"/task/{task_id}/pause")).status_code == 200
    assert await history(root, task_id) == []


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


async def test_what_was_due_before_temporal_was_told_runs_when_it_is(root: AsyncClient, platform: Platform) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    task_id = await post(root, task({"type": "once", "at": at.isoformat()}, "late"))
    await TaskSchedules(platform.temporal).remove(task_id)  # as if the process had ended before the telling
    async with platform.database.begin() as connection:
        await connection.execute(update(table).where(table.c.id == task_id).values(told_revision=0))
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds() + 0.1)
    assert (await reconcile(root))["told"] == 1
    ran = await until(root, f"/task/{task_id}/history", lambda page: page["items"])
    assert [datetime.fromisoformat(one["planned_at"]) for one in ran["items"]] == [at]


async def test_a_task_whose_zone_was_retired_harms_no_other(root: AsyncClient, platform: Platform) -> None:
    retired = await post(root, task(NEVER_SOON))
    other = await post(root, task(NEVER_SOON))
    async with platform.database.begin() as connection:
        await connection.execute(update(table).values(told_revision=0))
        lost = update(table).where(table.c.id == retired).values(timezone="US/Pacific-New")
        await connection.execute(lost)
    assert (await reconcile(root))["told"] == 1
    shown = (await root.get("/task/scheduled")).json()["items"]
    assert [(one["id"], one["timezone"]) for one in shown] == [(other, "UTC"), (retired, "US/Pacific-New")]
    assert (await root.post("/task/execute-pending")).json()["started"] == 0
    refused = await root.post(f"/task/{retired}/trigger")
    assert (refused.status_code, refused.json()["code"]) == (409, "retired-timezone")
    assert (await root.put(f"/task/{retired}", json=task(NEVER_SOON, timezone="UTC"))).status_code == 200


async def test_a_run_that_its_task_is_still_to_start_is_not_lost(root: AsyncClient, platform: Platform) -> None:
    waiting = {"id": "waiting", "steps": [{"id": "go", "wait": {"signal": "go"}}]}
    assert (await root.post("/workflow", json=waiting)).status_code == 201
    task_id = await post(root, {**task(NEVER_SOON), "target": {"workflow": "waiting"}})
    await root.post(f"/task/{task_id}/trigger")
    (run,) = (await until(root, f"/task/{task_id}/history", lambda page: page["items"]))["items"]
    unborn = str(uuid4())  # recorded by the same execution, whose child has not begun
    async with platform.database.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO runs
                    (run_id, definition_id, version, owner_id, role, status, trigger, input, labels, started_at)
                SELECT :new, definition_id, version, owner_id, role, status, trigger, input, labels,
                       now() - interval '1 minute'
                FROM runs WHERE run_id = :old
            """),
            {"new": unborn, "old": run["run_id"]},
        )
        await connection.execute(update(task_runs).values(run_id=unborn))
    assert (await reconcile(root))["closed"] == 0
    async with platform.database.begin() as connection:
        await connection.execute(update(task_runs).values(run_id=run["run_id"]))
    assert (await reconcile(root))["closed"] == 1
    await root.post(f"/workflow/waiting/executions/{run['run_id']}/signals/go", json={"payload": None})
