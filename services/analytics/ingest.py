"""Taking activity events: all that follows from them is written in the transaction that stores them.

Learners are locked first, in order of their ids, so that writers wait for each other and never for ever. Each event
is then known to be new or a duplicate, the new ones are folded into what is known of their learner
(`timeline.py`), and what has changed goes out in one statement a table.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from asyncpg import CheckViolationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.activity import Ingested, Refused
from models.errors import InvalidInputError, Problem
from models.identity import Caller
from services.analytics.activities import Activity, moment
from services.analytics.awarding import give_awards, keep_achievements
from services.analytics.badge_rules import Rules
from services.analytics.changes import LearnerChange
from services.analytics.checkpoints import keep_checkpoints, known_before
from services.analytics.custom_badges import load_rules
from services.analytics.history import read_history
from services.analytics.learner_rows import change_of, lock_learners, make_learners, update_learners
from services.analytics.notices import Notice, notices_of, send
from services.analytics.partitions import Partitions
from services.analytics.reading import Reported, read_events
from services.analytics.scores import add_counts
from services.analytics.tallies import add_learner_days, add_standings, add_utc_days
from services.analytics.timeline import (
    SESSION_GAP_SECONDS,
    Known,
    Tallies,
    Tally,
    difference,
    fold,
    from_state,
    progress,
    to_state,
)

_NEW_KEYS = text("""
    INSERT INTO activity_keys (key) SELECT key FROM unnest(CAST(:keys AS uuid[])) AS key ORDER BY key
    ON CONFLICT DO NOTHING RETURNING key
