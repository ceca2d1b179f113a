"""A search as its caller asks for it: in all repositories that they may read."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from pydantic import Field, TypeAdapter
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.context import FileMatch, LoadedRepo, Search, SearchEnd, SearchResults, SkippedFile
from models.cursors import read_cursor, write_cursor
from models.errors import ConflictError, InvalidInputError, Problem
from models.identity import Caller
from models.repositories import Repository
from services.context import repositories
from services.context.revisions import as_abbreviation, as_commit
from services.context.search.evaluation import Target
from services.context.search.query import MOST_FILES, Query, parse
from services.context.search.searching import Found, Results, SearchService

_PAGE = 30
"""Files, unless the query says `count:`."""
_MOMENT_SECONDS = 0.02
"""Of work, before what it has found is sent."""
_CURSOR = TypeAdapter(tuple[Annotated[int, Field(ge=0)], str])


@dataclass(frozen=True)
class Question:
    """What a search is about, once it is known which commits its caller may search."""

    text: str
    query: Query
    targets: Sequence[Target]
    not_indexed: Sequence[str]
    offset: int

    def end(self, found: Found | Results, skipped: Sequence[SkippedFile] | None) -> SearchEnd:
        """How the search went."""
        following = found.next_offset
        return SearchEnd(
            query=self.text,
            total=found.total,
            is_complete=found.is_complete,
            next_cursor=None if following is None else write_cursor((following, _version(self.targets))),
            not_indexed=tuple(self.not_indexed),
            skipped=None if skipped is None else tuple(skipped),
        )


async def ask(
    database: AsyncEngine, service: SearchService, caller: Caller, asked: Search, *, explain: bool = False
) -> SearchResults:
    """A page of what the query finds.

    Raises InvalidInputError with the place in the query, and ConflictError `outdated-cursor` when a commit was loaded
    since the page before.
    """
    question = await _question(database, service, caller, asked)
    query = question.query
    found = await asyncio.to_thread(service.search, query, question.targets, query.count or _PAGE, question.offset)
    end = question.end(found, await asyncio.to_thread(service.skipped, question.targets) if explain else None)
    return SearchResults(**dict(end), items=found.items)


async def begin(
    database: AsyncEngine, service: SearchService, caller: Caller, asked: Search
) -> tuple[Question, Results]:
    """A search whose files are given one by one (`follow`). Raises as `ask` does."""
    question = await _question(database, service, caller, asked)
    most = question.query.count or MOST_FILES
    return question, await asyncio.to_thread(service.begin, question.query, question.targets, most, question.offset)


async def follow(
    service: SearchService, question: Question, results: Results, *, explain: bool = False
) -> AsyncGenerator[FileMatch | SearchEnd]:
    """The files as they are found, in the order of pages, then how it went. Nobody listens any more: it stops.

    It works for moments, in a thread, and only when the files before were taken: a slow listener holds nothing up.
    """
    while not results.has_ended:
        for file in await asyncio.to_thread(results.advance, _MOMENT_SECONDS):
            yield file
    yield question.end(results, await asyncio.to_thread(service.skipped, question.targets) if explain else None)


async def _question(database: AsyncEngine, service: SearchService, caller: Caller, asked: Search) -> Question:
    query = parse(asked.query)
    async with database.connect() as connection:  # given back before the search, which may take seconds
        readable, named = await _readable(connection, caller, query, asked.repo)
    targets, waiting = await asyncio.to_thread(_targets, service, query, readable, named)
    return Question(asked.query, query, targets, waiting, _offset(asked.cursor, _version(targets)))


async def _readable(
    connection: AsyncConnection, caller: Caller, query: Query, only: LoadedRepo | None
) -> tuple[list[Repository], Mapping[str, str]]:
    """The repositories to search in, and the commits that the query's `rev:` names in them."""
    readable = await repositories.visible(connection, caller)
    if only is not None:
        await repositories.check_reader(connection, only.id, caller)
        readable = [one.model_copy(update={"commit": only.commit}) for one in readable if one.id == only.id]
    if query.rev is None:
        return readable, {}
    return readable, await repositories.commits_named(connection, [one.id for one in readable], query.rev)


def _targets(
    service: SearchService, query: Query, readable: Sequence[Repository], named: Mapping[str, str]
) -> tuple[list[Target], list[str]]:
    """The commits to search in, and the names of repositories that are not indexed yet."""
    if query.rev is not None:
        found = (Target(one.id, one.name, named.get(one.id) or _indexed(service, one, query.rev)) for one in readable)
        return [target for target in found if target.commit and service.holds(target)], []
    targets = [Target(one.id, one.name, one.commit) for one in readable if one.commit]
    indexed = [target for target in targets if service.holds(target)]
    return indexed, [target.name for target in targets if target not in indexed]


def _indexed(service: SearchService, repository: Repository, rev: str) -> str:
    """The one indexed commit whose name begins so; empty without one."""
    if as_commit(rev) is None and as_abbreviation(rev) is None:
        return ""
    found = [commit for commit in service.commits(repository.id) if commit.startswith(rev.lower())]
    if len(found) > 1:
        message = f"{rev} abbreviates several commits of {repository.name}: give more digits."
        raise InvalidInputError(message, problems=[Problem(pointer="/q", code="ambiguous-rev", message=message)])
    return found[0] if found else ""


def _version(targets: Sequence[Target]) -> str:
    """What a page depends on beside its query."""
    return blake2b(to_json([(target.id, target.commit) for target in targets]), digest_size=8).hexdigest()


def _offset(cursor: str | None, version: str) -> int:
    if cursor is None:
        return 0
    offset, of = read_cursor(cursor, _CURSOR)
    if of != version:
        raise ConflictError("A commit was loaded since the page before: search again.", code="outdated-cursor")
    return offset
