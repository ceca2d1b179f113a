"""Who may ask what of tasks, and what is wrong with what was asked."""

from datetime import UTC, datetime, timedelta

from httpx2 import AsyncClient
from sqlalchemy import select, update

from models.identity import Role
from models.persistence.tables import runs, users
from models.persistence.tables import tasks as table
from tests.e2e.conftest import Platform, step
from tests.e2e.tasks_over_http import NEVER_SOON, Json, history, post, root, task, until
from workflows.task_schedules import TaskSchedules

__all__ = ["root"]


A_DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


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
    as_is = await root.post("/task/preview", json={**asked, "policy": {"dst": "as-is"}})
    assert as_is.json()["next"] == ["2027-03-13T02:30:00-05:00", "2027-03-15T02:30:00-04:00"], "as the task would fire"
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
        assert (await ann.post(f"/task/{task_id}/backfill", json=A_DAY)).status_code == 404
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


async def test_a_smaller_key_starts_nothing_with_a_larger_role(root: AsyncClient, platform: Platform) -> None:
    task_id = await post(root, task(NEVER_SOON))
    async with await platform.client("root", Role.LEARNER) as small:
        for what, body in (("trigger", None), ("backfill", A_DAY), ("resume", None)):
            answer = await small.post(f"/task/{task_id}/{what}", json=body)
            assert answer.status_code == 403, (what, answer.text)
        assert (await small.post(f"/task/{task_id}/pause")).status_code == 200
    assert await history(root, task_id) == []


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
