"""What is known of learners, made again from their events: to repair it, and for new badges. Nobody is told."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.analytics.activities import Activity, day_number, moment
from services.analytics.awarding import give_awards, keep_achievements
from services.analytics.badge_rules import Rules
from services.analytics.checkpoints import keep_checkpoints
from services.analytics.custom_badges import load_rules
from services.analytics.history import read_history, snapshot
from services.analytics.learner_rows import change_of, lock_learners, update_learners
from services.analytics.scores import add_counts
from services.analytics.tallies import add_learner_days, correct_standings
from services.analytics.timeline import Known, Tallies, Tally, Timeline, difference, fold, from_state

CHUNK = 200
"""Learners at a time."""
OWNERS = text("""
    SELECT * FROM learners WHERE owner_id > :after AND events > 0 ORDER BY owner_id LIMIT :limit
""")
_LEARNER_DAYS = text("SELECT * FROM learner_days WHERE owner_id = ANY(CAST(:owners AS text[]))")


async def rebuild(database: AsyncEngine, owners: Sequence[str], session_gap_seconds: float, now: datetime) -> int:
    """Fold all events of some learners again and write what follows; how many awards were new."""
    async with database.begin() as connection:
        rows = await lock_learners(connection, sorted(owners))
        rules = await load_rules(connection)
        history = await read_history(connection, owners)
        days = await read_learner_days(connection, owners)
        changes = [change_of(rows[owner]) for owner in sorted(rows) if history[owner]]
        if not changes:
            return 0
        for change in changes:
            new = fold(history[change.owner_id], rules, session_gap_seconds)
            change.take_over(new)
            change.days = difference(new.days, days.get(change.owner_id, {}))
            change.refolded = True
        awarded, _ = await give_awards(connection, changes, rules)
        await keep_achievements(connection, changes)
        scores = await update_learners(connection, changes, now)
        await keep_checkpoints(connection, changes)
        await add_learner_days(connection, {change.owner_id: change.days for change in changes})
        utc_days = {change.owner_id: change.utc_days for change in changes}
        await correct_standings(connection, utc_days, now.astimezone(UTC).date())
        await add_counts(connection, scores)
        return awarded


async def outdated_learners(database: AsyncEngine, after: str) -> tuple[list[str], str | None]:
    """Learners, of the next ones behind `after`, that a custom badge has not looked at; where to go on."""
    async with database.connect() as connection:
        rules = await load_rules(connection)
        rows = (await connection.execute(OWNERS, {"after": after, "limit": CHUNK})).all()
    old = [row.owner_id for row in rows if from_state(row.state).rules_version < rules.version]
    return old, rows[-1].owner_id if len(rows) == CHUNK else None


async def who_would_earn(database: AsyncEngine, rules: Rules) -> AsyncGenerator[tuple[int, list[tuple[str, datetime]]]]:
    """Who has earned the one badge of `rules`, and when, with how many were looked at: chunk by chunk."""
    async with snapshot(database) as connection:
        after = ""
        while rows := (await connection.execute(OWNERS, {"after": after, "limit": CHUNK})).all():
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


async def read_learner_days(connection: AsyncConnection, owners: Sequence[str]) -> dict[str, Tallies]:
    """What the tables say of the days of some learners."""
    found: dict[str, Tallies] = {}
    for row in await connection.execute(_LEARNER_DAYS, {"owners": list(owners)}):
        tally = Tally(row.events, 0, row.sessions, row.microseconds, row.challenges, row.score, dict(row.activities))
        found.setdefault(row.owner_id, {})[day_number(row.day)] = tally
    return found
