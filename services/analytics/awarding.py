"""Awards and achievements that follow from events.

An award is written once. When events that come in late show that it was earned earlier, a row beside it says so.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.events import EventType
from services.analytics.activities import moment
from services.analytics.badge_rules import Rules
from services.analytics.changes import LearnerChange
from services.analytics.notices import Notice
from services.analytics.timeline import Achieved, Earned, milestones

_AWARD = text("""
    INSERT INTO awards (owner_id, badge_id, occurrence, awarded_at, event_id)
    SELECT * FROM unnest(CAST(:owner_id AS text[]), CAST(:badge AS text[]), CAST(:occurrence AS integer[]),
                         CAST(:at AS timestamptz[]), CAST(:event_id AS text[]))
    ON CONFLICT (owner_id, badge_id, occurrence) DO NOTHING
    RETURNING id, owner_id, badge_id, occurrence
""")
_REDATE = text("""
    WITH redated AS (
    INSERT INTO award_changes (award_id, change, actor_id, awarded_at, event_id)
    SELECT awards.id, 'redated', 'tooloo-system', new.at, new.event_id
    FROM unnest(CAST(:owner_id AS text[]), CAST(:badge AS text[]), CAST(:occurrence AS integer[]),
                CAST(:at AS timestamptz[]), CAST(:event_id AS text[]))
         AS new (owner_id, badge_id, occurrence, at, event_id)
    JOIN awards USING (owner_id, badge_id, occurrence)
    LEFT JOIN LATERAL (
        SELECT awarded_at, event_id FROM award_changes
        WHERE award_id = awards.id AND change = 'redated' ORDER BY award_changes.id DESC LIMIT 1
    ) AS latest ON true
    WHERE awards.event_id IS NOT NULL AND (new.at, new.event_id) IS DISTINCT FROM
        (coalesce(latest.awarded_at, awards.awarded_at), coalesce(latest.event_id, awards.event_id))
    RETURNING award_id
    )
    SELECT owner_id, badge_id, occurrence FROM redated JOIN awards ON awards.id = redated.award_id
""")
_KEEP_ACHIEVEMENTS = text("""
    INSERT INTO achievements AS held (owner_id, key, name, kind, at)
    SELECT * FROM unnest(CAST(:owner_id AS text[]), CAST(:key AS text[]), CAST(:name AS text[]),
                         CAST(:kind AS text[]), CAST(:at AS timestamptz[]))
    ON CONFLICT (owner_id, key) DO UPDATE SET at = excluded.at WHERE held.at <> excluded.at
    RETURNING owner_id, key, (xmax = 0) AS is_new
""")
_FORGET_ACHIEVEMENTS = text("""
    DELETE FROM achievements USING unnest(CAST(:owners AS text[])) AS refolded
    WHERE owner_id = refolded AND kind IN ('level', 'topic')
      AND NOT EXISTS (SELECT FROM unnest(CAST(:kept_owners AS text[]), CAST(:kept AS text[])) AS kept (owner, key)
                      WHERE kept.owner = owner_id AND kept.key = achievements.key)
""")


async def give_awards(
    connection: AsyncConnection, changes: Iterable[LearnerChange], rules: Rules
) -> tuple[int, list[Notice]]:
    """Write the awards that were earned, once each; how many are new, and what is told of them."""
    earned = [(change, one) for change in changes for one in change.earned]
    if not earned:
        return 0, []
    new = (await connection.execute(_AWARD, _columns(one for _, one in earned))).all()
    again = [one for change, one in earned if change.refolded]
    redated: set[tuple[Any, ...]] = (
        {tuple(row) for row in await connection.execute(_REDATE, _columns(again))} if again else set()
    )
    given = {(row.owner_id, row.badge_id, row.occurrence): str(row.id) for row in new}
    notices: list[Notice] = []
    milestones: list[dict[str, Any]] = []
    for change, one in earned:
        place = (change.owner_id, one.badge, one.occurrence)
        award_id = given.get(place)
        if award_id is None and place not in redated:
            continue
        milestone = badge_milestone(*place, rules.by_id[one.badge].badge.name, moment(one.event.at))
        milestones.append(milestone)
        if award_id is not None and not _is_back_fill(change, one, rules):
            data = {"badge": one.badge, "award_id": award_id, "awarded_at": moment(one.event.at).isoformat()}
            notices.append(Notice(EventType.BADGE_AWARDED, change.owner_id, {**data, "event_id": one.event.id}))
            notices.append(achievement_notice(milestone))
    await _keep(connection, milestones)
    return len(given), notices


async def keep_achievements(connection: AsyncConnection, changes: Sequence[LearnerChange]) -> list[Notice]:
    """Write the levels and mastered topics that were reached; what is told of those that are new."""
    refolded = [change for change in changes if change.refolded]
    reached = [_milestone(change.owner_id, one) for change in changes for one in change.achieved]
    if refolded:
        kept = [(change.owner_id, key) for change in refolded for key in milestones(change.known)]
        await connection.execute(
            _FORGET_ACHIEVEMENTS,
            {
                "owners": [change.owner_id for change in refolded],
                "kept_owners": [owner for owner, _ in kept],
                "kept": [key for _, key in kept],
            },
        )
    new = await _keep(connection, reached)
    return [achievement_notice(one) for one in reached if (one["owner_id"], one["key"]) in new]


def achievement_notice(milestone: dict[str, Any]) -> Notice:
    """What is told of a milestone."""
    data = {"key": milestone["key"], "name": milestone["name"], "kind": milestone["kind"]}
    return Notice(EventType.ACHIEVEMENT_UNLOCKED, milestone["owner_id"], {**data, "at": milestone["at"].isoformat()})


async def keep_milestone(connection: AsyncConnection, milestone: dict[str, Any]) -> bool:
    """Write one milestone; whether it is new."""
    return bool(await _keep(connection, [milestone]))


def badge_milestone(owner_id: str, badge: str, occurrence: int, name: str, at: datetime) -> dict[str, Any]:
    """The milestone of an award."""
    key = f"badge:{badge}" if occurrence == 1 else f"badge:{badge}:{occurrence}"
    return {"owner_id": owner_id, "key": key, "name": name, "kind": "badge", "at": at}


def _is_back_fill(change: LearnerChange, one: Earned, rules: Rules) -> bool:
    """Whether the badge is younger than what earned it, and only now gets to this learner."""
    return change.rules_version < rules.by_id[one.badge].badge.version and one.event not in change.events


def _milestone(owner_id: str, one: Achieved) -> dict[str, Any]:
    kind, _, what = one.key.partition(":")
    name = f"Level {what}" if kind == "level" else f"Mastered {what}"
    return {"owner_id": owner_id, "key": one.key, "name": name, "kind": kind, "at": moment(one.event.at)}


async def _keep(connection: AsyncConnection, milestones: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    if not milestones:
        return set()
    columns = {name: [one[name] for one in milestones] for name in ("owner_id", "key", "name", "kind", "at")}
    rows = await connection.execute(_KEEP_ACHIEVEMENTS, columns)
    return {(row.owner_id, row.key) for row in rows if row.is_new}


def _columns(earned: Iterable[Earned]) -> dict[str, list[Any]]:
    listed = list(earned)
    return {
        "owner_id": [one.event.owner_id for one in listed],
        "badge": [one.badge for one in listed],
        "occurrence": [one.occurrence for one in listed],
        "at": [moment(one.event.at) for one in listed],
        "event_id": [one.event.id for one in listed],
    }
