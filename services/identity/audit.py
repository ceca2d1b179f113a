"""Reading the append-only record of changes."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from models.identity import AuditEntry
from models.persistence.tables import audit


async def list_changes(
    connection: AsyncConnection,
    limit: int,
    *,
    before: int | None = None,
    actor_id: str | None = None,
    target: str | None = None,
    action: str | None = None,
) -> list[AuditEntry]:
    """Changes, newest first, older than the entry `before`, with this actor, target and action."""
    statement = select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit.c.id < before)
    for column, wanted in ((audit.c.actor_id, actor_id), (audit.c.target, target), (audit.c.action, action)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return [AuditEntry(**row) for row in (await connection.execute(statement)).mappings()]
