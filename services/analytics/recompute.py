"""What is known of learners, made again from their events: to audit it, to repair it, and for new badges."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.analytics.activities import Activity, day_number, day_of, moment
from services.analytics.awarding import give_awards, keep_achievements
from services.analytics.badge_rules import Rules
from services.analytics.checkpoints import keep_checkpoints
from services.analytics.custom_badges import load_rules
from services.analytics.history import read_history, snapshot
from services.analytics.learner_rows import change_of, lock_learners, update_learners
from services.analytics.scores import add_counts
from services.analytics.tallies import add_learner_days, add_utc_days
from services.analytics.timeline import Known, Tallies, Tally, Timeline, difference, fold, from_state, to_state

CHUNK = 200
"""Learners at a time."""
_OWNERS = text("""
    SELECT owner_id, state FROM learners WHERE owner_id > :after AND events > 0 ORDER BY owner_id LIMIT :limit
""")
_LEARNER_DAYS = text("SELECT * FROM learner_days WHERE owner_id = ANY(CAST(:owners AS text[]))")
_UTC_DAYS = text("""
    SELECT day, sum(events) AS events, sum(active) AS active, sum(sessions) AS sessions,
           sum(microseconds) AS microseconds, sum(challenges) AS challenges, sum(score) AS score
    FROM analytics_days GROUP BY day
""")


@dataclass
class Audit:
    """What was found."""

    learners: int = 0
    events: int = 0
    differences: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    """Learners of whom something else is known than follows from their events."""
    utc_days: Tallies = field(default_factory=dict[int, Tally])
    """What is missing in the sums of all, by day in UTC."""


async def audit(database: AsyncEngine, session_gap_seconds: float) -> AsyncGenerator[Audit]:
    """Compare everything with the events, as of one moment; the findings so far after each chunk of learners."""
    found, total = Audit(), dict[int, Tally]()
    async with snapshot(database) as connection:
        rules, after = await load_rules(connection), ""
        while rows := (await connection.execute(_OWNERS, {"after": after, "limit": CHUNK})).all():
            after = rows[-1].owner_id
            owners = [row.owner_id for row in rows]
            history, days = await read_history(connection, owners), await _learner_days(connection, owners)
            for row in rows:
                new = fold(history[row.owner_id], rules, session_gap_seconds)
                _compare(found, row.owner_id, from_state(row.state), new, days.get(row.owner_id, {}))
                for day, tally in new.utc_days.items():
                    total.setdefault(day, Tally()).add(tally)
            found.learners += len(rows)
            yield found
        found.utc_days = difference(_without_kinds(total), await _utc_days(connection))
    found.differences += [f"all, {day_of(day)}: {_told(tally)}" for day, tally in sorted(found.utc_days.items())]
    yield found


async def repair(database: AsyncEngine, found: Audit, session_gap_seconds: float, now: datetime) -> None:
    """Make what is known follow from the events again. Nobody is told."""
    for start in range(0, len(found.wrong), CHUNK):
        await rebuild(database, found.wrong[start : start + CHUNK], session_gap_seconds, now)
    if found.utc_days:
        async with database.begin() as connection:
            await add_utc_days(connection, found.utc_days)


async def rebuild(database: AsyncEngine, owners: Sequence[str], session_gap_seconds: float, now: datetime) -> int:
    """Fold all events of some learners again and write what follows; how many awards were new. Nobody is told."""
    async with database.begin() as connection:
        rows = await lock_learners(connection, sorted(owners))
        rules = await load_rules(connection)
        history = await read_history(connection, owners)
        days = await _learner_days(connection, owners)
        changes = [change_of(rows[owner]) for owner in sorted(rows) if history[owner]]
        if not changes:
            return 0
        for change in changes:
            new = fold(history[change.owner_id], rules, session_gap_seconds)
            change.known, change.earned, change.achieved = new.known, new.earned, new.achieved
            change.days = difference(new.days, days.get(change.owner_id, {}))
            change.checkpoints = new.checkpoints
            change.refolded = True
        awarded, _ = await give_awards(connection, changes, rules)
        await keep_achievements(connection, changes)
        scores = await update_learners(connection, changes, now)
        await keep_checkpoints(connection, changes)
        await add_learner_days(connection, {change.owner_id: change.days for change in changes})
        await add_counts(connection, scores)
        return awarded


async def outdated_learners(database: AsyncEngine, after: str) -> tuple[list[str], str | None]:
    """Learners, of the next ones behind `after`, that a custom badge has not looked at; where to go on."""
    async with database.connect() as connection:
        rules = await load_rules(connection)
        rows = (await connection.execute(_OWNERS, {"after": after, "limit": CHUNK})).all()
    old = [row.owner_id for row in rows if from_state(row.state).rules_version < rules.version]
    return old, rows[-1].owner_id if len(rows) == CHUNK else None


async def who_would_earn(database: AsyncEngine, rules: Rules) -> AsyncGenerator[tuple[int, list[tuple[str, datetime]]]]:
    """Who has earned the one badge of `rules`, and when, with how many were looked at: chunk by chunk."""
    async with snapshot(database) as connection:
        after = ""
        while rows := (await connection.execute(_OWNERS, {"after": after, "limit": CHUNK})).all():
            after = rows[-1].owner_id
            history = await read_history(connection, [row.owner_id for row in rows])
            earned = [(owner, at) for owner, events in history.items() if (at := _first(events, rules))]
            yield len(rows), earned


def _first(events: Sequence[Activity], rules: Rules) -> datetime | None:
    timeline = Timeline(Known(), rules)
    for event in events:
        timeline.add(event)
        if timeline.earned:
            return moment(event.at)
    return None


async def _learner_days(connection: AsyncConnection, owners: Sequence[str]) -> dict[str, Tallies]:
    found: dict[str, Tallies] = {}
    for row in await connection.execute(_LEARNER_DAYS, {"owners": list(owners)}):
        tally = Tally(row.events, 0, row.sessions, row.microseconds, row.challenges, row.score, dict(row.activities))
        found.setdefault(row.owner_id, {})[day_number(row.day)] = tally
    return found


async def _utc_days(connection: AsyncConnection) -> Tallies:
    return {
        day_number(row.day): Tally(
            events=int(row.events),
            active=int(row.active),
            sessions=int(row.sessions),
            microseconds=int(row.microseconds),
            challenges=int(row.challenges),
            score=int(row.score),
        )
        for row in await connection.execute(_UTC_DAYS)
    }


def _compare(found: Audit, owner: str, stored: Known, new: Timeline, days: Tallies) -> None:
    found.events += new.known.events
    if stored.rules_version != new.known.rules_version:
        stored.badges, stored.earned, stored.rules_version = (  # a new badge is on its way to this learner
            new.known.badges,
            new.known.earned,
            new.known.rules_version,
        )
    wrong = [f"{owner}, {day_of(day)}: {_told(tally)}" for day, tally in difference(new.days, days).items()]
    before, after = _plain(stored), _plain(new.known)
    wrong += [f"{owner}: {name} is {before[name]}, not {after[name]}" for name in after if before[name] != after[name]]
    if wrong:
        found.wrong.append(owner)
        found.differences += wrong


def _plain(known: Known) -> dict[str, Any]:
    return from_json(to_state(known))


def _without_kinds(tallies: Tallies) -> Tallies:
    for tally in tallies.values():
        tally.activities = {}
    return tallies


def _told(tally: Tally) -> str:
    names = ("events", "active", "sessions", "microseconds", "challenges", "score")
    parts = [f"{name} {getattr(tally, name):+}" for name in names if getattr(tally, name)]
    return ", ".join(parts) or "activities differ"
