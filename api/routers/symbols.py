"""Symbols of repositories: what a file or a folder defines, where a name is defined, and where it stands."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import TypeAdapter

from api.dependencies import CallerDep, PartsDep
from api.pagination import Page, PageDep, Place
from api.parts import Parts
from api.routers.repositories import (
    LOADING,
    PLACE_CURSOR,
    TOO_LARGE,
    Opened,
    PathQuery,
    RepositoryPath,
    RevQuery,
    read_commit,
)
from api.routing import resource
from models.context import CommitName
from models.cursors import write_cursor
from models.errors import InvalidInputError, Problem
from models.symbols import AtCommit, Definition, FoundDefinition, Named, Occurrence
from services.context import reading
from services.context.search import navigation
from services.context.search.evaluation import IndexedCommit, Target
from services.context.search.navigation import Part, Sought, Wanted
from services.context.symbols import Kind

router = resource("context")

_CURSOR = TypeAdapter[tuple[str, tuple[int, int]]](tuple[CommitName, tuple[Place, Place]])
_Number = Annotated[int | None, Query(ge=1, lt=2**31)]
_Name = Annotated[str | None, Query(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x1f]+$")]


class Symbols(AtCommit, Page[Definition]):
    """Some definitions, by path and place."""


class Definitions(Named, Page[FoundDefinition]):
    """Some definitions of a name, the most probable first."""


class References(Named, Page[Occurrence]):
    """Some occurrences of a name."""

    unparsed: int
    """Files of this page that the parser gave up on: words in comments and texts are listed, too."""


@dataclass(frozen=True)
class _Asked:
    """A name, or the place of one."""

    name: str | None
    path: str
    line: int
    column: int

    def sought(self, commit: IndexedCommit, parts: Parts) -> Sought:
        """The name. Raises NotFoundError for no file at the path, InvalidInputError for no identifier at the place."""
        if self.name is not None:
            return Sought(self.name)
        path = b"/".join(reading.parse_path(self.path))
        return navigation.identify(commit, parts.parsers, path, self.line, self.column)


async def _asked(
    path: Annotated[str | None, Query(max_length=4_000, description="A file. With `line` and `column`.")] = None,
    line: _Number = None,
    column: Annotated[_Number, Query(description="In characters, from 1.")] = None,
    name: Annotated[_Name, Query(description="In place of a path with its line and column.")] = None,
) -> _Asked:
    place = {"path": path, "line": line, "column": column}
    if name is not None:
        wrong, code, message = (
            [field for field, given in place.items() if given is not None],
            "extra",
            "name stands alone",
        )
    else:
        wrong, code, message = [field for field, given in place.items() if given is None], "missing-field", "needed"
    if wrong:
        problems = [Problem(pointer=f"/query/{field}", code=code, message=message) for field in wrong]
        raise InvalidInputError("Say a name, or a path with a line and a column.", problems=problems)
    return _Asked(name, path or "", line or 0, column or 0)


_AskedDep = Annotated[_Asked, Depends(_asked)]


@router.get("/context/repos/{repository_id}/symbols", responses=LOADING | TOO_LARGE)
async def list_symbols(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    path: PathQuery = "",
    rev: RevQuery = None,
    name: Annotated[str, Query(max_length=1_000, description="Part of the name, in any case.")] = "",
    kind: Kind | None = None,
) -> Symbols:
    """Definitions in a file, its outline; or in all files below a folder, once they are indexed (404 `not-indexed`)."""
    names, wanted = reading.parse_path(path), Wanted(name, kind)
    commit, start = page.after(_CURSOR) or (rev, (0, 0))

    def read(opened: Opened) -> Symbols:
        served = opened.commit.decode()
        source = reading.read_source(opened.objects, opened.commit, names)
        if source is None:
            indexed = _indexed(parts, repository_id, served)
            part = navigation.list_symbols(indexed, b"/".join(names), wanted, start, page.limit)
        else:
            part = navigation.outline(parts.parsers, path.rstrip("/"), source, wanted, start[1], page.limit)
        return Symbols(**_page(served, part))

    return await read_commit(parts, repository_id, caller, commit, read)


@router.get("/context/repos/{repository_id}/definition", responses=LOADING)
async def find_definitions(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    asked: _AskedDep,
    rev: RevQuery = None,
) -> Definitions:
    """What the identifier at a place may mean, or a name: nearest definitions first. Needs an indexed commit.

    422 `no-identifier` when none is at the place; 404 `not-indexed` until the commit is.
    """
    commit, start = page.after(PLACE_CURSOR) or (rev, 0)

    def read(opened: Opened) -> Definitions:
        served = opened.commit.decode()
        indexed = _indexed(parts, repository_id, served)
        sought = asked.sought(indexed, parts)
        found, complete = navigation.find_definitions(indexed, sought, start, page.rows)
        shown = page.page(found, lambda _: (served, start + page.limit))
        return Definitions(**dict(shown), commit=served, name=sought.name, complete=complete)

    return await read_commit(parts, repository_id, caller, commit, read)


@router.get("/context/repos/{repository_id}/references", responses=LOADING)
async def find_references(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    asked: _AskedDep,
    rev: RevQuery = None,
) -> References:
    """Where the identifier at a place, or a name, stands as an identifier, definitions included. As `definition`."""
    commit, start = page.after(_CURSOR) or (rev, (0, 0))

    def read(opened: Opened) -> References:
        served = opened.commit.decode()
        indexed = _indexed(parts, repository_id, served)
        sought = asked.sought(indexed, parts)
        part, unparsed = navigation.find_references(indexed, parts.parsers, sought, start, page.limit)
        return References(**_page(served, part), name=sought.name, unparsed=unparsed)

    return await read_commit(parts, repository_id, caller, commit, read)


def _indexed(parts: Parts, repository_id: str, commit: str) -> IndexedCommit:
    return parts.search.indexed(Target(repository_id, "The repository", commit))


def _page(commit: str, part: Part[Any]) -> dict[str, Any]:
    following = None if part.following is None else write_cursor((commit, part.following))
    return {"items": part.items, "next_cursor": following, "commit": commit, "complete": part.complete}
