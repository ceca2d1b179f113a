"""Users."""

from pydantic import TypeAdapter

from api.dependencies import AdminDep, LookupsDep
from api.pagination import Page, PageDep
from api.routing import resource
from models.identity import UserId, UserInfo
from services.identity import users

router = resource("users")
_CURSOR = TypeAdapter[str](UserId)


@router.get("/users")
async def list_users(_: AdminDep, lookups: LookupsDep, page: PageDep) -> Page[UserInfo]:
    """Everyone the platform knows, by id, with role and time zone."""
    async with lookups.connect() as connection:
        rows = await users.list_users(connection, page.rows, after=page.after(_CURSOR))
    return page.page(rows, lambda row: row.id)
