"""Posting activity events."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from json import dumps
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Role
from tests.api.activity import EVENTS, completed, event, heartbeat, now, read, report
from tests.api.clients import MakeKey, client_of, problem

LINES = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
async def grader(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("grader", Role.SERVICE)) as client:
        yield client


async def refusals(client: AsyncClient, *events: Any) -> list[dict[str, Any]]:
    """Why events are refused, all of them."""
    answer = (await client.post(EVENTS, json=list(events))).json()
    assert (answer["accepted"], answer["duplicate"]) == (0, 0)
    assert [one["index"] for one in answer["refused"]] == list(range(len(events)))
    return answer["refused"]


async def test_one_event_is_taken_for_the_caller(learner: AsyncClient) -> None:
    posted = {"id": "1", "kind": "x-note", "at": now().isoformat()}
    answer = await learner.post(EVENTS, json=posted)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicate": 0, "refused": []})
    [kept] = (await read(learner, "/user/ada/export"))["events"]
    assert (kept["id"], kept["source"], kept["kind"], kept["data"], kept["self_reported"]) == (
        "1",
        "api",
        "x-note",
        {},
        True,
    )


async def test_a_list_is_taken_and_duplicates_are_counted(learner: AsyncClient) -> None:
    posted = [event(1), event(2), event(1)]
    first, again = await learner.post(EVENTS, json=posted), await learner.post(EVENTS, json=[*posted, event(3)])
    assert first.json() == {"accepted": 2, "duplicate": 1, "refused": []}
    assert again.json() == {"accepted": 1, "duplicate": 3, "refused": []}
    assert (await read(learner, "/user/ada/metrics"))["activities"] == {"x-note": 3}


async def test_an_empty_list_is_nothing(learner: AsyncClient) -> None:
    assert (await learner.post(EVENTS, json=[])).json() == {"accepted": 0, "duplicate": 0, "refused": []}


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/jsonl", "application/x-ndjson; charset=a"])
async def test_lines_are_taken_beside_one_that_cannot_be_read(learner: AsyncClient, media_type: str) -> None:
    body = f"{dumps(event(1))}\n\n{{nonsense\r\n{dumps(event(2))}\n7\n"
    answer = (await learner.post(EVENTS, content=body, headers={"Content-Type": media_type})).json()
    assert (answer["accepted"], answer["duplicate"]) == (2, 0)
    assert [(one["index"], one["code"]) for one in answer["refused"]] == [(1, "unreadable"), (3, "invalid-input")]
    assert all(one["message"] for one in answer["refused"])


async def test_a_thousand_are_taken_at_once_and_not_more(learner: AsyncClient) -> None:
    many = [event(number) for number in range(1_001)]
    problem(await learner.post(EVENTS, json=many), 422, "invalid-input")
    lines = "\n".join(map(dumps, many))
    refused = problem(await learner.post(EVENTS, content=lines, headers=LINES), 422, "invalid-input")
    assert refused["errors"][0]["code"] == "too-large"
    await report(learner, *many[:1_000])


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"nonsense", "application/json"),
        (b"", "application/json"),
        (b"7", "application/json"),
        (b"null", "application/json"),
        (b'"event"', "application/json"),
        (b'{"id": 1, "id": 2}', "application/json"),
        (b"[NaN]", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"nonsense\nmore of it", "application/x-ndjson"),
        (b"\xff\xfe", "application/x-ndjson"),
    ],
)
async def test_what_cannot_be_read_at_all_is_refused(learner: AsyncClient, body: bytes, media_type: str) -> None:
    answer = await learner.post(EVENTS, content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 422
    assert problem(answer, 422, answer.json()["code"])["errors"]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/csv"}, {"Content-Type": "application/xml"}])
async def test_other_media_types_are_not_read(learner: AsyncClient, headers: dict[str, str]) -> None:
    answer = await learner.post(EVENTS, content=dumps(event(1)), headers=headers)
    problem(answer, 415, "unsupported-media-type")


async def test_nobody_reports_without_a_key(stranger: AsyncClient) -> None:
    problem(await stranger.post(EVENTS, json=event(1)), 401, "unauthorized")


async def test_learners_report_their_own_and_do_not_grade(learner: AsyncClient, grader: AsyncClient) -> None:
    await report(grader, event("bob1", user_id="bob"))
    [graded, others, strangers] = await refusals(
        learner, completed(1), heartbeat(2, user="bob"), heartbeat(3, user="nobody-knows")
    )
    assert (graded["code"], others["code"]) == ("forbidden", "forbidden")
    assert "completed" in graded["message"]
    assert "own" in others["message"]
    assert {**others, "index": 0} == {**strangers, "index": 0}  # who exists is not told
    assert (await read(learner, "/user/ada/metrics"))["challenges_completed"] == 0


async def test_one_refused_event_does_not_hold_up_the_others(learner: AsyncClient) -> None:
    answer = (await learner.post(EVENTS, json=[event(1), completed(2), event(3)])).json()
    assert (answer["accepted"], [one["index"] for one in answer["refused"]]) == (2, [1])


async def test_a_service_says_whose_event_it_is(grader: AsyncClient, admin: AsyncClient) -> None:
    [refused] = await refusals(grader, event(1))
    assert refused["code"] == "missing-field"
    await report(grader, completed(1, user="new-here"))
    found = await read(admin, "/user/new-here/metrics")
    assert (found["challenges_completed"], found["activities"]) == (1, {"challenge.completed": 1})


async def test_a_learners_own_id_does_not_use_up_a_graders(learner: AsyncClient, grader: AsyncClient) -> None:
    await report(learner, event("attempt-1"))
    await report(grader, completed("attempt-1"))
    assert (await read(learner, "/user/ada/metrics"))["challenges_completed"] == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"at": (now() + timedelta(days=1)).isoformat()}, "future"),
        ({"at": "0001-01-01T00:00:00Z"}, "bad-time"),
        ({"at": "2025-01-01T00:00:00"}, "invalid-input"),
        ({"at": "yesterday"}, "invalid-input"),
        ({"kind": "coffee"}, "invalid-input"),
        ({"kind": "x-"}, "invalid-input"),
        ({"id": ""}, "invalid-input"),
        ({"id": "a\nb"}, "invalid-input"),
        ({"user_id": "../ada"}, "invalid-input"),
        ({"colour": "red"}, "unknown-field"),
        ({"data": {"text": "x" * 20_000}}, "too-large"),
        ({"data": 7}, "invalid-input"),
        ({"kind": "session.heartbeat"}, "missing-field"),
        ({"kind": "session.heartbeat", "data": {"activity": "a", "duration_seconds": -1}}, "invalid-input"),
        ({"kind": "session.heartbeat", "data": {"activity": "a", "duration_seconds": 1e9}}, "invalid-input"),
        ({"kind": "topic.studied", "data": {"topic": "a", "more": 1}}, "unknown-field"),
        ({"kind": "provider.used", "data": {"provider": ["a"]}}, "invalid-input"),
    ],
)
async def test_what_is_wrong_with_an_event_is_told(learner: AsyncClient, change: dict[str, Any], code: str) -> None:
    [refused] = await refusals(learner, {**event(1), **change})
    assert refused["code"] == code
    assert refused["message"]


@pytest.mark.parametrize(
    "change",
    [{"score": 101}, {"score": -1}, {"difficulty": "absurd"}, {"topics": "loops"}, {"started_at": "2999-01-01T00:00Z"}],
)
async def test_a_wrong_grade_is_refused(grader: AsyncClient, change: dict[str, Any]) -> None:
    [refused] = await refusals(grader, completed(1, **change))
    assert next(iter(change)) in refused["message"]


async def test_any_past_and_a_clock_a_little_ahead_are_taken(learner: AsyncClient) -> None:
    old = datetime(1903, 2, 3, tzinfo=UTC)
    await report(learner, event(1, old), event(2, now() + timedelta(minutes=4)))
    assert (await read(learner, "/user/ada/metrics", **{"from": "1903-02-01", "to": "1903-02-28"}))["active_days"] == 1


async def test_the_local_day_is_that_of_the_profile_else_of_the_event(learner: AsyncClient) -> None:
    await report(learner, event(1, datetime.fromisoformat("2025-03-01T22:00:00-05:00")))
    await learner.put("/api/v1/analytics/user/ada/profile", json={"timezone": "Asia/Tokyo"})
    await report(learner, event(2, datetime.fromisoformat("2025-03-10T22:00:00-05:00")))
    await learner.put("/api/v1/analytics/user/ada/profile", json={"timezone": "UTC"})  # what was, stays
    found = await read(learner, "/user/ada/metrics", **{"from": "2025-03-01", "to": "2025-03-31"})
    assert [day["date"] for day in found["by_day"] if day["sessions"]] == ["2025-03-01", "2025-03-11"]


async def test_what_follows_from_events_is_told(grader: AsyncClient, database: AsyncEngine) -> None:
    await report(grader, completed(1))
    async with database.connect() as connection:
        rows = (
            await connection.execute(text("SELECT * FROM outbox WHERE subject = 'user/ada' ORDER BY sequence"))
        ).all()
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert {row.type for row in rows} == {
        "analytics.engagement-tracked",
        "analytics.progress-updated",
        "analytics.badge-progress",
        "analytics.badge-awarded",
        "analytics.achievement-unlocked",
    }
    told = Counter((row.type, row.data.get("badge") or row.data.get("key")) for row in rows)
    assert told["analytics.badge-awarded", "first-challenge"] == 1
    assert told["analytics.achievement-unlocked", "badge:first-challenge"] == 1
    assert told["analytics.badge-progress", "language-polyglot"] == 1
    await grader.post(EVENTS, json=completed(1))
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM outbox WHERE subject = 'user/ada'")) == len(rows)
