"""Everything that follows from events, compared with what follows from them when they are folded again."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.analytics.activities import day_number, day_of, instant
from services.analytics.badge_rules import Rules
from services.analytics.custom_badges import load_rules
from services.analytics.history import read_history, snapshot
from services.analytics.learner_rows import columns, score_on
from services.analytics.rebuild import CHUNK, OWNERS, read_learner_days, rebuild
from services.analytics.scores import SCORES, add_counts, read_counts
from services.analytics.tallies import Standings, add_utc_days, read_standings, standings_of
from services.analytics.timeline import (
    Tallies,
    Tally,
    Timeline,
    difference,
    fold,
    from_state,
    milestones,
    to_state,
)

Awards = Mapping[tuple[str, int], tuple[int, str] | None]
"""By badge and occurrence: the time and id of the event that earned it; None when it was given by hand."""

_AWARDS = text("""
    SELECT owner_id, badge_id, occurrence, coalesce(latest.awarded_at, awards.awarded_at) AS awarded_at,
           coalesce(latest.event_id, awards.event_id) AS event_id
    FROM awards LEFT JOIN LATERAL (
        SELECT awarded_at, event_id FROM award_changes
        WHERE award_id = awards.id AND change = 'redated' ORDER BY award_changes.id DESC LIMIT 1
    ) AS latest ON true
    WHERE owner_id = ANY(CAST(:owners AS text[]))
""")
_MILESTONES = text("""
    SELECT owner_id, key FROM achievements
    WHERE owner_id = ANY(CAST(:owners AS text[])) AND kind IN ('level', 'topic')
