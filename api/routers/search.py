"""Search in repositories."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.dependencies import CallerDep, LookupsDep, PartsDep
from api.routing import resource
from models.context import Search, SearchEnd, SearchResults
from services.context.search.asking import Question, ask, begin, follow
from services.context.search.searching import Results

router = resource("context")

QueryText = Annotated[str, Query(max_length=2_000, examples=["symbol:compile lang:python"])]
SearchCursor = Annotated[str | None, Query(max_length=4_000, description="next_cursor of the page before.")]
Explain = Annotated[bool, Query(description="List files whose content is not searched.")]


@router.get("/context/search")
async def search(
    caller: CallerDep,
    parts: PartsDep,
    lookups: LookupsDep,
    q: QueryText,
    cursor: SearchCursor = None,
    explain: Explain = False,
) -> SearchResults:
    """Files in all repositories that the caller may read, in the query language of docs/context.md."""
    return await ask(lookups, parts.search, caller, Search(query=q, cursor=cursor), explain=explain)


async def _begun(
    caller: CallerDep, parts: PartsDep, lookups: LookupsDep, q: QueryText, cursor: SearchCursor = None
) -> tuple[Question, Results]:
    """Refuse before a stream begins: after that there is no status to answer with."""
    return await begin(lookups, parts.search, caller, Search(query=q, cursor=cursor))


@router.get("/context/search/stream", response_class=EventSourceResponse)
async def stream_search(
    begun: Annotated[tuple[Question, Results], Depends(_begun)], parts: PartsDep, explain: Explain = False
) -> AsyncIterator[ServerSentEvent]:
    """The same files, server-sent while others are looked for: `file` for each, then `end`, which counts them.

    Up to 1,000, or as many as `count:` says; `next_cursor` of the end leads on, here and in pages.
    """
    async for found in follow(parts.search, *begun, explain=explain):
        kind = "end" if isinstance(found, SearchEnd) else "file"
        yield ServerSentEvent(event=kind, raw_data=found.model_dump_json())
