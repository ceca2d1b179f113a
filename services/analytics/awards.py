"""Awards as they are read, given by hand and revoked."""

from datetime import date, datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.badges import Aggregate, Award, Badge, BadgeProgress, Eligibility
from models.errors import ConflictError, NotFoundError
from models.events import EventType
from models.identity import Caller
from models.metrics import Achievement
from models.persistence.audit import record_change
from services.analytics.awarding import achievement_notice, badge_milestone, keep_milestone
from services.analytics.badge_rules import BadgeRule, Rules
from services.analytics.learners import Learner
from services.analytics.notices import Notice, send
from services.analytics.timeline import progress

_COLUMNS = """
    awards.id AS award_id, awards.owner_id, awards.badge_id AS badge, awards.status_index,
    coalesce(redated.awarded_at, awards.awarded_at) AS awarded_at,
    coalesce(redated.event_id, awards.event_id) AS event_id,
    revoked.at AS revoked_at, coalesce(revoked.reason, awards.reason) AS reason
    FROM awards
    LEFT JOIN LATERAL (
        SELECT awarded_at, event_id FROM award_changes
        WHERE award_id = awards.id AND change = 'redated' ORDER BY award_changes.id DESC LIMIT 1
    ) AS redated ON true
    LEFT JOIN LATERAL (
        SELECT at, reason FROM award_changes WHERE award_id = awards.id AND change = 'revoked' LIMIT 1
    ) AS revoked ON true
"""
_OF_LEARNER = text(f"SELECT {_COLUMNS} WHERE awards.owner_id = :owner ORDER BY awarded_at, awards.id")
_ONE = text(f"SELECT {_COLUMNS} WHERE awards.id = CAST(:award AS uuid) FOR UPDATE OF awards")
_COUNTS = text("""
    SELECT badge_id AS badge, count(*) AS awards FROM awards
    LEFT JOIN LATERAL (
        SELECT awarded_at FROM award_changes
        WHERE award_id = awards.id AND change = 'redated' ORDER BY award_changes.id DESC LIMIT 1
    ) AS redated ON true
    WHERE coalesce(redated.awarded_at, awards.awarded_at) >= coalesce(CAST(:first AS date), '-infinity')
      AND coalesce(redated.awarded_at, awards.awarded_at) < coalesce(CAST(:last AS date) + 1, 'infinity')
      AND NOT EXISTS (SELECT FROM award_changes WHERE award_id = awards.id AND change = 'revoked')
    GROUP BY badge_id
""")
_LOCK_USER = text("SELECT id FROM users WHERE id = :owner FOR UPDATE")
# Of repeatable badges, those by hand are counted downward: they take no turn of those that are earned.
_GIVE = text("""
    INSERT INTO awards (owner_id, badge_id, occurrence, awarded_at, awarded_by, reason)
    SELECT CAST(:owner AS text), CAST(:badge AS text),
           CASE WHEN :repeatable THEN least(coalesce(min(occurrence), 0), 0) - 1
                ELSE coalesce(max(occurrence), 0) + 1 END,
           :at, CAST(:actor AS text), CAST(:reason AS text)
    FROM awards WHERE owner_id = CAST(:owner AS text) AND badge_id = CAST(:badge AS text)
    RETURNING id, occurrence
""")
_REVOKE = text("""
    INSERT INTO award_changes (award_id, change, actor_id, reason)
    VALUES (CAST(:award AS uuid), 'revoked', :actor, :reason)
""")
_ACHIEVEMENTS = text("SELECT key, name, kind, at FROM achievements WHERE owner_id = :owner ORDER BY at, key")
_REVOKED = text("""
    SELECT status_index FROM awards JOIN award_changes ON award_id = awards.id WHERE change = 'revoked'
""")
_HAS_ACHIEVEMENT = text("SELECT true FROM achievements WHERE owner_id = :owner AND key = :key")
_NEW_KEY = text("INSERT INTO activity_keys (key) VALUES (CAST(:key AS uuid)) ON CONFLICT DO NOTHING RETURNING key")
_MISSING = {
    Aggregate.COUNT: "{} more",
    Aggregate.FIRST: "{} more",
    Aggregate.DISTINCT: "{} more different ones",
    Aggregate.MAX: "{} more than the best so far",
    Aggregate.STREAK: "{} more days in a row than the longest so far",
    Aggregate.SLIDING: "{} more within the time than the most so far",
}


