"""Definitions and their versions. Versions never change; what moves is which one is current."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, literal, or_, select, true, update
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.definition import MAX_VERSION
from models.errors import ForbiddenError, NotFoundError
from models.identity import Caller, Role
from models.persistence.audit import record_change
from models.persistence.tables import definition_versions, definitions
from models.workflows import StoredDefinition

PLATFORM_PREFIX = "tooloo-"

_COLUMNS = (
    definition_versions.c.definition_id.label("id"),
    definition_versions.c.version,
    definition_versions.c.hash,
    definition_versions.c.source,
    definitions.c.owner_id,
    definition_versions.c.created_at,
    definition_versions.c.calls,
)
_CURRENT = and_(
    definition_versions.c.definition_id == definitions.c.id, definition_versions.c.version == definitions.c.version
)

# Built once: whoever starts a run waits for it.
_CURRENT_VERSION = select(definitions.c.version).where(
    definitions.c.id == bindparam("id"), definitions.c.deleted_at.is_(None)
)

_USES = (
    "@.service == $service && @.action == $actions[*]"
    " || @.compensate.service == $service && @.compensate.action == $actions[*]"
    " || @.workflow.id == $workflows[*]"
)


def _owned(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else definitions.c.owner_id == caller.user_id


async def lock_calls(connection: AsyncConnection) -> None:
    """Until the end of the transaction, nobody else saves a definition that runs others: two could close a circle."""
    await connection.execute(select(func.pg_advisory_xact_lock(0x746F6F6C6F6F)))


async def save_definition(
    connection: AsyncConnection,
    caller: Caller,
    definition_id: str,
    source: dict[str, Any],
    digest: str,
    calls: Mapping[str, int] | None = None,
) -> tuple[int, bool]:
    """Make a new version unless the current one means the same: the version, and whether anything changed.

    `calls`: the versions of the workflows that it names without one.
    Raises ForbiddenError when an author posts somebody else's definition.
    """
    created = await connection.execute(
        upsert(definitions).values(id=definition_id, owner_id=caller.user_id, version=0).on_conflict_do_nothing()
    )
    row = (
        await connection.execute(select(definitions).where(definitions.c.id == definition_id).with_for_update())
    ).one()
    if row.owner_id != caller.user_id and caller.role is not Role.ADMIN:
        raise ForbiddenError(f"the definition {definition_id} belongs to somebody else; choose another id")
    current = await connection.scalar(
        select(definition_versions.c.hash).where(
            definition_versions.c.definition_id == definition_id, definition_versions.c.version == row.version
        )
    )
    if current == digest and row.deleted_at is None:
        return row.version, False
    version = row.version + 1
    await connection.execute(
        insert(definition_versions).values(
            definition_id=definition_id,
            version=version,
            hash=digest,
            source=source,
            calls=dict(calls or {}),
            owner_id=caller.user_id,
        )
    )
    await connection.execute(
        update(definitions)
        .where(definitions.c.id == definition_id)
        .values(version=version, deleted_at=None, updated_at=func.now())
    )
    action = "workflow.create" if created.rowcount else "workflow.change"
    await record_change(connection, caller.user_id, action, f"workflow/{definition_id}", {"version": version})
    return version, True


async def find_definition(connection: AsyncConnection, caller: Caller, definition_id: str) -> StoredDefinition:
    """The current version of a definition the caller may read. Raises NotFoundError."""
    return await _one(connection, definition_id, _CURRENT, definitions.c.deleted_at.is_(None), _owned(caller))


async def current_version(connection: AsyncConnection, definition_id: str) -> int:
    """The current version, for whoever its `access` lets in: the caller of this decides. Raises NotFoundError."""
    version = await connection.scalar(_CURRENT_VERSION, {"id": definition_id})
    if version is None:
        raise NotFoundError("There is no such workflow.")
    return version


async def find_current(connection: AsyncConnection, definition_id: str) -> StoredDefinition:
    """The current version, for whoever its `access` lets in: the caller of this decides. Raises NotFoundError."""
    return await _one(connection, definition_id, _CURRENT, definitions.c.deleted_at.is_(None))


async def find_version(connection: AsyncConnection, definition_id: str, version: int) -> StoredDefinition:
    """A version a run is pinned to, deleted or not. Whoever may see the run may see it. Raises NotFoundError."""
    if not 0 < version <= MAX_VERSION:
        raise NotFoundError("There is no such workflow.")
    joined = and_(definition_versions.c.definition_id == definitions.c.id, definition_versions.c.version == version)
    return await _one(connection, definition_id, joined)


async def find_latest(connection: AsyncConnection, definition_id: str) -> StoredDefinition:
    """The newest version, deleted or not. Whoever calls this decides who may see it."""
    return await _one(connection, definition_id, _CURRENT)


async def _one(
    connection: AsyncConnection, definition_id: str, joined: ColumnElement[bool], *conditions: ColumnElement[bool]
) -> StoredDefinition:
    query = select(*_COLUMNS).join(definitions, joined).where(definitions.c.id == definition_id, *conditions)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFoundError("There is no such workflow.")
    return StoredDefinition(**row)


async def list_definitions(
    connection: AsyncConnection, caller: Caller, *, after: str | None, limit: int
) -> list[StoredDefinition]:
    """Current versions by id; the platform's own are left out."""
    query = (
        select(*_COLUMNS)
        .join(definitions, _CURRENT)
        .where(
            definitions.c.deleted_at.is_(None),
            _owned(caller),
            definitions.c.id > (after or ""),
            definitions.c.id.not_like(PLATFORM_PREFIX.replace("_", r"\_") + "%"),
        )
        .order_by(definitions.c.id)
        .limit(limit)
    )
    return [StoredDefinition(**row) for row in (await connection.execute(query)).mappings()]


