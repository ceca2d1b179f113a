"""Metrics of learners and of all."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from services.orchestration.runs import NewRun, open_run
from tests.api.activity import BASE, completed, event, heartbeat, now, read, report
from tests.api.clients import MakeKey, client_of, problem

OWN = [
    "/metrics",
    "/progress",
    "/engagement-score",
    "/learning-path",
    "/trends",
    "/achievements",
    "/export",
    "/badges",
    "/badges/progress",
    "/badges/night-owl/eligibility",
]
"""What is read of one learner."""
CHANGES = [("PUT", "/profile", {"timezone": "UTC"}), ("DELETE", "", None)]
"""What learners change of themselves."""
GLOBAL = ["/global/metrics", "/global/top-performers", "/global/trends", "/cohorts", "/topics", "/badges"]
MORNING = datetime(2025, 1, 6, 10, tzinfo=UTC)
"""A Monday."""


@pytest.fixture
async def service(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("lms", Role.SERVICE)) as client:
        yield client


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


async def top(client: AsyncClient, **parameters: Any) -> list[tuple[int, str]]:
    """Ranks and users of a leaderboard."""
    items = (await read(client, "/global/top-performers", **parameters))["items"]
    return [(one["rank"], one["user_id"]) for one in items]


async def hide(client: AsyncClient, user: str) -> None:
    answer = await client.put(f"{BASE}/user/{user}/profile", json={"timezone": "UTC", "listed": False})
    assert answer.json()["listed"] is False


# Who may read what


def test_no_route_of_a_learner_is_left_out(app: FastAPI) -> None:
    prefix = f"{BASE}/user/{{user_id}}"
    routes = {
        (method, route.path.removeprefix(prefix))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
        if route.path and route.path.startswith(prefix)
    }
    listed = {("GET", path.replace("night-owl", "{badge}")) for path in OWN}
    by_admins = {("POST", "/badges/{badge}")}
    assert routes == listed | {(method, path) for method, path, _ in CHANGES} | by_admins


@pytest.mark.parametrize("path", OWN)
async def test_what_is_of_a_learner_is_for_them_and_admins(
    learner: AsyncClient, bob: AsyncClient, admin: AsyncClient, service: AsyncClient, stranger: AsyncClient, path: str
) -> None:
    await report(admin, completed(1), heartbeat(2))
    address, missing = f"{BASE}/user/ada{path}", f"{BASE}/user/nobody{path}"
    refused = await bob.get(address)
    problem(refused, 404, "not-found")
    assert refused.content == (await bob.get(missing)).content
    assert (await learner.get(address)).status_code == 200
    assert (await admin.get(address)).status_code == 200
    problem(await admin.get(missing), 404, "not-found")
    problem(await stranger.get(address), 401, "unauthorized")
    problem(await service.get(address), 403, "forbidden")


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_what_is_of_a_learner_is_changed_by_them(
    bob: AsyncClient,
    learner: AsyncClient,
    service: AsyncClient,
    stranger: AsyncClient,
    method: str,
    path: str,
    body: Any,
) -> None:
    address = f"{BASE}/user/ada{path}"
    refused = await bob.request(method, address, json=body)
    problem(refused, 404, "not-found")
    assert refused.content == (await bob.request(method, f"{BASE}/user/nobody{path}", json=body)).content
    problem(await stranger.request(method, address, json=body), 401, "unauthorized")
    problem(await service.request(method, address, json=body), 403, "forbidden")
    assert (await learner.request(method, address, json=body)).status_code in {200, 204}


@pytest.mark.parametrize("path", GLOBAL)
async def test_what_is_of_all_is_for_all_with_a_key(
    learner: AsyncClient, service: AsyncClient, admin: AsyncClient, stranger: AsyncClient, path: str
) -> None:
    for client in (learner, service, admin):
        assert (await client.get(BASE + path)).status_code == 200
    problem(await stranger.get(BASE + path), 401, "unauthorized")


@pytest.mark.parametrize("path", OWN)
@pytest.mark.parametrize("user", ["%2e%2e", "a%00b", "a" * 129, "%F0%9F%99%82"])
async def test_no_user_is_named_so(admin: AsyncClient, path: str, user: str) -> None:
    assert (await admin.get(f"{BASE}/user/{user}{path}")).status_code in {404, 422}


async def test_a_user_without_events_has_zeros_and_nulls(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(admin, heartbeat(1, user="bob"))
    assert await read(learner, "/user/ada/metrics") == {
        "timeframe": "all",
        "from": None,
        "to": None,
        "sessions": 0,
        "session_seconds": 0,
        "average_session_seconds": 0,
        "active_days": 0,
        "activities": {},
        "challenges_completed": 0,
        "consistency": 0,
        "streak": {"current": 0, "longest": 0, "frozen_days": 0, "freezes_held": 0},
        "percentile": None,
        "by_day": [],
    }
    score = await read(learner, "/user/ada/engagement-score")
    parts = {"recency": 0, "frequency": 0, "consistency": 0, "performance": 0}
    assert score == {"score": 0, "parts": parts, "formula_version": 1}
    progress = await read(learner, "/user/ada/progress")
    assert (progress["challenges_completed"], progress["level"], progress["topics"]) == (0, None, [])
    assert await read(learner, "/user/ada/learning-path") == {"topics": [], "next": None, "reviews_due": []}
    trend = await read(learner, "/user/ada/trends", metric="score", days=3)
    assert ([day["value"] for day in trend["days"]], trend["slope"]) == ([None] * 3, None)
    for path in ("/badges", "/achievements"):
        assert (await read(learner, f"/user/ada{path}"))["items"] == []


async def test_nothing_of_all_without_events(learner: AsyncClient) -> None:
    found = await read(learner, "/global/metrics")
    assert (found["from"], found["learners"], found["average_score"], found["by_day"]) == (None, 0, None, [])
    assert found["stickiness"] == {"daily": 0, "weekly": 0, "monthly": 0, "ratio": None}
    assert (await read(learner, "/global/top-performers"))["items"] == []
    assert (await read(learner, "/global/top-performers", near="me"))["items"] == []
    assert (await read(learner, "/cohorts"))["items"] == []


# Metrics of one learner


async def test_metrics_of_some_days(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(
        admin,
        heartbeat(1, MORNING, seconds=600),
        heartbeat(2, MORNING + timedelta(minutes=10), seconds=60),
        completed(3, MORNING + timedelta(hours=5)),
        heartbeat(4, MORNING + timedelta(days=5)),
    )
    days = [(MORNING + timedelta(days=number)).date().isoformat() for number in range(-1, 2)]
    found = await read(learner, "/user/ada/metrics", **{"from": days[0], "to": days[-1]})
    assert found.pop("streak").keys() == {"current", "longest", "frozen_days", "freezes_held"}
    nothing = {"sessions": 0, "seconds": 0, "challenges": 0}
    assert found == {
        "timeframe": "custom",
        "from": days[0],
        "to": days[-1],
        "sessions": 2,
        "session_seconds": 1_200,
        "average_session_seconds": 600,
        "active_days": 1,
        "activities": {"challenge.completed": 1, "session.heartbeat": 2},
        "challenges_completed": 1,
        "consistency": 0.3333,
        "percentile": None,
        "by_day": [
            {"date": days[0], **nothing},
            {"date": days[1], "sessions": 2, "seconds": 1_200, "challenges": 1},
            {"date": days[2], **nothing},
        ],
    }


@pytest.mark.parametrize("timeframe", ["day", "week", "month", "all"])
async def test_timeframes_are_calendar_periods_of_the_learner(learner: AsyncClient, timeframe: str) -> None:
    await learner.put(f"{BASE}/user/ada/profile", json={"timezone": "Pacific/Kiritimati"})
    await report(learner, event(1))
    found = await read(learner, "/user/ada/metrics", timeframe=timeframe)
    today = (now() + timedelta(hours=14)).date()
    first, last = date.fromisoformat(found["from"]), date.fromisoformat(found["to"])
    assert found["timeframe"] == timeframe
    assert first <= today <= last
    match timeframe:
        case "week":
            assert (first.weekday(), last - first) == (0, timedelta(days=6))
        case "month":
            assert (first.day, (last + timedelta(days=1)).day) == (1, 1)
        case _:
            assert (first, last) == (today, today)
    assert (found["sessions"], found["active_days"], found["streak"]["current"]) == (1, 1, 1)
    assert len(found["by_day"]) == (last - first).days + 1


@pytest.mark.parametrize("path", ["/user/ada/metrics", "/global/metrics"])
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("timeframe=year", "/query/timeframe"),
        ("timeframe=day&from=2025-01-01", "/query/timeframe"),
        ("from=2025-01-02&to=2025-01-01", "/query/to"),
        ("from=0001-01-01", "/query/from"),
        ("from=2025-13-01", "/query/from"),
        ("to=yesterday", "/query/to"),
    ],
)
async def test_a_period_that_is_none_is_refused(learner: AsyncClient, path: str, query: str, pointer: str) -> None:
    refused = problem(await learner.get(f"{BASE}{path}?{query}"), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["/user/ada/metrics", "/global/metrics"])
async def test_far_days_do_not_list_all_days_between(learner: AsyncClient, path: str) -> None:
    await report(learner, event(1, datetime(1, 2, 3, tzinfo=UTC)), event(2, MORNING))
    for query in ({}, {"to": "9999-12-31"}):
        found = await read(learner, path, **query)
        assert [day["date"] for day in found["by_day"]] == ["0001-02-03", "2025-01-06"]
        assert found["sessions"] == 2


async def test_metrics_are_kept_until_something_changes(learner: AsyncClient, admin: AsyncClient) -> None:
    address = f"{BASE}/user/ada/metrics"
    await report(learner, event(1))
    first = await learner.get(address)
    assert first.headers["cache-control"] == "private, no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    same = await learner.get(address, headers=known)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await learner.get(address, headers={"If-None-Match": '"other"'})).content == first.content
    await report(learner, event(2, MORNING))  # the learner's own
    changed = await learner.get(address, headers=known)
    assert (changed.status_code, changed.json()["activities"]) == (200, {"x-note": 2})
    known = {"If-None-Match": changed.headers["etag"]}
    await report(admin, heartbeat(1, MORNING, user="bob"))  # somebody else's: the learner is not alone now
    compared = await learner.get(address, headers=known)
    assert (changed.json()["percentile"], compared.status_code, compared.json()["percentile"]) == (None, 200, 1.0)
    await learner.put(f"{BASE}/user/ada/profile", json={"timezone": "Pacific/Kiritimati"})
    assert (await learner.get(f"{address}?timeframe=day")).status_code == 200


async def test_percentile_is_the_share_of_others_strictly_below(learner: AsyncClient, admin: AsyncClient) -> None:
    async def percentile(user: str) -> float | None:
        return (await read(admin, f"/user/{user}/metrics"))["percentile"]

    await report(learner, event(1))
    assert await percentile("ada") is None
    long_ago = now() - timedelta(days=10)
    await report(admin, heartbeat(1, user="bob"), heartbeat(2, long_ago, user="eve"))
    assert [await percentile(user) for user in ("ada", "bob", "eve")] == [0.5, 0.5, 0]
    await report(admin, heartbeat(3, long_ago, user="shy"))
    await hide(admin, "shy")
    assert [await percentile(user) for user in ("ada", "eve", "shy")] == [0.666667, 0, 0]


async def test_engagement_score_has_its_parts(learner: AsyncClient, admin: AsyncClient) -> None:
    today = now()
    await report(admin, completed(1, today, score=100), completed(2, today - timedelta(days=9), score=50))
    parts = {"recency": 1, "frequency": 0.1, "consistency": 0.25, "performance": 0.75}
    found = await read(learner, "/user/ada/engagement-score")
    assert found == {"score": 51, "parts": parts, "formula_version": 1}  # 30 + 3 + 6.25 + 11.25 = 50.5


async def test_progress_names_topics_and_languages(learner: AsyncClient, admin: AsyncClient) -> None:
    more = completed(2, MORNING, difficulty="hard", topics=["loops", "Recursion "], language="Go")
    await report(admin, completed(1, MORNING), more)
    found = await read(learner, "/user/ada/progress")
    assert (found["challenges_completed"], found["by_difficulty"]) == (2, {"easy": 1, "hard": 1})
    assert [(one["name"], one["attempts"]) for one in found["topics"]] == [("loops", 2), ("recursion", 1)]
    assert [(one["name"], one["attempts"]) for one in found["languages"]] == [("go", 1), ("python", 1)]
    assert all(0 < one["mastery"] < 1 for one in found["topics"])


async def test_learning_path_follows_the_topics(learner: AsyncClient, admin: AsyncClient) -> None:
    topics: list[dict[str, Any]] = [
        {"id": "recursion", "name": "Recursion", "prerequisites": ["functions"]},
        {"id": "functions", "name": "Functions"},
    ]
    problem(await learner.put(f"{BASE}/topics", json={"topics": topics}), 403, "forbidden")
    assert (await admin.put(f"{BASE}/topics", json={"topics": topics})).status_code == 200
    assert [topic["id"] for topic in (await read(learner, "/topics"))["items"]] == ["functions", "recursion"]
    found = await read(learner, "/user/ada/learning-path")
    assert [(one["topic"], one["state"]) for one in found["topics"]] == [
        ("functions", "ready"),
        ("recursion", "locked"),
    ]
    assert found["next"] == "functions"
    topics[1]["prerequisites"] = ["recursion"]
    refused = problem(await admin.put(f"{BASE}/topics", json={"topics": topics}), 422, "invalid-input")
    assert all(error["pointer"].startswith("/topics") for error in refused["errors"])


# Profile, export, erasure


async def test_learners_set_their_profile(learner: AsyncClient) -> None:
    address = f"{BASE}/user/ada/profile"
    profile = {"timezone": "Europe/Berlin", "locale": "de", "listed": False}
    assert (await learner.put(address, json=profile)).json() == {"user_id": "ada", **profile}
    assert (await read(learner, "/user/ada/export"))["profile"] == {"user_id": "ada", **profile}


async def test_what_a_profile_leaves_out_stays_as_it_is(learner: AsyncClient) -> None:
    address = f"{BASE}/user/ada/profile"
    assert (await learner.put(address, json={"timezone": "UTC"})).json()["listed"] is True
    await learner.put(address, json={"timezone": "UTC", "locale": "de", "listed": False})
    moved = {"user_id": "ada", "timezone": "Asia/Tokyo", "locale": "de", "listed": False}
    assert (await learner.put(address, json={"timezone": "Asia/Tokyo"})).json() == moved
    without = await learner.put(address, json={"timezone": "Asia/Tokyo", "locale": None})
    assert without.json() == {**moved, "locale": None}
    assert (await learner.put(address, json={"timezone": "Asia/Tokyo", "listed": True})).json()["listed"] is True


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"timezone": "Mars/Base"}, "/timezone"),
        ({"timezone": "../etc/passwd"}, "/timezone"),
        ({"timezone": ""}, "/timezone"),
        ({}, "/timezone"),
        ({"timezone": "UTC", "locale": "d"}, "/locale"),
        ({"timezone": "UTC", "listed": "perhaps"}, "/listed"),
        ({"timezone": "UTC", "colour": "red"}, "/colour"),
    ],
)
async def test_a_wrong_profile_is_refused(learner: AsyncClient, body: dict[str, Any], pointer: str) -> None:
    refused = problem(await learner.put(f"{BASE}/user/ada/profile", json=body), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert body.get("timezone") != "Mars/Base" or refused["errors"][0]["code"] == "bad-timezone"


async def test_a_profile_makes_its_user(admin: AsyncClient) -> None:
    problem(await admin.get(f"{BASE}/user/new/metrics"), 404, "not-found")
    await admin.put(f"{BASE}/user/new/profile", json={"timezone": "UTC"})
    assert (await read(admin, "/user/new/metrics"))["sessions"] == 0


async def test_an_export_has_everything(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(admin, completed(1, MORNING))
    found = await read(learner, "/user/ada/export")
    assert [award["badge"] for award in found["awards"]] == ["first-challenge"]
    assert [one["key"] for one in found["achievements"]] == ["badge:first-challenge"]
    [kept] = found["events"]
    assert (kept["id"], kept["source"], kept["at"]) == ("1", "test", "2025-01-06T10:00:00Z")
    assert kept["data"]["challenge_id"] == "1"
    assert (found["progress"]["challenges_completed"], found["engagement"]["formula_version"]) == (1, 1)


async def test_who_erases_themselves_is_gone(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(admin, completed(1, MORNING), heartbeat(2, MORNING, user="bob"))
    assert (await learner.delete(f"{BASE}/user/ada")).status_code == 204
    problem(await learner.get(f"{BASE}/user/ada/metrics"), 401, "unauthorized")
    problem(await admin.get(f"{BASE}/user/ada/metrics"), 404, "not-found")
    assert [user for _, user in await top(admin)] == ["bob"]
    assert (await read(admin, "/user/bob/metrics"))["percentile"] is None
    assert (await read(admin, "/global/metrics"))["challenges_completed"] == 1
    assert "ada" not in (await admin.get("/api/v1/audit")).text


async def test_who_is_erased_while_temporal_is_away_is_told_what_is_left(
    database: AsyncEngine, learner: AsyncClient, admin: AsyncClient
) -> None:
    async with database.begin() as connection:
        caller = Caller(user_id="ada", role=Role.LEARNER)
        await open_run(connection, NewRun("run-1", "greet", 1, caller, "api", {"name": "ada"}, {}))
    answer = await learner.delete(f"{BASE}/user/ada")
    assert (answer.status_code, answer.json()) == (202, {"left": ["temporal"]})
    problem(await admin.get(f"{BASE}/user/ada/metrics"), 404, "not-found")
    async with database.connect() as connection:
        assert (await connection.scalars(text("SELECT run_ids FROM erasures"))).all() == [["run-1"]]


async def test_archived_months_are_for_admins(learner: AsyncClient, admin: AsyncClient) -> None:
    assert (await admin.get(f"{BASE}/archives")).json() == {"items": [], "next_cursor": None}
    problem(await learner.get(f"{BASE}/archives"), 403, "forbidden")


async def test_nobody_erases_an_admin_or_nobody(admin: AsyncClient) -> None:
    problem(await admin.delete(f"{BASE}/user/root"), 409, "is-admin")
    problem(await admin.delete(f"{BASE}/user/nobody"), 404, "not-found")


# All learners


async def test_metrics_of_all(learner: AsyncClient, admin: AsyncClient) -> None:
    await report(
        admin,
        heartbeat(1, MORNING, seconds=600),
        completed(2, MORNING + timedelta(hours=9), score=70),
        completed(3, MORNING, user="bob", score=80),
        heartbeat(4, MORNING + timedelta(days=1), user="bob"),
    )
    found = await read(learner, "/global/metrics", **{"from": "2025-01-05", "to": "2025-01-06"})
    found.pop("stickiness")
    assert found == {
        "timeframe": "custom",
        "from": "2025-01-05",
        "to": "2025-01-06",
        "learners": 2,
        "active_users": 2,
        "sessions": 3,
        "session_seconds": 600,
        "average_session_seconds": 200,
        "challenges_completed": 2,
        "events": 3,
        "average_score": 75,
        "by_day": [
            {"date": "2025-01-05", "active_users": 0, "sessions": 0, "seconds": 0, "challenges": 0},
            {"date": "2025-01-06", "active_users": 2, "sessions": 3, "seconds": 600, "challenges": 2},
        ],
    }


async def test_equal_learners_share_a_rank_and_the_next_is_skipped(learner: AsyncClient, admin: AsyncClient) -> None:
    long_ago = now() - timedelta(days=10)
    await report(learner, event(1))
    await report(admin, heartbeat(1, user="bob"), heartbeat(2, user="shy"), heartbeat(3, long_ago, user="eve"))
    await hide(admin, "shy")
    assert await top(learner) == [(1, "ada"), (1, "bob"), (4, "eve")]
    assert await top(learner, limit=1) == [(1, "ada")]
    assert await top(learner, timeframe="day") == [(1, "ada"), (1, "bob")]
    items = (await read(learner, "/global/top-performers"))["items"]
    assert [one["value"] for one in items[:2]] == [35, 35]  # 30 + 1.5 + 3.125


async def test_a_leaderboard_around_the_caller(app: FastAPI, admin: AsyncClient, make_key: MakeKey) -> None:
    names = ["u1", "u2", "u3", "u4", "u5"]  # u5 has been there on most days
    today = now()
    await report(
        admin,
        *(
            heartbeat(f"{name}-{days}", today - timedelta(days=days), user=name)
            for place, name in enumerate(names)
            for days in range(place + 1)
        ),
    )
    await hide(admin, "u4")
    async with client_of(app, await make_key("u3", Role.LEARNER)) as client:
        assert await top(client) == [(1, "u5"), (3, "u3"), (4, "u2"), (5, "u1")]
        assert await top(client, near="me", limit=3) == [(1, "u5"), (3, "u3"), (4, "u2")]
        assert await top(client, near="me", limit=1) == [(3, "u3")]
    async with client_of(app, await make_key("u4", Role.LEARNER)) as client:  # hidden, but not from themselves
        assert await top(client, near="me", limit=3) == [(1, "u5"), (2, "u4"), (3, "u3")]
    assert await top(admin, near="me") == []


async def test_a_leaderboard_by_completed_challenges(learner: AsyncClient, admin: AsyncClient) -> None:
    today, long_ago = now(), now() - timedelta(days=400)
    await report(
        admin,
        completed(1, today),
        completed(2, today, user="bob"),
        completed(3, today, user="bob"),
        completed(4, today, user="shy"),
        *(completed(f"old{n}", long_ago) for n in range(5)),
        completed(5, long_ago, user="eve"),
    )
    await hide(admin, "shy")
    for timeframe in ("day", "week", "month"):
        assert await top(learner, by="completed", timeframe=timeframe) == [(1, "bob"), (2, "ada")]
    items = (await read(learner, "/global/top-performers", by="completed"))["items"]
    assert [(one["user_id"], one["value"]) for one in items] == [("ada", 6), ("bob", 2), ("eve", 1)]
    assert [one["rank"] for one in items] == [1, 2, 3]
    assert {user for _, user in await top(learner, by="mastery")} == {"ada", "bob", "eve"}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=many", "by=height", "timeframe=year", "near=bob"])
async def test_a_leaderboard_that_is_none_is_refused(learner: AsyncClient, query: str) -> None:
    refused = problem(await learner.get(f"{BASE}/global/top-performers?{query}"), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [f"/query/{query.partition('=')[0]}"]


@pytest.mark.parametrize("path", ["/user/ada/trends", "/global/trends"])
async def test_a_trend_ends_today_and_its_slope_before(learner: AsyncClient, admin: AsyncClient, path: str) -> None:
    today = now()
    counts = {3: 1, 2: 2, 1: 3, 0: 9}  # nine today, which is not over
    events = [
        completed(f"{days}-{n}", today - timedelta(days=days), score=10 * count)
        for days, count in counts.items()
        for n in range(count)
    ]
    await report(admin, *events)
    trend = await read(learner, path, metric="challenges", days=4)
    assert trend == {
        "metric": "challenges",
        "days": [
            {"date": (today - timedelta(days=days)).date().isoformat(), "value": count, "partial": days == 0}
            for days, count in counts.items()
        ],
        "slope": 1,
    }
    scores = await read(learner, path, metric="score", days=5)
    assert ([day["value"] for day in scores["days"]], scores["slope"]) == ([None, 10, 20, 30, 90], 10)
    users = await read(learner, path, metric="active_users", days=5)
    assert [day["value"] for day in users["days"]] == [0, 1, 1, 1, 1]
    assert len((await read(learner, path, days=400))["days"]) == 400


@pytest.mark.parametrize("path", ["/user/ada/trends", "/global/trends"])
@pytest.mark.parametrize("query", ["days=401", "days=0", "days=-1", "days=x", "metric=mood"])
async def test_a_trend_that_is_none_is_refused(learner: AsyncClient, path: str, query: str) -> None:
    refused = problem(await learner.get(f"{BASE}{path}?{query}"), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [f"/query/{query.partition('=')[0]}"]


async def test_cohorts_have_nulls_after_today(learner: AsyncClient, admin: AsyncClient) -> None:
    today = now()
    monday = (today - timedelta(days=today.weekday())).date()
    await report(
        admin,
        heartbeat(1, today - timedelta(days=14)),
        heartbeat(2, today),
        heartbeat(3, today - timedelta(days=14), user="eve"),
        heartbeat(4, today, user="bob"),
        heartbeat(5, today - timedelta(days=70), user="early"),
    )
    found = await read(learner, "/cohorts", by="week", periods=4)
    assert found == {
        "by": "week",
        "items": [
            {
                "period": (monday - timedelta(days=14)).isoformat(),
                "learners": 2,
                "retention": [1, 0, 0.5, None],
            },
            {"period": monday.isoformat(), "learners": 1, "retention": [1, None, None, None]},
        ],
        "next_cursor": None,
    }
    by_month = (await read(learner, "/cohorts", by="month", periods=12))["items"]
    assert sum(cohort["learners"] for cohort in by_month) == 4
    for query in ("periods=0", "periods=61", "by=day"):
        problem(await learner.get(f"{BASE}/cohorts?{query}"), 422, "invalid-input")
