import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from services.analytics.ingest import Ingest
from tests.services.analytics.conftest import GRADER, NOW

Make = Callable[..., dict[str, Any]]
_TABLES = {
    "learners": "SELECT owner_id, events, score, completed, mastery, first_day, last_day, last_at, active, state "
    "FROM learners ORDER BY 1",
    "learner_days": "SELECT * FROM learner_days WHERE events <> 0 OR microseconds <> 0 ORDER BY 1, 2",
    "analytics_days": "SELECT day, sum(events), sum(active), sum(sessions), sum(microseconds), sum(challenges), "
    "sum(score) FROM analytics_days GROUP BY day HAVING sum(events) <> 0 ORDER BY day",
    "awards": """
        SELECT owner_id, badge_id, occurrence, coalesce(latest.awarded_at, awards.awarded_at),
               coalesce(latest.event_id, awards.event_id)
        FROM awards LEFT JOIN LATERAL (SELECT awarded_at, event_id FROM award_changes WHERE award_id = awards.id
                                       ORDER BY award_changes.id DESC LIMIT 1) AS latest ON true ORDER BY 1, 2, 3""",
    "achievements": "SELECT * FROM achievements ORDER BY 1, 2",
    "score_counts": "SELECT place, sum(n) FROM score_counts, unnest(learners) WITH ORDINALITY AS x (n, place) "
    "GROUP BY 1 HAVING sum(n) <> 0 ORDER BY 1",
    "standings": "SELECT * FROM standings ORDER BY 1, 2, 3",
    "learner_checkpoints": "SELECT * FROM learner_checkpoints ORDER BY 1, 2",
}


async def everything(database: AsyncEngine) -> dict[str, list[Any]]:
    async with database.connect() as connection:
        return {name: [*map(tuple, await connection.execute(text(query)))] for name, query in _TABLES.items()}


async def count(database: AsyncEngine, query: str, **parameters: Any) -> int:
    async with database.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {query}"), parameters) or 0)


def a_month_of(completed: Make) -> list[dict[str, Any]]:
    chance = random.Random(7)
    events: list[dict[str, Any]] = []
    for n in range(160):
        at = NOW - timedelta(days=40) + timedelta(minutes=chance.choice((1, 7, 29, 31, 300)) * n)
        user = chance.choice(("ada", "bob"))
        if n % 3:
            languages = ["Go", "python", "Rust", "c", "Zig"]
            event = completed(n, at, user, language=languages[n % 5], score=chance.choice((20, 90, 100)))
        else:
            event = {"id": f"e{n}", "source": "web", "user_id": user, "kind": "session.heartbeat"}
            event |= {"at": at.isoformat(), "data": {"activity": "reading", "duration_seconds": 600}}
        events.append(event)
    return events


async def test_order_duplicates_and_batches_change_no_result(
    database: AsyncEngine, ingest: Ingest, completed: Make
) -> None:
    events = a_month_of(completed)
    result = await ingest.take(enumerate(events), GRADER, NOW)
    assert (result.accepted, result.duplicate, result.refused) == (160, 0, ())
    expected = await everything(database)
    async with database.begin() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute(
            "SET LOCAL session_replication_role = replica; TRUNCATE activity_events, activity_keys, learners, "
            "learner_checkpoints, learner_days, analytics_days, score_counts, standings, awards, award_changes, "
            "achievements, outbox, outbox_subjects"
        )
    chance = random.Random(8)
    delivered = events * 3
    chance.shuffle(delivered)
    accepted = 0
    while delivered:
        size = chance.choice((1, 2, 5, 40))
        batch, delivered = delivered[:size], delivered[size:]
        accepted += (await ingest.take(enumerate(batch), GRADER, NOW)).accepted
    assert accepted == len(events)
    found = await everything(database)
    for name, rows in expected.items():
        assert found[name] == rows, name


