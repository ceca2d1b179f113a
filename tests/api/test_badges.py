"""Badges: what there is, who holds them, and who gives and takes them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.analytics_oracle import BADGES as TWELVE  # by the contract, not by our table
from cli.platform import save_platform_definitions
from models.identity import Role
from tests.api.activity import BASE, completed, event, read, report
from tests.api.clients import MakeKey, client_of, problem

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)
HUNTER = {
    "id": "bug-hunter",
    "name": "Bug hunter",
    "rule": {"kinds": ["x-bug"], "aggregate": "count", "threshold": 2},
}


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


@pytest.fixture
async def _platform(database: AsyncEngine) -> None:
    await save_platform_definitions(database)


async def held(client: AsyncClient, user: str = "ada") -> list[tuple[str, bool]]:
    """Badges in the order they were earned, and whether each is revoked."""
    items = (await read(client, f"/user/{user}/badges"))["items"]
    return [(award["badge"], award["revoked"]) for award in items]


async def give(admin: AsyncClient, badge: str, user: str = "ada", **body: Any) -> Response:
    return await admin.post(f"{BASE}/user/{user}/badges/{badge}", json=body)


async def revoke(admin: AsyncClient, award_id: str, **body: Any) -> Response:
    return await admin.request("DELETE", f"{BASE}/awards/{award_id}", json=body or {"reason": "copied"})


async def award_of(client: AsyncClient, badge: str) -> dict[str, Any]:
    """The latest award of a badge that ada has."""
    items = (await read(client, "/user/ada/badges"))["items"]
    return [award for award in items if award["badge"] == badge][-1]


async def test_there_are_twelve_badges_with_their_rules(learner: AsyncClient) -> None:
    items = (await read(learner, "/badges"))["items"]
    assert [badge["id"] for badge in items] == TWELVE
    assert all(badge["name"] and badge["description"] and badge["rule"]["aggregate"] for badge in items)
    assert not any(badge["custom"] for badge in items)


async def test_an_event_earns_a_badge_once_dated_by_the_event(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(admin, completed(1, NOON), completed(2, NOON + timedelta(days=1)))
    assert await held(learner) == [("first-challenge", False)]
    award = await award_of(learner, "first-challenge")
    assert (award["awarded_at"], award["event_id"]) == ("2025-06-02T12:00:00Z", "1")
    await report(admin, completed(0, NOON - timedelta(days=1)))  # comes late, and was first
    again = await award_of(learner, "first-challenge")
    assert (again["awarded_at"], again["event_id"]) == ("2025-06-01T12:00:00Z", "0")
    assert again["award_id"] == award["award_id"]


async def test_admins_award_and_revoke_by_hand(learner: AsyncClient, admin: AsyncClient) -> None:
    given = await give(admin, "code-master", reason="talk", at="2025-01-01T00:00:00+01:00")
    award = given.json()
    assert given.status_code == 201
    assert (award["badge"], award["event_id"], award["reason"]) == ("code-master", None, "talk")
    assert award["awarded_at"] == "2024-12-31T23:00:00Z"
    problem(await give(admin, "code-master"), 409, "already-awarded")
    refused = problem(await revoke(admin, award["award_id"], reason=""), 422, "invalid-input")
    assert refused["errors"][0]["pointer"] == "/reason"
    without = problem(await revoke(admin, award["award_id"], why="?"), 422, "invalid-input")
    assert ("/reason", "missing-field") in {(error["pointer"], error["code"]) for error in without["errors"]}
    assert (await revoke(admin, award["award_id"])).status_code == 204
    problem(await revoke(admin, award["award_id"]), 409, "already-revoked")
    assert (await give(admin, "code-master")).status_code == 201
    assert sorted(await held(learner)) == [("code-master", False), ("code-master", True)]
    audited = [entry["action"] for entry in (await admin.get("/api/v1/audit")).json()["items"]]
    assert audited[:3] == ["badge.award", "badge.revoke", "badge.award"]


async def test_what_is_not_there_cannot_be_given_or_revoked(learner: AsyncClient, admin: AsyncClient) -> None:
    assert learner
    problem(await give(admin, "no-such-badge"), 404, "not-found")
    problem(await give(admin, "code-master", user="nobody"), 404, "not-found")
    problem(await revoke(admin, "00000000-0000-7000-8000-000000000000"), 404, "not-found")
    problem(await revoke(admin, "nonsense"), 404, "not-found")
    problem(await admin.get(f"{BASE}/user/ada/badges/no-such-badge/eligibility"), 404, "not-found")


async def test_learners_neither_give_nor_revoke_nor_make_badges(learner: AsyncClient, admin: AsyncClient) -> None:
    award = (await give(admin, "code-master")).json()
    problem(await give(learner, "night-owl"), 403, "forbidden")
    problem(await revoke(learner, award["award_id"]), 403, "forbidden")
    problem(await learner.post(f"{BASE}/badges", json=HUNTER), 403, "forbidden")


async def test_a_revoked_badge_comes_back_by_hand_only(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(admin, completed(1, NOON))
    await revoke(admin, (await award_of(learner, "first-challenge"))["award_id"])
    await report(admin, completed(2, NOON + timedelta(days=1)))
    await report(admin, completed(0, NOON - timedelta(days=1)))  # folds the history again
    assert await held(learner) == [("first-challenge", True)]
    assert (await give(admin, "first-challenge")).status_code == 201
    assert await held(learner) == [("first-challenge", True), ("first-challenge", False)]


async def test_a_badge_given_by_hand_is_not_earned_beside_it(learner: AsyncClient, admin: AsyncClient) -> None:
    await give(admin, "first-challenge")
    await report(admin, completed(1, NOON))
    assert await held(learner) == [("first-challenge", False)]


async def test_a_badge_given_by_hand_and_revoked_is_not_earned_by_itself(
    learner: AsyncClient, admin: AsyncClient
) -> None:
    award = (await give(admin, "first-challenge")).json()
    await revoke(admin, award["award_id"])
    await report(admin, completed(1, NOON))
    assert await held(learner) == [("first-challenge", True)]


async def test_giving_is_repeatable_with_a_key(admin: AsyncClient, learner: AsyncClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await admin.post(f"{BASE}/user/ada/badges/night-owl", json={}, headers=headers)
    again = await admin.post(f"{BASE}/user/ada/badges/night-owl", json={}, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert await held(learner) == [("night-owl", False)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE awards SET badge_id = 'code-master'",
        "UPDATE awards SET awarded_at = now()",
        "UPDATE awards SET owner_id = 'root'",
        "DELETE FROM awards",
        "TRUNCATE awards CASCADE",
        "UPDATE award_changes SET reason = 'other'",
        "DELETE FROM award_changes",
        "TRUNCATE award_changes",
    ],
)
async def test_awards_are_immutable_in_the_database(
    learner: AsyncClient, admin: AsyncClient, database: AsyncEngine, statement: str
) -> None:
    await revoke(admin, (await give(admin, "night-owl")).json()["award_id"])
    with pytest.raises(DBAPIError):
        async with database.begin() as connection:
            await connection.execute(text(statement))
    assert await held(learner) == [("night-owl", True)]


async def test_what_is_given_by_hand_is_told(admin: AsyncClient, learner: AsyncClient, database: AsyncEngine) -> None:
    award = (await give(admin, "night-owl")).json()
    async with database.connect() as connection:
        rows = (await connection.execute(text("SELECT type, data FROM outbox WHERE subject = 'user/ada'"))).all()
    assert {row.type for row in rows} == {"analytics.badge-awarded", "analytics.achievement-unlocked"}
    assert {row.data.get("award_id") for row in rows} == {award["award_id"], None}
    [achievement] = (await read(learner, "/user/ada/achievements"))["items"]
    assert (achievement["key"], achievement["kind"]) == ("badge:night-owl", "badge")


async def test_progress_of_a_learner_halfway(learner: AsyncClient, admin: AsyncClient) -> None:
    languages = ("python", "Rust", "go", "go")
    await report(admin, *(completed(n, NOON + timedelta(days=n), language=it) for n, it in enumerate(languages)))
    items = (await read(learner, "/user/ada/badges/progress"))["items"]
    found = {item["badge"]: item for item in items}
    assert [item["badge"] for item in items] == TWELVE
    polyglot = {"current": 3, "target": 5, "ratio": 0.6, "earned": False, "missing": "2 more different ones"}
    assert found["language-polyglot"] == {"badge": "language-polyglot", **polyglot}
    first = {"current": 1, "target": 1, "ratio": 1, "earned": True, "missing": ""}
    assert found["first-challenge"] == {"badge": "first-challenge", **first}
    assert (found["challenge-streak-7"]["current"], found["challenge-streak-7"]["ratio"]) == (4, 0.5714)
    assert (found["night-owl"]["current"], found["night-owl"]["earned"]) == (0, False)
    assert found["night-owl"]["missing"]


async def test_eligibility_is_about_the_events(learner: AsyncClient, admin: AsyncClient) -> None:
    path = "/user/ada/badges/first-challenge/eligibility"
    before = await read(learner, path)
    assert (before["eligible"], before["awarded"], before["current"]) == (False, False, 0)
    await give(admin, "first-challenge")
    by_hand = await read(learner, path)
    assert (by_hand["eligible"], by_hand["awarded"]) == (False, True)
    await report(admin, completed(1, NOON))
    await revoke(admin, (await award_of(learner, "first-challenge"))["award_id"])
    after = await read(learner, path)
    assert (after["eligible"], after["awarded"], after["ratio"], after["missing"]) == (True, False, 1, "")


@pytest.mark.usefixtures("_platform")
async def test_a_custom_badge_is_listed_and_earned(learner: AsyncClient, admin: AsyncClient) -> None:
    made = await admin.post(f"{BASE}/badges", json=HUNTER)
    assert made.status_code == 201, made.text
    assert (made.json()["custom"], made.json()["version"]) == (True, 1)
    items = (await read(learner, "/badges"))["items"]
    assert [badge["id"] for badge in items] == [*TWELVE, "bug-hunter"]
    assert items[-1] == made.json()
    await report(learner, event(1, kind="x-bug"))
    progress = (await read(learner, "/user/ada/badges/progress"))["items"][-1]
    assert (progress["badge"], progress["ratio"]) == ("bug-hunter", 0.5)
    await report(learner, event(2, kind="x-bug"))
    assert await held(learner) == [("bug-hunter", False)]


@pytest.mark.usefixtures("_platform")
async def test_a_custom_badge_counts_what_was_before_it(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(learner, event(1, NOON, kind="x-bug"), event(2, NOON + timedelta(hours=1), kind="x-bug"))
    await admin.post(f"{BASE}/badges", json=HUNTER)
    assert await held(learner) == []
    await report(learner, event(3))
    assert (await award_of(learner, "bug-hunter"))["awarded_at"] == "2025-06-02T13:00:00Z"


@pytest.mark.usefixtures("_platform")
async def test_a_custom_badge_starts_its_back_fill(admin: AsyncClient, database: AsyncEngine) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await admin.post(f"{BASE}/badges", json=HUNTER, headers=headers)
    again = await admin.post(f"{BASE}/badges", json=HUNTER, headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    problem(await admin.post(f"{BASE}/badges", json=HUNTER), 409, "badge-exists")
    problem(await admin.post(f"{BASE}/badges", json={**HUNTER, "name": "Other"}), 409, "badge-exists")
    async with database.connect() as connection:
        runs = list(await connection.scalars(text("SELECT definition_id FROM runs")))
    assert runs == ["tooloo-analytics-back-fill-badges"]


@pytest.mark.usefixtures("_platform")
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"id": "progress"}, "/id"),
        ({"id": "night-owl"}, "/id"),
        ({"id": "Bug Hunter"}, "/id"),
        ({"name": ""}, "/name"),
        ({"colour": "red"}, "/colour"),
        ({"rule": {"aggregate": "median"}}, "/rule/aggregate"),
        ({"rule": {}}, "/rule/aggregate"),
        ({"rule": {"aggregate": "distinct"}}, "/rule"),
        ({"rule": {"aggregate": "count", "field": "data.score"}}, "/rule"),
        ({"rule": {"aggregate": "sliding", "threshold": 2}}, "/rule"),
        ({"rule": {"aggregate": "count", "threshold": 0}}, "/rule/threshold"),
        ({"rule": {"aggregate": "count", "threshold": 1.5}}, "/rule"),
        ({"rule": {"aggregate": "max", "field": "__class__"}}, "/rule/field"),
        ({"rule": {"aggregate": "count", "kinds": ["x-a", "coffee"]}}, "/rule/kinds/1"),
        ({"rule": {"aggregate": "count", "where": [{"field": "data.a", "op": "in", "value": 1}]}}, "/rule/where/0"),
        (
            {"rule": {"aggregate": "count", "where": [{"field": "data.a", "op": "like", "value": 1}]}},
            "/rule/where/0/op",
        ),
    ],
)
async def test_a_badge_with_a_bad_rule_is_refused(admin: AsyncClient, change: dict[str, Any], pointer: str) -> None:
    refused = problem(await admin.post(f"{BASE}/badges", json={**HUNTER, **change}), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert len((await read(admin, "/badges"))["items"]) == len(TWELVE)


async def test_credentials_are_for_their_owner(
    learner: AsyncClient, bob: AsyncClient, admin: AsyncClient, stranger: AsyncClient
) -> None:
    award = (await give(admin, "night-owl")).json()
    address = f"{BASE}/awards/{award['award_id']}/credential"
    for client in (learner, admin):
        answer = await client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/vc+jwt")
        assert answer.text.count(".") == 2
    missing = await bob.get(f"{BASE}/awards/00000000-0000-7000-8000-000000000000/credential")
    refused = await bob.get(address)
    problem(refused, 404, "not-found")
    assert refused.content == missing.content
    problem(await stranger.get(address), 401, "unauthorized")


async def test_whoever_verifies_a_credential_needs_no_key(stranger: AsyncClient) -> None:
    status = await stranger.get(f"{BASE}/badges-status")
    assert (status.status_code, status.text.count(".")) == (200, 2)
    assert (await stranger.get(f"{BASE}/badges-keys")).json()["keys"]


async def test_a_badge_by_the_clock_goes_by_local_time(admin: AsyncClient, learner: AsyncClient) -> None:
    await learner.put(f"{BASE}/user/ada/profile", json={"timezone": "America/New_York"})
    await report(admin, completed(1, datetime(2025, 6, 2, 11, 59, 59, tzinfo=UTC)))  # 07:59:59 in New York
    assert sorted(await held(learner)) == [("early-bird", False), ("first-challenge", False)]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2125-01-01T00:00:00Z"])
async def test_a_badge_is_given_at_a_time_that_has_been(admin: AsyncClient, learner: AsyncClient, at: str) -> None:
    refused = problem(await give(admin, "night-owl", at=at), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == ["/at"]
    assert await held(learner) == []
