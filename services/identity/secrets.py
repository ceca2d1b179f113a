"""Secrets of users: encrypted, each for its owner and name. Functions never commit.

The API puts them. Only a worker that needs one opens it.
"""

import re
from dataclasses import dataclass

from pydantic import SecretStr
from pydantic_core import from_json, to_json
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.definition import SLUG
from models.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from models.persistence.audit import record_change
from models.persistence.tables import secrets, users
from models.secrets import MAX_SECRETS, SecretInfo
from services.identity.sealing import Seal

_PURPOSE = b"tooloo secrets of users"
_ID = (secrets.c.owner_id, secrets.c.name)


@dataclass(frozen=True)
class SealedSecret:
    """A secret as it is kept, or that there is none of this name."""

    owner_id: str
    name: str
    host: str | None
    """The server it is for; None for the configured forge."""
    sealed: bytes | None


class SecretSeal:
    """Encrypts secrets. Raises ValueError for a master secret that is too short to be one."""

    def __init__(self, secret: str) -> None:
        self._seal = Seal(secret, _PURPOSE)

    def seal(self, owner_id: str, name: str, value: SecretStr, host: str | None = None) -> SealedSecret:
        """A secret, unreadable without the master secret."""
        content = to_json((owner_id, name, host, value.get_secret_value()))
        return SealedSecret(owner_id, name, host, self._seal.seal(content))

    def open(self, secret: SealedSecret) -> SecretStr:
        """What a secret says.

        Raises NotFoundError (`unknown-secret`) when there is none, ConflictError (`secret-unreadable`) when it was
        sealed with another master secret, or for another owner, name or host: a row that was copied opens for nobody.
        """
        if secret.sealed is None:
            raise _unknown(secret.name)
        content = self._seal.open(secret.sealed)
        *meant, value = (None, "") if content is None else from_json(content)
        if meant != [secret.owner_id, secret.name, secret.host]:
            raise ConflictError(
                f"The secret {secret.name} cannot be read, most likely since TOOLOO_SECRET has changed: put it again.",
                code="secret-unreadable",
            )
        return SecretStr(value)


def check_name(name: str) -> None:
    """Refuse what cannot name a secret. Raises InvalidInputError (`bad-name`)."""
    if re.fullmatch(SLUG, name, re.ASCII) is None:
        message = "A secret's name is up to 63 of a-z, 0-9, - and _, and begins with a letter or a digit."
        problem = Problem(pointer="/path/name", code="bad-name", message=message)
        raise InvalidInputError(message, code="bad-name", problems=[problem])


async def put_secret(connection: AsyncConnection, secret: SealedSecret) -> None:
    """Keep a secret, in place of the one that its owner has under this name.

    Raises ConflictError (`secret-quota`) when they have `MAX_SECRETS` others, NotFoundError for who was erased
    meanwhile.
    """
    user = select(users.c.id).where(users.c.id == secret.owner_id).with_for_update(key_share=True)
    if await connection.scalar(user) is None:  # locked, so that two that are put at once count each other
        raise NotFoundError("There is no such user.")
    others = select(func.count()).where(secrets.c.owner_id == secret.owner_id, secrets.c.name != secret.name)
    if (await connection.scalar(others) or 0) >= MAX_SECRETS:
        raise ConflictError(f"You have {MAX_SECRETS} secrets, the most there may be: delete one.", code="secret-quota")
    row = {"owner_id": secret.owner_id, "name": secret.name, "host": secret.host, "sealed": secret.sealed}
    new = {"host": secret.host, "sealed": secret.sealed, "updated_at": func.now()}
    await connection.execute(upsert(secrets).values(row).on_conflict_do_update(index_elements=_ID, set_=new))
    await record_change(connection, secret.owner_id, "secret.put", f"secret/{secret.name}")


async def list_secrets(
    connection: AsyncConnection, owner_id: str, limit: int, *, after: str | None = None
) -> list[SecretInfo]:
    """A user's secrets by name, those that follow `after`, without their values."""
    columns = (secrets.c.name, secrets.c.host, secrets.c.created_at, secrets.c.updated_at)
    statement = select(*columns).where(secrets.c.owner_id == owner_id).order_by(secrets.c.name).limit(limit)
    if after is not None:
        statement = statement.where(secrets.c.name > after)
    return [SecretInfo(**row) for row in (await connection.execute(statement)).mappings()]


async def delete_secret(connection: AsyncConnection, owner_id: str, name: str) -> None:
    """Forget a user's secret. Raises NotFoundError."""
    statement = delete(secrets).where(secrets.c.owner_id == owner_id, secrets.c.name == name)
    if await connection.scalar(statement.returning(secrets.c.name)) is None:
        raise NotFoundError("You have no secret of this name.")
    await record_change(connection, owner_id, "secret.delete", f"secret/{name}")


async def host_of(connection: AsyncConnection, owner_id: str, name: str) -> str | None:
    """The server a user's secret is for, None for the configured forge. Raises NotFoundError (`unknown-secret`)."""
    statement = select(secrets.c.host).where(secrets.c.owner_id == owner_id, secrets.c.name == name)
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise _unknown(name)
    return row.host


async def find_secret(connection: AsyncConnection, owner_id: str, name: str) -> SealedSecret:
    """A user's secret, still sealed. For workers."""
    statement = select(secrets.c.host, secrets.c.sealed).where(secrets.c.owner_id == owner_id, secrets.c.name == name)
    row = (await connection.execute(statement)).one_or_none()
    return SealedSecret(owner_id, name, *((None, None) if row is None else row))


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"You have no secret {name}: put it first, at /secrets/{name}.", code="unknown-secret")