async def test_late_event_costs_what_follows_its_checkpoint(
    database: AsyncEngine, ingest: Ingest, completed: Make
) -> None:
    """Ada's first events are not even there any more: what was known after them is."""
    events = sorted(a_month_of(completed), key=lambda event: event["at"])
    histories = {
        user: [{**event, "id": f"{user}-{n:03}", "user_id": user} for n, event in enumerate(events)]
        for user in ("ada", "bob")
    }
    await ingest.take(enumerate(histories["bob"]), GRADER, NOW)
    late = random.Random(5).sample(histories["ada"][75:], 12)
    in_time = [event for event in histories["ada"] if event not in late]
    await ingest.take(enumerate(in_time), GRADER, NOW)
    async with database.begin() as connection:
        await connection.execute(text("DELETE FROM activity_events WHERE owner_id = 'ada' AND id < 'ada-060'"))
    for event in late:
        assert (await ingest.take([(0, event)], GRADER, NOW)).accepted == 1
    found = await everything(database)
    for name in ("learners", "learner_days", "awards", "achievements", "standings", "learner_checkpoints"):
        of_ada, of_bob = (
            [[str(value).replace(user, "") for value in row] for row in found[name] if user in row]
            for user in ("ada", "bob")
        )
        assert of_ada == of_bob, name
    kept = [row[1] for row in found["learner_checkpoints"] if row[0] == "ada"]
    assert kept == [60, 80, 100, 120, 140, 160], "dense only behind the last event"


async def test_parallel_completions_at_a_threshold_give_one_award_and_one_event(
    database: AsyncEngine, ingest: Ingest, completed: Make
) -> None:
    """The hundredth of a thousand."""
    events = [completed(n, NOW - timedelta(seconds=n)) for n in range(1_000)]
    chance = random.Random(3)
    chance.shuffle(events)
    parts = [events[n : n + 10] for n in range(0, 1_000, 10)]
    results = await asyncio.gather(*(ingest.take(enumerate(part), GRADER, NOW) for part in parts))
    assert sum(result.accepted for result in results) == 1_000
    assert await count(database, "awards WHERE badge_id = 'code-master'") == 1
    query = "outbox WHERE type = 'analytics.badge-awarded' AND data ->> 'badge' = 'code-master'"
    assert await count(database, query) == 1
    async with database.connect() as connection:
        qualifying = await connection.scalar(
            text("""SELECT coalesce(latest.event_id, awards.event_id) FROM awards LEFT JOIN LATERAL (
                SELECT event_id FROM award_changes WHERE award_id = awards.id ORDER BY award_changes.id DESC LIMIT 1
            ) AS latest ON true WHERE badge_id = 'code-master'""")
        )
    assert qualifying == "e900"


async def test_change_of_zone_never_rewrites_the_past(database: AsyncEngine, ingest: Ingest, completed: Make) -> None:
    late = datetime.fromisoformat("2026-11-20T23:30:00+00:00")
    await ingest.take([(0, completed(1, late))], GRADER, NOW)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE users SET timezone = 'Asia/Tokyo' WHERE id = 'ada'"))
    await ingest.take([(0, completed(2, late + timedelta(minutes=1)))], GRADER, NOW)
    async with database.connect() as connection:
        days = (await connection.execute(text("SELECT day, challenges FROM learner_days ORDER BY 1"))).all()
    assert [(str(day), number) for day, number in days] == [("2026-11-20", 1), ("2026-11-21", 1)]


async def test_learners_own_report_does_not_use_up_a_graders_name(ingest: Ingest, completed: Make) -> None:
    own = {
        "id": "e1",
        "source": "grader",
        "kind": "session.heartbeat",
        "at": NOW.isoformat(),
        "data": {"activity": "x"},
    }
    learner = Caller(user_id="ada", role=Role.LEARNER)
    assert (await ingest.take([(0, own)], learner, NOW)).accepted == 1
    assert (await ingest.take([(0, completed(1, NOW))], GRADER, NOW)).accepted == 1
    assert (await ingest.take([(0, own), (1, own)], learner, NOW)).duplicate == 2