async def list_versions(
    connection: AsyncConnection, caller: Caller, definition_id: str, *, before: int | None, limit: int
) -> list[StoredDefinition]:
    """Versions of a definition, newest first. Raises NotFoundError."""
    await find_definition(connection, caller, definition_id)
    query = (
        select(*_COLUMNS)
        .join(definitions, definition_versions.c.definition_id == definitions.c.id)
        .where(definitions.c.id == definition_id, _owned(caller))
        .order_by(definition_versions.c.version.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(definition_versions.c.version < before)
    return [StoredDefinition(**row) for row in (await connection.execute(query)).mappings()]


async def delete_definition(connection: AsyncConnection, caller: Caller, definition_id: str) -> None:
    """Hide a definition. Its runs and versions stay; posting it again continues the count. Raises NotFoundError."""
    if not await delete_definitions(connection, caller, [definition_id]):
        raise NotFoundError("There is no such workflow.")


async def delete_definitions(connection: AsyncConnection, caller: Caller, ids: Sequence[str]) -> Sequence[str]:
    """Hide those that are there and the caller's; which they were."""
    deleted = await connection.scalars(
        update(definitions)
        .where(definitions.c.id.in_(ids), definitions.c.deleted_at.is_(None), _owned(caller))
        .values(deleted_at=func.now())
        .returning(definitions.c.id)
    )
    found = deleted.all()
    for definition_id in found:
        await record_change(connection, caller.user_id, "workflow.delete", f"workflow/{definition_id}")
    return found


async def users_of_actions(
    connection: AsyncConnection, service: str, actions: Sequence[str], workflows: Sequence[str]
) -> list[str]:
    """Ids of the definitions whose current version names one of these actions of a service, or of these workflows.

    The platform's own do not count.
    """
    uses = or_(
        *(
            func.jsonb_path_exists(
                definition_versions.c.source,
                literal(f"$.{steps}[*] ? ({_USES})", JSONPATH),
                literal({"service": service, "actions": list(actions), "workflows": list(workflows)}, JSONB),
            )
            for steps in ("steps", "on_failure")
        )
    )
    query = (
        select(definitions.c.id)
        .join(definition_versions, _CURRENT)
        .where(definitions.c.deleted_at.is_(None), definitions.c.id.not_like(PLATFORM_PREFIX + "%"), uses)
        .order_by(definitions.c.id)
    )
    return list(await connection.scalars(query))
