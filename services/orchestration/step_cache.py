"""Results of actions that are used again. Each user has their own: a result may hold what others must not see."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.persistence.tables import step_cache

_SWEPT = 4
"""Expired rows that each new one takes along, so that nobody has to look after the table."""
_ID = (step_cache.c.owner_id, step_cache.c.action, step_cache.c.key_hash)


async def find_result(connection: AsyncConnection, owner_id: str, action: str, key_hash: bytes) -> bytes | None:
    """What is kept under a key and has not expired."""
    data: Any = await connection.scalar(
        select(step_cache.c.data).where(
            step_cache.c.owner_id == owner_id,
            step_cache.c.action == action,
            step_cache.c.key_hash == key_hash,
            step_cache.c.expires_at > func.now(),
        )
    )
    return data


async def keep_result(
    connection: AsyncConnection, owner_id: str, action: str, key_hash: bytes, data: bytes, ttl: timedelta
) -> None:
    """Keep a result for a time."""
    expired = select(*_ID).where(step_cache.c.expires_at <= func.now(), step_cache.c.key_hash != key_hash)
    await connection.execute(
        delete(step_cache).where(tuple_(*_ID).in_(expired.limit(_SWEPT).with_for_update(skip_locked=True)))
    )
    adding = upsert(step_cache).values(
        owner_id=owner_id, action=action, key_hash=key_hash, data=data, expires_at=func.now() + ttl
    )
    await connection.execute(
        adding.on_conflict_do_update(
            index_elements=_ID, set_={"data": adding.excluded.data, "expires_at": adding.excluded.expires_at}
        )
    )