""")
_KNOWN_KEYS = text("SELECT key FROM activity_keys WHERE key = ANY(CAST(:keys AS uuid[]))")
_EVENT_COLUMNS = ("owner_id", "at", "source", "id", "kind", "utc_offset", "self_reported", "data")


class Ingest:
    """Takes events into one database."""

    def __init__(self, database: AsyncEngine, session_gap_seconds: float = SESSION_GAP_SECONDS) -> None:
        self._database = database
        self._partitions = Partitions(database)
        self._gap = session_gap_seconds

    async def take(
        self, posted: Iterable[tuple[int, Any]], caller: Caller, now: datetime, refused: Sequence[Refused] = ()
    ) -> Ingested:
        """Take what can be taken; `refused` is what could not even be read. Sent again, it changes nothing."""
        reported, not_taken = read_events(posted, caller, now)
        accepted = await self.take_reported(reported, caller, now) if reported else 0
        return Ingested(
            accepted=accepted,
            duplicate=len(reported) - accepted,
            refused=tuple(sorted((*refused, *not_taken), key=lambda one: one.index)),
        )

    async def take_all(self, posted: Sequence[Any], caller: Caller, now: datetime) -> None:
        """Take all of them, or none. Raises InvalidInputError with every reason."""
        reported, refused = read_events(enumerate(posted), caller, now)
        if refused:
            problems = [Problem(pointer=f"/{one.index}", code=one.code, message=one.message) for one in refused]
            raise InvalidInputError("These events cannot be taken.", problems=problems)
        if reported:
            await self.take_reported(reported, caller, now)

    async def take_reported(self, reported: Sequence[Reported], caller: Caller, now: datetime) -> int:
        """Store events and what follows from them; how many were new."""
        times = {event.at for event in reported}
        await self._partitions.ensure(times)
        try:
            return await self._take_reported(reported, caller, now)
        except CheckViolationError:  # a month was archived since this process saw its partition
            self._partitions.forget()
            await self._partitions.ensure(times)
            return await self._take_reported(reported, caller, now)

    async def _take_reported(self, reported: Sequence[Reported], caller: Caller, now: datetime) -> int:
        async with self._database.begin() as connection:
            learners, reported = await _lock(connection, reported, caller.user_id)
            new = await _without_duplicates(connection, reported)
            if not new:
                return 0
            rules = await load_rules(connection)
            changes = _group(new, learners)
            await self._fold(connection, changes, rules)
            await _store(connection, changes, new)
            notices = [notice for change in changes for notice in notices_of(change, rules)]
            notices += (await give_awards(connection, changes, rules))[1]
            notices += await keep_achievements(connection, changes)
            await _write(connection, changes, notices, now)
            return len(new)

    async def _fold(self, connection: AsyncConnection, changes: Sequence[LearnerChange], rules: Rules) -> None:
        for change in changes:
            change.events.sort(key=lambda event: event.order)
        again = [change for change in changes if _has_new_badges(change.known, rules) or _is_late(change)]
        bases = await _bases(connection, again, rules) if again else {}
        since = {owner: moment(base.last.at) for owner, base in bases.items() if base.last}
        history = await read_history(connection, [change.owner_id for change in again], since) if again else {}
        for change in changes:
            if change.owner_id in history:
                _refold(change, history[change.owner_id], bases.get(change.owner_id, Known()), rules, self._gap)
            else:
                folding = fold(change.events, rules, self._gap, change.known)
                change.moved = folding.moved
                change.take_over(folding)


def _is_late(change: LearnerChange) -> bool:
    """Whether an event comes before the last one that is known."""
    return change.known.last is not None and change.events[0].order < change.known.last


def _has_new_badges(known: Known, rules: Rules) -> bool:
    """Whether a badge has not looked at the events that are known."""
    return known.last is not None and known.rules_version < rules.version


async def _bases(connection: AsyncConnection, again: Sequence[LearnerChange], rules: Rules) -> dict[str, Known]:
    """What the first of the new events follow, of learners of whom there is a checkpoint that knows all badges."""
    times = {
        change.owner_id: moment(change.events[0].at) for change in again if not _has_new_badges(change.known, rules)
    }
    bases = await known_before(connection, times)
    return {owner: base for owner, base in bases.items() if not _has_new_badges(base, rules)}


def _refold(change: LearnerChange, stored: Sequence[Activity], base: Known, rules: Rules, gap: float) -> None:
    """Fold again what follows the checkpoint; what the tables get is the difference."""
    change.refolded, change.base = True, base.events
    tail = [event for event in stored if base.last is None or event.order > base.last]
    old = fold(tail, Rules(()), gap, from_state(to_state(base)))
    new = fold(sorted((*tail, *change.events), key=lambda event: event.order), rules, gap, base)
    change.moved = {rule.id: progress(change.known, rule) for rule in rules.all}
    change.take_over(new)
    change.days = difference(new.days, old.days)
    change.utc_days = difference(new.utc_days, old.utc_days)


async def _lock(
    connection: AsyncConnection, reported: Sequence[Reported], actor_id: str
) -> tuple[Mapping[str, Any], Sequence[Reported]]:
    """The learners, locked, and the events that may be new. Nobody is made of events that are known already."""
    learners = await lock_learners(connection, sorted({event.owner_id for event in reported}))
    strange = {key_of(event): event for event in reported if event.owner_id not in learners}
    if strange:
        known = {UUID(str(key)) for key in await connection.scalars(_KNOWN_KEYS, {"keys": list(strange)})}
        missing = sorted({event.owner_id for key, event in strange.items() if key not in known})
        if missing:
            learners |= await make_learners(connection, missing, actor_id)
    return learners, [event for event in reported if event.owner_id in learners]


def key_of(event: Reported) -> UUID:
    """What names an event. A learner's own reports have names of their own: they cannot use up a grader's."""
    reporter = event.owner_id if event.self_reported else ""
    name = f"{reporter}\x00{event.source}\x00{event.id}"
    return UUID(bytes=blake2b(name.encode(), digest_size=16).digest())


async def _without_duplicates(connection: AsyncConnection, reported: Sequence[Reported]) -> list[Reported]:
    by_key: dict[UUID, Reported] = {}
    for event in reported:
        by_key.setdefault(key_of(event), event)
    if not by_key:
        return []
    found = await connection.execute(_NEW_KEYS, {"keys": list(by_key)})
    return [by_key[UUID(str(key))] for key in found.scalars()]


def _group(new: Iterable[Reported], learners: Mapping[str, Any]) -> list[LearnerChange]:
    zones: dict[str, ZoneInfo] = {}
    changes: dict[str, LearnerChange] = {}
    for event in new:
        change = changes.get(event.owner_id)
        if change is None:
            change = changes[event.owner_id] = change_of(learners[event.owner_id])
        zone = None if change.zone is None else zones.setdefault(change.zone, ZoneInfo(change.zone))
        change.events.append(event.placed(zone))
    return [changes[owner] for owner in sorted(changes)]


async def _store(connection: AsyncConnection, changes: Sequence[LearnerChange], new: Sequence[Reported]) -> None:
    data = {(event.owner_id, event.source, event.id, event.self_reported): event.json for event in new}
    records = [
        (
            event.owner_id,
            moment(event.at),
            event.source,
            event.id,
            event.kind,
            event.offset,
            event.self_reported,
            data[event.owner_id, event.source, event.id, event.self_reported],
        )
        for change in changes
        for event in change.events
    ]
    raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.copy_records_to_table("activity_events", records=records, columns=_EVENT_COLUMNS)


async def _write(
    connection: AsyncConnection, changes: Sequence[LearnerChange], notices: Sequence[Notice], now: datetime
) -> None:
    scores = await update_learners(connection, changes, now)
    await keep_checkpoints(connection, changes)
    await add_learner_days(connection, {change.owner_id: change.days for change in changes})
    events = [event for change in changes for event in change.events]
    await add_standings(connection, events, now.astimezone(UTC).date())
    await send(connection, notices, now)
    total: Tallies = {}
    for change in changes:
        for day, tally in change.utc_days.items():
            total.setdefault(day, Tally()).add(tally)
    await add_utc_days(connection, total)
    await add_counts(connection, scores)
