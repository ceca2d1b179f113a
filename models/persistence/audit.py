"""The append-only record of who changed what, written in the transaction of the change."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.persistence.tables import audit


async def record_change(
    connection: AsyncConnection, actor_id: str, action: str, target: str, detail: dict[str, Any] | None = None
) -> None:
    """One change: `actor_id` did `action` (`key.create`) to `target` (`key/…`). No secrets in `detail`."""
    await connection.execute(insert(audit).values(actor_id=actor_id, action=action, target=target, detail=detail or {}))
