"""Users: they exist once a key, a profile or a trusted token names them."""

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.identity import SMALLEST_FIRST, Role, UserInfo
from models.persistence.audit import record_change
from models.persistence.tables import users


async def ensure_user(connection: AsyncConnection, user_id: str, role: Role, *, actor_id: str) -> bool:
    """Make the user when new; whether that was so. A user who exists keeps their role."""
    statement = upsert(users).values(id=user_id, role=role.value).on_conflict_do_nothing().returning(users.c.id)
    if await connection.scalar(statement) is None:
        return False
    await record_change(connection, actor_id, "user.create", f"user/{user_id}", {"role": role.value})
    return True


async def raise_role(connection: AsyncConnection, user_id: str, role: Role, *, actor_id: str) -> None:
    """Give the user this role when theirs is smaller."""
    smaller = [other.value for other in SMALLEST_FIRST[: SMALLEST_FIRST.index(role)]]
    statement = update(users).where(users.c.id == user_id, users.c.role.in_(smaller)).values(role=role.value)
    if await connection.scalar(statement.returning(users.c.id)) is not None:
        await record_change(connection, actor_id, "user.raise-role", f"user/{user_id}", {"role": role.value})


async def user_exists(connection: AsyncConnection, user_id: str) -> bool:
    """Whether the user is known."""
    return await connection.scalar(select(users.c.id).where(users.c.id == user_id)) is not None


async def timezone_of(connection: AsyncConnection, user_id: str) -> str | None:
    """The IANA name of the zone that a user has chosen; None when they have not."""
    return await connection.scalar(select(users.c.timezone).where(users.c.id == user_id))


async def list_users(connection: AsyncConnection, limit: int, *, after: str | None = None) -> list[UserInfo]:
    """Users by id, those that follow `after`."""
    columns = (users.c.id, users.c.role, users.c.timezone, users.c.created_at)
    statement = select(*columns).order_by(users.c.id).limit(limit)
    if after is not None:
        statement = statement.where(users.c.id > after)
    return [UserInfo(**row) for row in (await connection.execute(statement)).mappings()]
