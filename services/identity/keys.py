"""API keys: 256-bit secrets. Only their SHA-256 is stored, so no reader of the database can act as anyone."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import ARRAY, LargeBinary, any_, bindparam, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from models.identity import Caller, CreatedKey, KeyInfo, NewKey, Role
from models.persistence.audit import record_change
from models.persistence.tables import api_keys
from services.identity.users import ensure_user, raise_role

KEY_PREFIX = "tlo_"
"""What every key starts with: tells keys from tokens, and lets secret scanners find leaked ones."""
FIRST_ADMIN = "admin"
"""Owner of the key that the platform makes when it starts for the first time."""
_SHOWN_CHARACTERS = len(KEY_PREFIX) + 6
_LONGEST_LIFE = timedelta(days=36_525)

_ACTIVE = (api_keys.c.revoked_at.is_(None), or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()))
_FIND_CALLERS = select(api_keys.c.hash, api_keys.c.owner_id, api_keys.c.role).where(
    api_keys.c.hash == any_(bindparam("hashes", type_=ARRAY(LargeBinary))), *_ACTIVE
)


@dataclass(frozen=True)
class NewSecret:
    """A key that was just made, with what is kept of it."""

    key: str
    prefix: str
    hash: bytes


def new_secret() -> NewSecret:
    """A key nobody can guess: 256 random bits."""
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return NewSecret(key=key, prefix=key[:_SHOWN_CHARACTERS], hash=hash_key(key.encode()))


def hash_key(key: bytes) -> bytes:
    """What is stored of a key. A fast hash is enough: the secret has 256 bits, there is nothing to guess."""
    return sha256(key).digest()


def check_new_key(new: NewKey, now: datetime, *, authors: bool) -> None:
    """Refuse a key that could never be used as meant. Raises InvalidInputError with every problem."""
    problems: list[Problem] = []
    if new.role is Role.AUTHOR and not authors:
        problems.append(
            Problem(
                pointer="/role",
                code="role-not-available",
                message="The role author does not exist on this platform.",
                suggestion="Use learner or admin, or start the platform with TOOLOO_AUTHORS=on.",
            )
        )
    if new.expires_at is not None and not now < new.expires_at <= now + _LONGEST_LIFE:
        problems.append(
            Problem(
                pointer="/expires_at",
                code="bad-expiry",
                message="A key must expire in the future, and within a hundred years.",
                suggestion="Leave expires_at out for a key that does not expire.",
            )
        )
    if "\x00" in new.name:
        problems.append(Problem(pointer="/name", code="bad-text", message="NUL characters cannot be stored."))
    if problems:
        raise InvalidInputError("This key cannot be made.", problems=problems)


async def find_caller(connection: AsyncConnection, key_hash: bytes) -> Caller | None:
    """Whom the key with this hash acts for; None when there is none, or it has expired or was revoked."""
    return (await find_callers(connection, [key_hash])).get(key_hash)


async def find_callers(connection: AsyncConnection, key_hashes: Sequence[bytes]) -> dict[bytes, Caller]:
    """Whom the keys with these hashes act for, without those of no use."""
    rows = await connection.execute(_FIND_CALLERS, {"hashes": key_hashes})
    return {row.hash: Caller(user_id=row.owner_id, role=Role(row.role)) for row in rows}


async def create_key(connection: AsyncConnection, new: NewKey, *, actor_id: str) -> CreatedKey:
    """Make a key, and its user when new; a user never has a smaller role than one of their keys."""
    secret = new_secret()
    if not await ensure_user(connection, new.user_id, new.role, actor_id=actor_id):
        await raise_role(connection, new.user_id, new.role, actor_id=actor_id)
    statement = (
        insert(api_keys)
        .values(
            owner_id=new.user_id,
            role=new.role.value,
            name=new.name,
            prefix=secret.prefix,
            hash=secret.hash,
            expires_at=new.expires_at,
        )
        .returning(api_keys)
    )
    info = _key_info((await connection.execute(statement)).mappings().one())
    detail = {"user_id": info.user_id, "role": info.role.value, "prefix": info.prefix}
    await record_change(connection, actor_id, "key.create", f"key/{info.id}", detail)
    return CreatedKey(**dict(info), key=secret.key)


async def list_keys(connection: AsyncConnection, limit: int, *, before: str | None = None) -> list[KeyInfo]:
    """Keys that were not revoked, newest first, older than the key `before`. Expired ones are still listed."""
    statement = select(api_keys).where(api_keys.c.revoked_at.is_(None)).order_by(api_keys.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(api_keys.c.id < before)
    return [_key_info(row) for row in (await connection.execute(statement)).mappings()]


async def revoke_key(connection: AsyncConnection, key_id: str, *, actor_id: str) -> None:
    """Make a key useless at once.

    Raises NotFoundError when there is no such key, ConflictError `last-admin-key` when nobody could administer
    the platform afterwards. Admin keys are locked first, so two of them cannot revoke each other.
    """
    admin_keys = select(api_keys.c.id).where(api_keys.c.role == Role.ADMIN.value, *_ACTIVE)
    admins = list(await connection.scalars(admin_keys.order_by(api_keys.c.id).with_for_update()))
    if admins == [key_id]:
        raise ConflictError(
            "This is the last admin key: without it nobody could administer the platform. Make another one first.",
            code="last-admin-key",
        )
    statement = (
        update(api_keys)
        .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(api_keys.c.owner_id, api_keys.c.prefix)
    )
    revoked = (await connection.execute(statement)).first()
    if revoked is None:
        raise NotFoundError("There is no such key.")
    detail = {"user_id": revoked.owner_id, "prefix": revoked.prefix}
    await record_change(connection, actor_id, "key.revoke", f"key/{key_id}", detail)


async def ensure_admin(connection: AsyncConnection) -> str | None:
    """The first admin's new key, to be shown once; None when a usable admin key exists.

    The lock lasts until the transaction ends: two starts of the platform make one key.
    """
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("tooloo.first-admin", 0))))
    admin = select(api_keys.c.id).where(api_keys.c.role == Role.ADMIN.value, *_ACTIVE).limit(1)
    if await connection.scalar(admin) is not None:
        return None
    new = NewKey(user_id=FIRST_ADMIN, role=Role.ADMIN, name="first admin key")
    return (await create_key(connection, new, actor_id=FIRST_ADMIN)).key


def _key_info(row: Mapping[Any, Any]) -> KeyInfo:
    return KeyInfo(
        id=row["id"],
        prefix=row["prefix"],
        user_id=row["owner_id"],
        role=Role(row["role"]),
        name=row["name"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