async def list_awards(connection: AsyncConnection, owner_id: str) -> tuple[Award, ...]:
    """Badges that a learner holds or has held, in the order they were earned."""
    return tuple(_award(row) for row in await connection.execute(_OF_LEARNER, {"owner": owner_id}))


async def list_achievements(connection: AsyncConnection, owner_id: str) -> tuple[Achievement, ...]:
    """Milestones of a learner, the earliest first."""
    rows = await connection.execute(_ACHIEVEMENTS, {"owner": owner_id})
    return tuple(Achievement.model_validate(row._asdict()) for row in rows)


async def count_awards(connection: AsyncConnection, first: date | None, last: date | None) -> dict[str, int]:
    """How often each badge was earned on the days between, in UTC, revoked awards left out; None is open."""
    rows = await connection.execute(_COUNTS, {"first": first, "last": last})
    return {row.badge: row.awards for row in rows}


async def find_award(connection: AsyncConnection, caller: Caller, award_id: str) -> tuple[str, int, Award]:
    """Whose an award is, its place in the status list, and the award. Raises NotFoundError, also for another's."""
    row = (await connection.execute(_ONE, {"award": award_id})).one_or_none()
    if row is None or (row.owner_id != caller.user_id and not caller.sees_all):
        raise NotFoundError("There is no such award.")
    return row.owner_id, row.status_index, _award(row)


async def revoked_places(connection: AsyncConnection) -> list[int]:
    """Places of revoked awards in the status list."""
    return list(await connection.scalars(_REVOKED))


async def award_by_hand(
    connection: AsyncConnection,
    rules: Rules,
    owner_id: str,
    badge_id: str,
    actor_id: str,
    at: datetime,
    reason: str,
    once_for: str | None = None,
) -> Award:
    """Give a badge; `once_for` names who asks and may ask again, and then gets the first award.

    Raises NotFoundError for an unknown user or badge, ConflictError for one who holds it.
    """
    badge = rule_of(rules, badge_id).badge
    if await connection.scalar(_LOCK_USER, {"owner": owner_id}) is None:
        raise NotFoundError("There is no such user.")
    held = [award for award in await list_awards(connection, owner_id) if award.badge == badge_id]
    if once_for is not None and not await _is_first(connection, f"award\x00{once_for}"):
        return held[-1]
    if not badge.repeatable and any(not award.revoked for award in held):
        raise ConflictError(f"{owner_id} holds {badge_id} already.", code="already-awarded")
    parameters = {"owner": owner_id, "badge": badge_id, "at": at, "actor": actor_id, "reason": reason or None}
    row = (await connection.execute(_GIVE, {**parameters, "repeatable": badge.repeatable})).one()
    award_id = str(row.id)
    detail = {"badge": badge_id, "user_id": owner_id}
    await record_change(connection, actor_id, "badge.award", f"award/{award_id}", detail)
    milestone = badge_milestone(owner_id, badge_id, row.occurrence, badge.name, at)
    data = {"badge": badge_id, "award_id": award_id, "awarded_at": at.isoformat(), "event_id": None}
    notices = [Notice(EventType.BADGE_AWARDED, owner_id, data)]
    if await keep_milestone(connection, milestone):
        notices.append(achievement_notice(milestone))
    await send(connection, notices, at)
    return Award(award_id=award_id, badge=badge_id, awarded_at=at, event_id=None, reason=reason or None)


