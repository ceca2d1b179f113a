"""All badges: the platform's own, and those that admins have made."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.badges import BADGES, PROGRESS, Badge, NewBadge, Rule
from models.errors import ConflictError, InvalidInputError, Problem
from models.persistence.audit import record_change
from services.analytics.badge_rules import Rules

_ALL = text("SELECT id, version, name, description, rule, repeatable FROM badges ORDER BY version")
_INSERT = text("""
    INSERT INTO badges (id, name, description, rule, repeatable, created_by)
    VALUES (:id, :name, :description, CAST(:rule AS jsonb), :repeatable, :actor)
    ON CONFLICT DO NOTHING RETURNING version
""")
_SERIALIZE = text("SELECT pg_advisory_xact_lock(7341062)")


_OWN = Rules(BADGES)


async def load_rules(connection: AsyncConnection) -> Rules:
    """The rules of all badges, as committed now."""
    custom = await _custom(connection)
    return Rules([*BADGES, *custom]) if custom else _OWN


async def create_badge(connection: AsyncConnection, new: NewBadge, actor_id: str) -> Badge:
    """Make a custom badge. Raises InvalidInputError for an id that is reserved, ConflictError for one that is taken."""
    check_id(new.id)
    await connection.execute(_SERIALIZE)  # versions become visible in their order
    parameters = {**new.model_dump(include={"id", "name", "description", "repeatable"}), "actor": actor_id}
    version = await connection.scalar(_INSERT, {**parameters, "rule": new.rule.model_dump_json()})
    if version is None:
        raise ConflictError(f"There is a badge {new.id} already.", code="badge-exists")
    await record_change(connection, actor_id, "badge.create", f"badge/{new.id}", {"name": new.name})
    return as_badge(new, version)


def as_badge(new: NewBadge, version: int) -> Badge:
    """The badge that was posted."""
    return Badge(
        id=new.id,
        name=new.name,
        description=new.description,
        rule=new.rule,
        repeatable=new.repeatable,
        custom=True,
        version=version,
    )


def check_id(badge_id: str) -> None:
    """Refuse ids that are taken. Raises InvalidInputError."""
    if badge_id == PROGRESS or badge_id in {badge.id for badge in BADGES}:
        message = f"{badge_id} is reserved"
        raise InvalidInputError(message, problems=[Problem(pointer="/id", code="reserved-id", message=message)])


async def _custom(connection: AsyncConnection) -> list[Badge]:
    return [
        Badge(
            id=row.id,
            name=row.name,
            description=row.description,
            rule=Rule.model_validate(row.rule),
            repeatable=row.repeatable,
            custom=True,
            version=row.version,
        )
        for row in await connection.execute(_ALL)
    ]
