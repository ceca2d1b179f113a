"""A search as its caller asks for it: in all repositories that they may read."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json
from sqlalchemy.ext.asyncio import AsyncConnection

from models.context import Search, SearchResults
from models.errors import ConflictError, InvalidInputError, Problem
from models.identity import Caller
from models.repositories import Repository
from services.context import repositories
from services.context.search.query import Query, parse
from services.context.search.searching import SearchService, Target

_PAGE = 30
"""Files, unless the query says `count:`."""
_SHORTEST_COMMIT = 7
"""Digits of a commit's name that `rev:` may give."""
_CURSOR = TypeAdapter(tuple[int, str])


async def ask(
    connection: AsyncConnection, service: SearchService, caller: Caller, asked: Search, *, explain: bool = False
) -> SearchResults:
    """A page of what the query finds.

    Raises InvalidInputError with the place in the query, and ConflictError `outdated-cursor` when a commit was loaded
    since the page before.
    """
    query = parse(asked.query)
    targets, waiting = await _targets(connection, service, caller, query)
    version = _version(targets)
    offset = _offset(asked.cursor, version)
    found = await asyncio.to_thread(service.search, query, targets, query.count or _PAGE, offset)
    return SearchResults(
        query=asked.query,
        total=found.total,
        is_complete=found.is_complete,
        items=found.items,
        next_cursor=None if found.next_offset is None else _cursor(found.next_offset, version),
        not_indexed=tuple(waiting),
        skipped=await asyncio.to_thread(service.skipped, targets) if explain else None,
    )


async def _targets(
    connection: AsyncConnection, service: SearchService, caller: Caller, query: Query
) -> tuple[list[Target], list[str]]:
    """The commits to search in, and the names of repositories that are not indexed yet."""
    targets: list[Target] = []
    waiting: list[str] = []
    for repository in await repositories.visible(connection, caller):
        commit = (
            repository.commit if query.rev is None else await _commit_of(connection, service, repository, query.rev)
        )
        if commit is None:
            continue
        target = Target(repository.id, repository.name, commit)
        if service.holds(target):
            targets.append(target)
        elif query.rev is None:
            waiting.append(repository.name)
    return targets, waiting


async def _commit_of(
    connection: AsyncConnection, service: SearchService, repository: Repository, rev: str
) -> str | None:
    """The indexed commit that a branch, a tag or the beginning of a commit's name means here."""
    named = await repositories.named_commits(connection, repository.id, [rev])
    if rev in named:
        return named[rev]
    if len(rev) < _SHORTEST_COMMIT:
        return None
    return next((commit for commit in service.commits(repository.id) if commit.startswith(rev.lower())), None)


def _version(targets: Sequence[Target]) -> str:
    """What a page depends on beside its query."""
    return blake2b(to_json([(target.id, target.commit) for target in targets]), digest_size=8).hexdigest()


def _cursor(offset: int, version: str) -> str:
    return urlsafe_b64encode(to_json((offset, version))).rstrip(b"=").decode()


def _offset(cursor: str | None, version: str) -> int:
    if cursor is None:
        return 0
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        offset, of = _CURSOR.validate_python(from_json(urlsafe_b64decode(padded)), strict=False)
    except (ValidationError, ValueError) as error:
        message = "This is no cursor of a search. Use the next_cursor of its last page, or none."
        problem = Problem(pointer="/query/cursor", code="bad-cursor", message=message)
        raise InvalidInputError(message, problems=[problem]) from error
    if of != version:
        raise ConflictError("A commit was loaded since the page before: search again.", code="outdated-cursor")
    return max(0, offset)