async def record_achievement(connection: AsyncConnection, owner_id: str, key: str, name: str, at: datetime) -> bool:
    """Record a milestone that a workflow found; whether it is new. Recorded again, it keeps its time."""
    milestone = {"owner_id": owner_id, "key": f"workflow:{key}", "name": name, "kind": "workflow", "at": at}
    if await connection.scalar(_HAS_ACHIEVEMENT, {"owner": owner_id, "key": milestone["key"]}):
        return False
    if not await keep_milestone(connection, milestone):
        return False
    await send(connection, [achievement_notice(milestone)], at)
    return True


async def revoke_award(connection: AsyncConnection, award_id: str, actor_id: str, reason: str) -> None:
    """Revoke an award: a row beside it. Raises NotFoundError, ConflictError when it is revoked already."""
    row = (await connection.execute(_ONE, {"award": award_id})).one_or_none()
    if row is None:
        raise NotFoundError("There is no such award.")
    if row.revoked_at is not None:
        raise ConflictError("This award is revoked already.", code="already-revoked")
    await connection.execute(_REVOKE, {"award": award_id, "actor": actor_id, "reason": reason})
    detail = {"badge": row.badge, "user_id": row.owner_id}
    await record_change(connection, actor_id, "badge.revoke", f"award/{award_id}", detail)


def badge_progress(learner: Learner, rules: Rules, awards: tuple[Award, ...]) -> tuple[BadgeProgress, ...]:
    """How far a learner is toward each badge."""
    held = {award.badge for award in awards if not award.revoked}
    return tuple(
        BadgeProgress(badge=rule.id, earned=rule.id in held, **_figures(learner, rule, earned=rule.id in held))
        for rule in rules.all
    )


def eligibility(learner: Learner, rule: BadgeRule, awards: tuple[Award, ...]) -> Eligibility:
    """Whether a learner's events qualify for a badge."""
    held = any(award.badge == rule.id and not award.revoked for award in awards)
    figures = _figures(learner, rule, earned=False)
    eligible = bool(learner.known.earned.get(rule.id)) or figures["current"] >= rule.target
    return Eligibility(badge=rule.id, eligible=eligible, awarded=held, **figures)


def rule_of(rules: Rules, badge_id: str) -> BadgeRule:
    """A badge's rule. Raises NotFoundError."""
    rule = rules.by_id.get(badge_id)
    if rule is None:
        raise NotFoundError("There is no such badge.")
    return rule


def may_see(caller: Caller, owner_id: str) -> None:
    """Learners read about themselves only. Raises NotFoundError: whether others exist is not told."""
    if caller.user_id != owner_id and not caller.sees_all:
        raise NotFoundError("There is no such user.")


def all_badges(rules: Rules) -> tuple[Badge, ...]:
    """Every badge, the platform's own first."""
    return tuple(rule.badge for rule in rules.all)


async def _is_first(connection: AsyncConnection, name: str) -> bool:
    key = UUID(bytes=blake2b(name.encode(), digest_size=16).digest())
    return await connection.scalar(_NEW_KEY, {"key": str(key)}) is not None


def _figures(learner: Learner, rule: BadgeRule, *, earned: bool) -> dict[str, Any]:
    current = rule.target if earned and not rule.badge.repeatable else progress(learner.known, rule)
    lacking = max(0.0, rule.target - current)
    missing = "" if earned or not lacking else _MISSING[rule.badge.rule.aggregate].format(f"{lacking:g}")
    ratio = round(min(1.0, current / rule.target), 4)
    return {"current": current, "target": rule.target, "ratio": ratio, "missing": missing}


def _award(row: Any) -> Award:
    return Award(
        award_id=str(row.award_id),
        badge=row.badge,
        awarded_at=row.awarded_at,
        event_id=row.event_id,
        revoked=row.revoked_at is not None,
        revoked_at=row.revoked_at,
        reason=row.reason,
    )
