"""API keys."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import TypeAdapter
from starlette.responses import Response

from api.dependencies import AdminDep, DatabaseDep, LookupsDep, SettingsDep
from api.idempotency import Answer
from api.pagination import Page, PageDep
from api.repeatable import IdempotencyDep
from api.routing import resource
from models.identity import CreatedKey, KeyInfo, NewKey
from services.identity import keys

router = resource("keys")
_CURSOR = TypeAdapter(UUID)


@router.post("/keys", status_code=201, response_model=CreatedKey)
async def create_key(
    new: NewKey, caller: AdminDep, database: DatabaseDep, settings: SettingsDep, idempotency: IdempotencyDep
) -> Response:
    """Make an API key, and its user when new. The key is shown in this answer and never again."""
    keys.check_new_key(new, datetime.now(UTC), authors=settings.authors)
    async with database.begin() as connection:

        async def create() -> Answer:
            return Answer.of(201, await keys.create_key(connection, new, actor_id=caller.user_id))

        answer = await idempotency.answer_once(connection, create)
    return answer.response()


@router.get("/keys")
async def list_keys(_: AdminDep, lookups: LookupsDep, page: PageDep) -> Page[KeyInfo]:
    """API keys that were not revoked, newest first, without their secrets."""
    before = page.after(_CURSOR)
    async with lookups.connect() as connection:
        rows = await keys.list_keys(connection, page.rows, before=None if before is None else str(before))
    return page.page(rows, lambda row: row.id)


@router.delete("/keys/{key_id}", status_code=204)
async def revoke_key(key_id: Annotated[UUID, Path()], caller: AdminDep, database: DatabaseDep) -> None:
    """Make a key useless at once. The last admin key is refused with 409."""
    async with database.begin() as connection:
        await keys.revoke_key(connection, str(key_id), actor_id=caller.user_id)
