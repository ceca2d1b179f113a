"""The rows of learners: locked by whoever is about to change what is known of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.analytics.activities import day_number, day_of, moment
from services.analytics.changes import LearnerChange
from services.analytics.engagement import engagement
from services.analytics.mastery import mastery
from services.analytics.scores import today_in
from services.analytics.timeline import Known, from_state, to_state

_LOCK_LEARNERS = text("""
    SELECT learners.owner_id, learners.state, learners.score, learners.score_day, users.timezone
    FROM learners JOIN users ON users.id = learners.owner_id
    WHERE learners.owner_id = ANY(CAST(:owners AS text[])) ORDER BY learners.owner_id FOR UPDATE OF learners
""")
_NEW_USERS = text("""
    WITH made AS (
        INSERT INTO users (id, role) SELECT id, 'learner' FROM unnest(CAST(:owners AS text[])) AS id ORDER BY id
        ON CONFLICT DO NOTHING RETURNING id
    )
    INSERT INTO audit (actor_id, action, target, detail)
    SELECT :actor, 'user.create', 'user/' || id, '{"role": "learner"}' FROM made
""")
_NEW_LEARNERS = text("""
    INSERT INTO learners (owner_id) SELECT id FROM unnest(CAST(:owners AS text[])) AS id ORDER BY id
    ON CONFLICT DO NOTHING
""")
_UPDATE_LEARNERS = text("""
    UPDATE learners SET version = version + 1, events = new.events, score = new.score, score_day = new.score_day,
        completed = new.completed, mastery = new.mastery, first_day = new.first_day, last_day = new.last_day,
        last_at = new.last_at, utc_offset = new.utc_offset, active = new.active, performance = new.performance,
        state = new.state
    FROM unnest(CAST(:owner_id AS text[]), CAST(:events AS bigint[]), CAST(:score AS smallint[]),
                CAST(:score_day AS date[]), CAST(:completed AS integer[]), CAST(:mastery AS double precision[]),
                CAST(:first_day AS date[]), CAST(:last_day AS date[]), CAST(:last_at AS timestamptz[]),
                CAST(:utc_offset AS integer[]), CAST(:active AS bigint[]), CAST(:performance AS double precision[]),
                CAST(:state AS text[]))
         AS new (owner_id, events, score, score_day, completed, mastery, first_day, last_day, last_at, utc_offset,
                 active, performance, state)
    WHERE learners.owner_id = new.owner_id
""")


async def lock_learners(connection: AsyncConnection, owners: Sequence[str]) -> dict[str, Any]:
    """The rows of those who are known, locked."""
    return {row.owner_id: row for row in await connection.execute(_LOCK_LEARNERS, {"owners": owners})}


async def make_learners(connection: AsyncConnection, owners: Sequence[str], actor_id: str) -> dict[str, Any]:
    """The rows of those who are new, made and locked. After `lock_learners`, so that nobody waits in a circle."""
    await connection.execute(_NEW_USERS, {"owners": owners, "actor": actor_id})
    await connection.execute(_NEW_LEARNERS, {"owners": owners})
    return await lock_learners(connection, owners)


def change_of(row: Any) -> LearnerChange:
    """What is about to change of a locked learner."""
    known = from_state(row.state)
    score = None if row.score_day is None else row.score
    return LearnerChange(row.owner_id, known, score, row.timezone, known.rules_version)


async def update_learners(
    connection: AsyncConnection, changes: Sequence[LearnerChange], now: datetime
) -> list[tuple[int | None, int | None]]:
    """Write what is known; the scores before and now, for `add_counts`."""
    rows = [_row(change, now) for change in changes]
    await connection.execute(_UPDATE_LEARNERS, {name: [row[name] for row in rows] for name in rows[0]})
    return [(change.score, row["score"]) for change, row in zip(changes, rows, strict=True)]


def columns(known: Known) -> dict[str, Any]:
    """What is kept beside the state, for those who look for learners."""
    assert known.last is not None  # noqa: S101 - there is an event
    return {
        "events": known.events,
        "completed": known.challenges,
        "mastery": mastery(known.overall.rating) if known.overall.attempts else 0.0,
        "first_day": day_of(known.first_day),
        "last_day": day_of(known.last_day),
        "last_at": moment(known.last.at),
        "utc_offset": known.offset,
        "active": known.active,
        "performance": known.performance,
    }


def score_on(known: Known, day: date) -> int:
    """The engagement score on a local day."""
    return engagement(known.last_day, known.active, known.performance, day_number(day)).score


def _row(change: LearnerChange, now: datetime) -> dict[str, Any]:
    known = change.known
    today = today_in(now, change.zone, known.offset)
    score = {"owner_id": change.owner_id, "score": score_on(known, today), "score_day": today}
    return {**score, **columns(known), "state": to_state(known)}
