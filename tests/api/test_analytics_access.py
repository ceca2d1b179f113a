"""Who may read what, and what the answers look like."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI

from models.identity import Role
from tests.api.clients import MakeKey, client_of, problem

OWN = [
    "/metrics",
    "/progress",
    "/engagement-score",
    "/learning-path",
    "/badges",
    "/badges/progress",
    "/badges/night-owl/eligibility",
    "/trends",
    "/achievements",
    "/export",
]
GLOBAL = ["/global/metrics", "/global/top-performers", "/global/trends", "/badges", "/cohorts", "/topics"]
BASE = "/api/v1/analytics"
NOW = datetime.now(UTC)


def heartbeat(number: int, at: datetime = NOW, **parts: Any) -> dict[str, Any]:
    event = {"id": f"h{number}", "source": "web", "kind": "session.heartbeat", "at": at.isoformat()}
    return {**event, "data": {"activity": "coding"}, **parts}


@pytest.mark.parametrize("path", OWN)
async def test_learners_see_themselves_admins_everybody(app: FastAPI, make_key: MakeKey, path: str) -> None:
    ada, bob = await make_key("ada", Role.LEARNER), await make_key("bob", Role.LEARNER)
    admin, service = await make_key("root", Role.ADMIN), await make_key("lms", Role.SERVICE)
    address = f"{BASE}/user/ada{path}"
    async with client_of(app) as nobody:
        problem(await nobody.get(address), 401, "unauthorized")
    async with client_of(app, bob) as client:
        refused = await client.get(address)
        problem(refused, 404, "not-found")
        assert refused.content == (await client.get(f"{BASE}/user/stranger{path}")).content
    async with client_of(app, service) as client:
        problem(await client.get(address), 403, "forbidden")
    for key in (ada, admin):
        async with client_of(app, key) as client:
            assert (await client.get(address)).status_code == 200
    async with client_of(app, admin) as client:
        problem(await client.get(f"{BASE}/user/stranger{path}"), 404, "not-found")


@pytest.mark.parametrize("path", GLOBAL)
@pytest.mark.parametrize("role", [Role.LEARNER, Role.SERVICE, Role.ADMIN])
async def test_what_is_global_is_open_to_any_key(app: FastAPI, make_key: MakeKey, path: str, role: Role) -> None:
    async with client_of(app, await make_key("someone", role)) as client:
        assert (await client.get(BASE + path)).status_code == 200
    async with client_of(app) as nobody:
        problem(await nobody.get(BASE + path), 401, "unauthorized")


async def test_user_without_events_has_zeros_and_nulls(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, await make_key("ada", Role.LEARNER)) as client:
        found = (await client.get(f"{BASE}/user/ada/metrics")).json()
        assert found["streak"] == {"current": 0, "longest": 0, "frozen_days": 0, "freezes_held": 0}
        assert (found["sessions"], found["percentile"], found["from"], found["by_day"]) == (0, None, None, [])
        assert (await client.get(f"{BASE}/user/ada/engagement-score")).json()["score"] == 0


async def test_events_are_taken_one_by_one_and_refused_with_reasons(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, await make_key("ada", Role.LEARNER)) as client:
        posted = [
            heartbeat(1),
            heartbeat(1),
            heartbeat(2, user_id="bob"),
            heartbeat(3, NOW + timedelta(days=2)),
            heartbeat(4, kind="challenge.completed"),
            7,
        ]
        answer = (await client.post(f"{BASE}/events", json=posted)).json()
        assert (answer["accepted"], answer["duplicate"]) == (1, 1)
        refused = [(one["index"], one["code"]) for one in answer["refused"]]
        assert refused == [(2, "forbidden"), (3, "future"), (4, "forbidden"), (5, "invalid-input")]
        lines = b'{"id": "n1", "kind": "x-note", "at": "2026-01-01T00:00:00Z"}\nnonsense\n'
        kind = {"Content-Type": "application/x-ndjson"}
        answer = (await client.post(f"{BASE}/events", content=lines, headers=kind)).json()
        assert (answer["accepted"], [one["code"] for one in answer["refused"]]) == (1, ["unreadable"])
        problem(await client.post(f"{BASE}/events", content=b"no", headers=kind), 422, "invalid-input")
        problem(await client.post(f"{BASE}/events", json=[heartbeat(n) for n in range(1_001)]), 422, "invalid-input")
        other = {"Content-Type": "text/csv"}
        assert (await client.post(f"{BASE}/events", content=b"a", headers=other)).status_code == 415


async def test_kept_answer_is_never_older_than_what_was_committed(app: FastAPI, make_key: MakeKey) -> None:
    ada, admin = await make_key("ada", Role.LEARNER), await make_key("root", Role.ADMIN)
    async with client_of(app, ada) as client, client_of(app, admin) as other:
        address = f"{BASE}/user/ada/metrics?timeframe=all"
        await client.post(f"{BASE}/events", json=heartbeat(1))
        first = await client.get(address)
        assert (first.json()["sessions"], first.json()["percentile"]) == (1, None)
        assert (await client.get(address, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
        await other.post(f"{BASE}/events", json=heartbeat(1, NOW - timedelta(days=30), user_id="bob"))
        second = await client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (second.status_code, second.json()["percentile"]) == (200, 1.0)
        await client.post(f"{BASE}/events", json=heartbeat(2, NOW - timedelta(hours=5)))
        assert (await client.get(address)).json()["sessions"] == 2


async def test_leaderboard_shares_ranks_and_hides_who_is_not_listed(app: FastAPI, make_key: MakeKey) -> None:
    await make_key("hidden", Role.LEARNER)
    async with client_of(app, await make_key("root", Role.ADMIN)) as client:
        users = {"ada": 1, "bob": 1, "hidden": 2, "eve": 0}
        posted = [
            heartbeat(n, NOW - timedelta(days=n, hours=200 * (user == "eve")), user_id=user) | {"id": f"{user}{n}"}
            for user, days in users.items()
            for n in range(days + 1)
        ]
        assert (await client.post(f"{BASE}/events", json=posted)).json()["accepted"] == 8
        profile = {"timezone": "UTC", "listed": False}
        assert (await client.put(f"{BASE}/user/hidden/profile", json=profile)).status_code == 200
        items = (await client.get(f"{BASE}/global/top-performers")).json()["items"]
        assert [(one["rank"], one["user_id"]) for one in items] == [(2, "ada"), (2, "bob"), (4, "eve")]
        answer = await client.put(f"{BASE}/user/ada/profile", json={"timezone": "Mars/Base"})
        assert problem(answer, 422, "invalid-input")["errors"][0]["code"] == "bad-timezone"


async def test_badge_is_awarded_by_hand_revoked_and_awarded_again(app: FastAPI, make_key: MakeKey) -> None:
    await make_key("ada", Role.LEARNER)
    async with client_of(app, await make_key("root", Role.ADMIN)) as client:
        address = f"{BASE}/user/ada/badges/code-master"
        award = await client.post(address, json={"reason": "talk"})
        assert award.status_code == 201, award.text
        problem(await client.post(address), 409, "already-awarded")
        award_id = award.json()["award_id"]
        credential = await client.get(f"{BASE}/awards/{award_id}/credential")
        assert credential.text.count(".") == 2
        where = f"{BASE}/awards/{award_id}"
        assert (await client.request("DELETE", where, json={})).status_code == 422
        assert (await client.request("DELETE", where, json={"reason": "copied"})).status_code == 204
        problem(await client.request("DELETE", where, json={"reason": "copied"}), 409, "already-revoked")
        assert (await client.post(address)).status_code == 201
        items = (await client.get(f"{BASE}/user/ada/badges")).json()["items"]
        assert [(one["revoked"], one["reason"]) for one in items] == [(True, "copied"), (False, None)]
        problem(await client.post(f"{BASE}/user/ada/badges/nothing"), 404, "not-found")
    async with client_of(app) as nobody:
        assert (await nobody.get(f"{BASE}/badges-status")).status_code == 200
        assert (await nobody.get(f"{BASE}/badges-keys")).json()["keys"]


async def test_trends_and_cohorts_know_what_is_not_over(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, await make_key("ada", Role.LEARNER)) as client:
        await client.post(f"{BASE}/events", json=[heartbeat(n, NOW - timedelta(days=n)) for n in range(3)])
        trend = (await client.get(f"{BASE}/user/ada/trends?metric=active_users&days=4")).json()
        assert [day["value"] for day in trend["days"]] == [0, 1, 1, 1]
        assert [day["partial"] for day in trend["days"]] == [False, False, False, True]
        problem(await client.get(f"{BASE}/global/trends?days=401"), 422, "invalid-input")
        cohorts = (await client.get(f"{BASE}/cohorts?by=month&periods=2")).json()["items"]
        assert sum(cohort["learners"] for cohort in cohorts) == 1
        assert all(len(cohort["retention"]) == 2 for cohort in cohorts)
