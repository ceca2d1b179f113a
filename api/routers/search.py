"""Search in repositories."""

from typing import Annotated

from fastapi import Query

from api.dependencies import CallerDep, LookupsDep, PartsDep
from api.routing import resource
from models.context import Search, SearchResults
from services.context.search.asking import ask

router = resource("context")


@router.get("/context/search")
async def search(
    caller: CallerDep,
    parts: PartsDep,
    lookups: LookupsDep,
    q: Annotated[str, Query(max_length=2_000, examples=["symbol:compile lang:python"])],
    cursor: Annotated[str | None, Query(max_length=4_000, description="next_cursor of the page before.")] = None,
    explain: Annotated[bool, Query(description="List files whose content is not searched.")] = False,
) -> SearchResults:
    """Files in all repositories that the caller may read, in the query language of docs/context.md."""
    return await ask(lookups, parts.search, caller, Search(query=q, cursor=cursor), explain=explain)
