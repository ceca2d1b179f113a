"""Analytics through the platform: who may do what in a workflow, and what a new badge sets off."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from models.analytics import ACTIONS
from models.identity import Role
from services.analytics.erasure import erase_user
from tests.e2e.conftest import Platform
from workflows.client import describe_run

NOW = datetime.now(UTC)


def completed(user: str, number: int, at: datetime) -> dict[str, Any]:
    data = {"challenge_id": f"c{number}", "language": "go", "difficulty": "hard", "topics": [], "score": 70}
    event = {"id": f"{user}-{number}", "source": "grader", "user_id": user, "kind": "challenge.completed"}
    return {**event, "at": at.isoformat(), "data": {**data, "started_at": (at - timedelta(hours=1)).isoformat()}}


async def execute(client: AsyncClient, action: str, action_input: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(
        f"/actions/analytics.{action}/execute", json={"input": action_input}, params={"wait": 60}
    )
    return answer.json()


async def run_as(learner: AsyncClient, admin: AsyncClient, action: str, action_input: dict[str, Any]) -> dict[str, Any]:
    """A learner's run of an admin's workflow, to its end."""
    step = {"id": "do", "service": "analytics", "action": action, "input": action_input}
    definition: dict[str, Any] = {"id": "do", "name": "Do", "access": {"execute": ["learner"]}, "steps": [step]}
    answer = await admin.post("/workflow", json=definition)
    assert answer.is_success, answer.text
    return (await learner.post("/workflow/do/execute", json={}, params={"wait": 60})).json()


@pytest.fixture
async def bob_has_events(platform: Platform, admin: AsyncClient) -> None:
    answer = await admin.post(
        "/analytics/events", json=[completed("bob", n, NOW - timedelta(days=n)) for n in range(3)]
    )
    assert answer.json()["accepted"] == 3, answer.text


ABOUT_A_LEARNER: dict[str, dict[str, Any]] = {
    "get-user-metrics": {"user_id": "bob"},
    "get-trends": {"user_id": "bob"},
    "check-eligibility": {"user_id": "bob", "badge": "night-owl"},
    "track-engagement": {"user_id": "bob", "activity": "coding"},
    "generate-report": {"learner": {"user_id": "bob"}},
}
FOR_ADMINS: dict[str, dict[str, Any]] = {
    "track-progress": {
        "user_id": "ada",
        "challenge_id": "c1",
        "language": "go",
        "difficulty": "hard",
        "topics": [],
        "score": 70,
        "started_at": NOW.isoformat(),
    },
    "award-badge": {"user_id": "ada", "badge": "code-master"},
    "record-achievement": {"user_id": "ada", "key": "talk", "name": "Gave a talk"},
    "recompute": {},
    "begin-day": {},
    "back-fill-badges": {},
    "try-badge": {"rule": {"kinds": ["challenge.completed"], "aggregate": "count", "threshold": 3}},
    "archive": {},
    "restore-archive": {"month": "2021-03"},
    "finish-erasures": {},
}


def test_no_action_is_left_out() -> None:
    assert {*ABOUT_A_LEARNER, *FOR_ADMINS} == {spec.name for spec in ACTIONS}


def _of_themselves(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _of_themselves(one) for name, one in value.items() if name != "user_id"}
    return value


@pytest.mark.usefixtures("bob_has_events")
@pytest.mark.parametrize("action", ABOUT_A_LEARNER)
async def test_learners_run_neither_reads_nor_changes_another(
    platform: Platform, admin: AsyncClient, action: str
) -> None:
    async with await platform.client("ada", Role.LEARNER) as ada:
        run = await run_as(ada, admin, action, ABOUT_A_LEARNER[action])
        assert run["status"] == "failed", run
        assert run["error"]["code"] in {"not-found", "forbidden"}
        assert "bob" not in str(run["output"])
        own = await run_as(ada, admin, action, _of_themselves(ABOUT_A_LEARNER[action]))
        assert own["status"] == "completed", own


@pytest.mark.parametrize("action", FOR_ADMINS)
async def test_learners_do_nothing_that_is_for_admins(platform: Platform, admin: AsyncClient, action: str) -> None:
    """Neither by themselves nor by a workflow of an admin that they may start."""
    async with await platform.client("ada", Role.LEARNER) as ada:
        answer = await ada.post(f"/actions/analytics.{action}/execute", json={"input": FOR_ADMINS[action]})
        assert answer.status_code == 404
        run = await run_as(ada, admin, action, FOR_ADMINS[action])
        assert (run["status"], run["error"]["code"]) == ("failed", "forbidden")
        assert (await ada.get("/analytics/user/ada/badges")).json()["items"] == []
        assert (await ada.get("/analytics/user/ada/achievements")).json()["items"] == []


@pytest.mark.usefixtures("bob_has_events")
async def test_new_badge_reaches_those_who_have_earned_it(platform: Platform, admin: AsyncClient) -> None:
    rule = {"kinds": ["challenge.completed"], "aggregate": "count", "threshold": 3}
    tried = await execute(admin, "try-badge", {"rule": rule})
    assert (tried["output"]["learners"], list(tried["output"]["examples"])) == (1, ["bob"])
    answer = await admin.post("/analytics/badges", json={"id": "three", "name": "Three", "rule": rule})
    assert answer.status_code == 201, answer.text
    runs = (await admin.get("/workflow/tooloo-analytics-back-fill-badges/executions")).json()["items"]
    assert len(runs) == 1
    again = await execute(admin, "back-fill-badges", {})
    assert again["status"] == "completed"
    held = (await admin.get("/analytics/user/bob/badges")).json()["items"]
    assert [award["event_id"] for award in held if award["badge"] == "three"] == ["bob-0"]


@pytest.mark.usefixtures("bob_has_events")
async def test_admins_actions_work_and_are_done_once(platform: Platform, admin: AsyncClient) -> None:
    order = {"user_id": "bob", "challenge_id": "x", "language": "c", "difficulty": "easy", "topics": ["io"], "score": 9}
    run = await execute(admin, "track-progress", {**order, "started_at": NOW.isoformat()})
    assert (run["status"], run["output"]["accepted"]) == ("completed", True), run
    for new in (True, False):
        run = await execute(admin, "record-achievement", {"user_id": "bob", "key": "talk", "name": "Gave a talk"})
        assert run["output"] == {"key": "talk", "new": new}
    run = await execute(admin, "award-badge", {"user_id": "bob", "badge": "code-master", "reason": "for the talk"})
    assert run["output"]["badge"] == "code-master", run
    audit = await execute(admin, "recompute", {})
    assert (audit["output"]["learners"], audit["output"]["differences_total"]) == (1, 0), audit
    metrics = await execute(admin, "get-user-metrics", {"user_id": "bob", "timeframe": "all"})
    assert metrics["output"]["challenges_completed"] == 4
    keys = [one["key"] for one in (await admin.get("/analytics/user/bob/achievements")).json()["items"]]
    assert {"badge:first-challenge", "badge:code-master", "workflow:talk"} <= set(keys)


async def waiting_run_of(eve: AsyncClient, admin: AsyncClient) -> dict[str, Any]:
    """A run that is under way. Of one that has just ended, Temporal deletes the history half a minute later."""
    step = {"id": "ask", "wait": {"signal": "go"}}
    answer = await admin.post("/workflow", json={"id": "ask", "access": {"execute": ["learner"]}, "steps": [step]})
    assert answer.is_success, answer.text
    return (await eve.post("/workflow/ask/execute", json={"input": {"name": "eve"}})).json()


async def test_erased_persons_runs_are_gone_from_temporal_too(platform: Platform, admin: AsyncClient) -> None:
    async with await platform.client("eve", Role.LEARNER) as eve:
        await eve.post("/analytics/events", json={**completed("eve", 1, NOW), "kind": "x-note", "source": "web"})
        run = await waiting_run_of(eve, admin)
        assert len((await eve.get("/analytics/user/eve/export")).json()["events"]) == 1
        assert (await eve.delete("/analytics/user/eve")).status_code == 204
        assert (await eve.get("/analytics/user/eve/metrics")).status_code == 401
    assert (await admin.get("/analytics/user/eve/metrics")).status_code == 404
    shown = (await admin.get(f"/workflow/{run['workflow']}/executions/{run['run_id']}")).json()
    assert (shown["input"], shown["status"]) == (None, "terminated")
    assert await describe_run(platform.temporal, run["run_id"]) is None
    async with platform.database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM erasures")) == 0


async def test_erasure_that_was_left_is_finished_by_its_action(platform: Platform, admin: AsyncClient) -> None:
    async with await platform.client("eve", Role.LEARNER) as eve:
        run = await waiting_run_of(eve, admin)
    async with platform.database.begin() as connection:
        await erase_user(connection, "eve", "erased-eve", "root")
    done = await execute(admin, "finish-erasures", {})
    assert done["output"] == {"finished": 1, "left": 0}, done
    assert await describe_run(platform.temporal, run["run_id"]) is None


@pytest.mark.usefixtures("bob_has_events")
async def test_old_month_is_archived_read_and_put_back(platform: Platform, admin: AsyncClient) -> None:
    old = datetime(2021, 3, 4, tzinfo=UTC)
    answer = await admin.post("/analytics/events", json=[completed("bob", n, old) for n in range(10, 13)])
    assert answer.json()["accepted"] == 3
    exported = (await admin.get("/analytics/user/bob/export")).json()["events"]
    archived = await execute(admin, "archive", {})
    assert archived["output"] == {"months": {"2021-03": 3}}, archived
    (month,) = (await admin.get("/analytics/archives")).json()["items"]
    assert (month["month"], month["rows"]) == ("2021-03", 3)
    late = await admin.post("/analytics/events", json=completed("bob", 13, old - timedelta(hours=1)))
    assert late.json()["accepted"] == 1
    assert (await execute(admin, "recompute", {}))["output"]["differences_total"] == 0
    restored = await execute(admin, "restore-archive", {"month": "2021-03"})
    assert restored["output"]["rows"] == 3, restored
    assert (await admin.get("/analytics/archives")).json()["items"] == []
    events = (await admin.get("/analytics/user/bob/export")).json()["events"]
    assert [event for event in events if event["id"] != "bob-13"] == exported
    assert (await execute(admin, "archive", {}))["output"] == {"months": {}}
    again = await execute(admin, "restore-archive", {"month": "2021-03"})
    assert (again["status"], again["error"]["code"]) == ("failed", "not-found")