""")
_SCORES = text("SELECT score, count(*) AS learners FROM learners WHERE events > 0 AND score_day IS NOT NULL GROUP BY 1")
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
    counts: list[int] = field(default_factory=list[int])
    """How many learners are missing at each engagement score."""


@dataclass
class _Chunk:
    """What the tables say of some learners, by learner."""

    days: Mapping[str, Tallies]
    awards: Mapping[str, Awards]
    milestones: Mapping[str, Sequence[str]]
    standings: Mapping[str, Standings]


async def audit(database: AsyncEngine, session_gap_seconds: float, now: datetime) -> AsyncGenerator[Audit]:
    """Compare everything with the events, as of one moment; the findings so far after each chunk of learners."""
    found, total, today = Audit(), dict[int, Tally](), now.astimezone(UTC).date()
    async with snapshot(database) as connection:
        rules, after = await load_rules(connection), ""
        while rows := (await connection.execute(OWNERS, {"after": after, "limit": CHUNK})).all():
            after = rows[-1].owner_id
            owners = [row.owner_id for row in rows]
            history, chunk = await read_history(connection, owners), await _read_chunk(connection, owners, today)
            for row in rows:
                new = fold(history[row.owner_id], rules, session_gap_seconds)
                wrong = [f"{row.owner_id}{told}" for told in _differences(row, new, chunk, rules, today)]
                found.wrong += [row.owner_id] if wrong else []
                found.differences += wrong
                found.events += new.known.events
                for day, tally in new.utc_days.items():
                    total.setdefault(day, Tally()).add(tally)
            found.learners += len(rows)
            yield found
        found.utc_days = difference(_without_kinds(total), await _utc_days(connection))
        found.counts = await _missing_counts(connection)
    found.differences += [f"all, {day_of(day)}: {_told(tally)}" for day, tally in sorted(found.utc_days.items())]
    found.differences += [f"all, score {score}: {n:+} learners" for score, n in enumerate(found.counts) if n]
    yield found


async def repair(database: AsyncEngine, found: Audit, session_gap_seconds: float, now: datetime) -> None:
    """Make everything follow from the events again, but awards that do not: those are for people to revoke."""
    for start in range(0, len(found.wrong), CHUNK):
        await rebuild(database, found.wrong[start : start + CHUNK], session_gap_seconds, now)
    async with database.begin() as connection:
        if found.utc_days:
            await add_utc_days(connection, found.utc_days)
        await add_counts(connection, [(None, score) for score, n in enumerate(found.counts) for _ in range(n)])
        await add_counts(connection, [(score, None) for score, n in enumerate(found.counts) for _ in range(-n)])


async def _read_chunk(connection: AsyncConnection, owners: Sequence[str], today: date) -> _Chunk:
    awards: dict[str, dict[tuple[str, int], tuple[int, str] | None]] = {}
    for row in await connection.execute(_AWARDS, {"owners": owners}):
        event = None if row.event_id is None else (instant(row.awarded_at), row.event_id)
        awards.setdefault(row.owner_id, {})[row.badge_id, row.occurrence] = event
    reached: dict[str, list[str]] = {}
    for row in await connection.execute(_MILESTONES, {"owners": owners}):
        reached.setdefault(row.owner_id, []).append(row.key)
    days = await read_learner_days(connection, owners)
    return _Chunk(days, awards, reached, await read_standings(connection, owners, today))


def _differences(row: Any, new: Timeline, chunk: _Chunk, rules: Rules, today: date) -> Iterator[str]:
    """What differs of one learner, told."""
    owner, stored = row.owner_id, from_state(row.state)
    for day, tally in difference(new.days, chunk.days.get(owner, {})).items():
        yield f", {day_of(day)}: {_told(tally)}"
    version = stored.rules_version
    if version != new.known.rules_version:  # a new badge is on its way to this learner
        stored.badges, stored.earned, stored.rules_version = (
            new.known.badges,
            new.known.earned,
            new.known.rules_version,
        )
    before, after = from_json(to_state(stored)), from_json(to_state(new.known))
    held, right = row._asdict(), columns(new.known)
    if row.score_day is not None and row.score_day > date.min:  # a score that waits for its day is of none
        right["score"] = score_on(new.known, row.score_day)
    for name, value, expected in (
        *((name, before[name], after[name]) for name in after),
        *((name, held[name], right[name]) for name in right),
    ):
        if value != expected:
            yield f": {name} is {value}, not {expected}"
    yield from _award_differences(chunk.awards.get(owner, {}), new, rules, version)
    if sorted(chunk.milestones.get(owner, ())) != sorted(milestones(new.known)):
        yield f": achievements are {sorted(chunk.milestones.get(owner, ()))}, not {sorted(milestones(new.known))}"
    standings = standings_of(new.utc_days, today)
    if chunk.standings.get(owner, {}) != standings:
        yield ": completed challenges of the present day, week or month"


def _award_differences(held: Awards, new: Timeline, rules: Rules, version: int) -> Iterator[str]:
    earned = {(one.badge, one.occurrence): (one.event.at, one.event.id) for one in new.earned}
    for (badge, occurrence), event in earned.items():
        if rules.by_id[badge].badge.version > version:
            continue
        if (badge, occurrence) not in held:
            yield f": the award of {badge} is missing"
        elif held[badge, occurrence] not in (None, event):
            yield f": the award of {badge} is of another event than {event[1]}"
    for (badge, occurrence), event in held.items():
        if event is not None and (badge, occurrence) not in earned:
            yield f": no event earns the award of {badge}"


async def _missing_counts(connection: AsyncConnection) -> list[int]:
    _, held = await read_counts(connection)
    right = {row.score: row.learners for row in await connection.execute(_SCORES)}
    return [right.get(score, 0) - held[score] for score in range(SCORES)]


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


def _without_kinds(tallies: Tallies) -> Tallies:
    for tally in tallies.values():
        tally.activities = {}
    return tallies


def _told(tally: Tally) -> str:
    names = ("events", "active", "sessions", "microseconds", "challenges", "score")
    parts = [f"{name} {getattr(tally, name):+}" for name in names if getattr(tally, name)]
    return ", ".join(parts) or "activities differ"
