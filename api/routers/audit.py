"""The audit trail."""

from typing import Annotated

from fastapi import Query
from pydantic import Field, TypeAdapter

from api.dependencies import AdminDep, LookupsDep
from api.pagination import Page, PageDep
from api.routing import resource
from models.identity import AuditEntry
from services.identity import audit

router = resource("audit")
_CURSOR = TypeAdapter[int](Annotated[int, Field(ge=0, lt=2**63)])


@router.get("/audit")
async def list_audit(
    _: AdminDep,
    lookups: LookupsDep,
    page: PageDep,
    actor: Annotated[str | None, Query(description="Who did it.", examples=["ada"])] = None,
    target: Annotated[str | None, Query(description="To what.", examples=["key/0197…"])] = None,
    action: Annotated[str | None, Query(description="What was done.", examples=["key.create"])] = None,
) -> Page[AuditEntry]:
    """Every change of state, newest first."""
    before = page.after(_CURSOR)
    async with lookups.connect() as connection:
        rows = await audit.list_changes(
            connection, page.rows, before=before, actor_id=actor, target=target, action=action
        )
    return page.page(rows, lambda row: row.id)
