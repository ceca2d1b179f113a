"""Secrets: what a user keeps for workers to use. No route gives a value back."""

from pydantic import TypeAdapter

from api.dependencies import CallerDep, LookupsDep, PartsDep
from api.pagination import Page, PageDep
from api.routing import resource
from models.secrets import NewSecret, SecretInfo, SecretName
from services.identity import secrets

router = resource("secrets")
_CURSOR = TypeAdapter[str](SecretName)


@router.get("/secrets")
async def list_secrets(caller: CallerDep, lookups: LookupsDep, page: PageDep) -> Page[SecretInfo]:
    """The caller's secrets by name. Their values are never shown."""
    after = page.after(_CURSOR)
    async with lookups.connect() as connection:
        rows = await secrets.list_secrets(connection, caller.user_id, page.rows, after=after)
    return page.page(rows, lambda row: row.name)


@router.put("/secrets/{name}", status_code=204)
async def put_secret(name: str, new: NewSecret, caller: CallerDep, parts: PartsDep) -> None:
    """Keep a secret, in place of the one the caller has under this name. 409 `secret-quota` to those with too many."""
    secrets.check_name(name)
    sealed = parts.secret_seal.seal(caller.user_id, name, new.value, new.host)
    async with parts.database.begin() as connection:
        await secrets.put_secret(connection, sealed)


@router.delete("/secrets/{name}", status_code=204)
async def delete_secret(name: str, caller: CallerDep, parts: PartsDep) -> None:
    """Forget a secret. What was loaded with it stays; loading it again does not work any more."""
    async with parts.database.begin() as connection:
        await secrets.delete_secret(connection, caller.user_id, name)
