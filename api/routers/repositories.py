"""Repositories of the context service: loading them, and reading what is in them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from dulwich.objects import ObjectID
from fastapi import BackgroundTasks, Path, Query
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from api import runs as views
from api.dependencies import CallerDep, PartsDep
from api.idempotency import Answer, Idempotency
from api.pagination import Instant, Page, PageDep, Place, Text
from api.parts import Parts
from api.problems import MEDIA_TYPE, is_unexpected
from api.repeatable import IdempotencyDep
from api.routing import resource
from models.context import LOAD_REPOSITORY, REMOVE_REPO, CommitName, LoadRepo
from models.errors import ForbiddenError, InvalidInputError, NotFoundError, Problem
from models.identity import SYSTEM, Caller
from models.repositories import CommitInfo, FileContents, LoadAccepted, Repository, TreeEntry
from models.settings import Settings
from models.workflows import ExecuteRequest
from services.context import reading, repositories
from services.context.credentials import check_destination
from services.context.loading import find_source
from services.context.local import Roots
from services.context.objects import Objects
from services.context.repositories import Wanted
from services.context.sources import LocalSource, Source, source_again
from services.identity.secrets import host_of
from services.orchestration.runs import open_run
from workflows.platform import action_definition_id

T = TypeVar("T")
router = resource("context")

RepositoryPath = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", examples=["0f3d8a4c5e6b7a8990a1b2c3d4e5f607"])]
PathQuery = Annotated[str, Query(max_length=4_000, description="From the top, such as `docs/index.md`.")]
RevQuery = Annotated[
    str | None,
    Query(
        max_length=300,
        pattern=r"^[^\x00]+$",
        description="A branch or tag that was loaded, or a commit that was; left out, the one the repository shows.",
        examples=["main"],
    ),
]
LinesQuery = Annotated[str | None, Query(max_length=20, description="`10-20`, or `10`.", examples=["10-20"])]
_CURSOR = TypeAdapter[tuple[datetime, str]](tuple[Instant, Text])
PLACE_CURSOR = TypeAdapter[tuple[str, int]](tuple[CommitName, Place])
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
LOADING: dict[int | str, dict[str, Any]] = {409: {"description": "There is nothing to read yet.", "content": _PROBLEM}}
TOO_LARGE: dict[int | str, dict[str, Any]] = {413: {"description": "More than 2 MiB.", "content": _PROBLEM}}


@dataclass(frozen=True)
class Opened:
    """A repository of the store, opened for reading, and the commit to read."""

    objects: Objects
    commit: ObjectID


class History(Page[CommitInfo]):
    """Some commits of a history, newest first."""

    complete: bool
    """False: the search for more was given up after many commits that changed nothing there."""


@router.post("/context/repos", status_code=202, response_model=LoadAccepted)
async def load_repository(
    wanted: LoadRepo, caller: CallerDep, parts: PartsDep, idempotency: IdempotencyDep, background: BackgroundTasks
) -> Response:
    """Load a repository, or what is new in it. 409 `repository-quota` to those who have as many as they may.

    A private one is loaded with `credential`, the name of a secret (`PUT /secrets/{name}`): `user:password` or a token.
    """
    source = await asyncio.to_thread(_source_of, wanted, parts.settings)
    return await _load(source, wanted, caller, parts, idempotency, background)


@router.get("/context/repos")
async def list_repositories(
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    name: Annotated[str | None, Query(max_length=300, pattern=r"^[^\x00]*$", examples=["psf/requests"])] = None,
) -> Page[Repository]:
    """Repositories the caller has asked for or that are shared, newest first; all for admins."""
    async with parts.autocommit.connect() as connection:
        rows = await repositories.list_repositories(
            connection, caller, name=name, before=page.after(_CURSOR), limit=page.rows
        )
    return page.page(rows, lambda one: (one.created_at, one.id))


@router.get("/context/repos/{repository_id}")
async def get_repository(repository_id: RepositoryPath, caller: CallerDep, parts: PartsDep) -> Repository:
    """A repository and how far its load is; `links.run` has the run. Without `steps` while Temporal is away."""
    found = await _find(parts, repository_id, caller)
    if found.run_id is None or found.status not in {"loading", "indexing"}:
        return found
    try:
        run = await views.show_run(parts, caller, None, found.run_id)
    except Exception as error:
        if is_unexpected(error):
            raise
        return found
    if run.status.ended:
        found = await _find(parts, repository_id, caller)
    progress = next((step.progress for step in run.steps if step.progress is not None), None)
    links = {**found.links, "events": run.links["events"]}
    return found.model_copy(update={"steps": run.steps, "progress": progress, "links": links})


@router.delete("/context/repos/{repository_id}", status_code=204)
async def delete_repository(
    repository_id: RepositoryPath, caller: CallerDep, parts: PartsDep, background: BackgroundTasks
) -> None:
    """Give a repository up. Once nobody wants it, it is removed. An admin who has not asked for it removes it for all.

    403 for a shared repository that the caller has not asked for.
    """
    compiled = await views.find_runnable(parts, SYSTEM, action_definition_id(REMOVE_REPO))
    run = views.new_run(compiled, SYSTEM, ExecuteRequest(input={"id": repository_id}))
    async with parts.database.begin() as connection:
        gone = await repositories.forget(connection, repository_id, caller)
        if gone:
            await open_run(connection, run)
    if gone:
        background.add_task(views.start_later, parts, compiled, run)


@router.post("/context/repos/{repository_id}/refresh", status_code=202, response_model=LoadAccepted)
async def refresh_repository(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    idempotency: IdempotencyDep,
    background: BackgroundTasks,
) -> Response:
    """Load again what the caller asked for; only the difference is fetched."""
    found = await _find(parts, repository_id, caller)
    source = source_again(found.source)
    place = "path" if isinstance(source, LocalSource) else "url"
    wanted = LoadRepo.model_validate({place: source.text, "ref": found.ref, "credential": found.credential})
    return await _load(source, wanted, caller, parts, idempotency, background)


@router.get("/context/repos/{repository_id}/tree", responses=LOADING)
async def list_tree(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    path: PathQuery = "",
    rev: RevQuery = None,
) -> Page[TreeEntry]:
    """Entries of a folder, folders first. All pages are of the commit that the first one was of."""
    names = reading.parse_path(path)
    commit, start = page.after(PLACE_CURSOR) or (rev, 0)

    def read(opened: Opened) -> tuple[str, list[TreeEntry]]:
        entries = reading.list_folder(opened.objects, opened.commit, names, start, page.rows)
        return opened.commit.decode(), entries

    served, entries = await read_commit(parts, repository_id, caller, commit, read)
    return page.page(entries, lambda _: (served, start + page.limit))


@router.get("/context/repos/{repository_id}/file", responses=LOADING | TOO_LARGE)
async def get_file(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    path: PathQuery,
    rev: RevQuery = None,
    lines: LinesQuery = None,
) -> FileContents:
    """A file or some of its lines, as text; in base64 when it is binary. 413 `file-too-large` above 2 MiB."""
    names, wanted = reading.parse_path(path), reading.parse_lines(lines)

    def read(opened: Opened) -> FileContents:
        return reading.read_file(opened.objects, opened.commit, names, wanted)

    return await read_commit(parts, repository_id, caller, rev, read)


@router.get("/context/repos/{repository_id}/history", responses=LOADING)
async def list_history(
    repository_id: RepositoryPath,
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    path: PathQuery = "",
    rev: RevQuery = None,
) -> History:
    """Commits that changed a file or what is in a folder, newest first, as `git log -- path` lists them."""
    names = reading.parse_path(path)
    commit, skip = page.after(PLACE_CURSOR) or (rev, 0)

    def read(opened: Opened) -> tuple[str, reading.HistoryPage]:
        return opened.commit.decode(), reading.read_history(opened.objects, opened.commit, names, skip, page.rows)

    served, found = await read_commit(parts, repository_id, caller, commit, read)
    shown = page.page(found.commits, lambda _: (served, skip + page.limit))
    return History(items=shown.items, next_cursor=shown.next_cursor, complete=found.complete)


async def read_commit(
    parts: Parts, repository_id: str, caller: Caller, rev: str | None, read: Callable[[Opened], T]
) -> T:
    """Read one commit in a thread. `rev`: a name under which something was loaded, or the name of its commit."""
    async with parts.autocommit.connect() as connection:
        found = await repositories.find_readable(connection, repository_id, caller)
        named = {} if rev is None else await repositories.commits_named(connection, [repository_id], rev)
        commit = found.commit if rev is None else named.get(repository_id)
        await repositories.touch(connection, repository_id)

    def work() -> T:
        with reading.opened(parts.settings.store_path, repository_id) as (stored, objects):
            return read(Opened(objects, reading.served_commit(stored, commit or rev or "")))

    return await asyncio.to_thread(work)


async def _find(parts: Parts, repository_id: str, caller: Caller) -> Repository:
    async with parts.autocommit.connect() as connection:
        return await repositories.find(connection, repository_id, caller)


async def _load(
    source: Source,
    wanted: LoadRepo,
    caller: Caller,
    parts: Parts,
    idempotency: Idempotency,
    background: BackgroundTasks,
) -> Response:
    """Record a claim and the run that loads it; it starts when the answer is out."""
    compiled = await views.find_runnable(parts, caller, LOAD_REPOSITORY)
    run = views.new_run(compiled, caller, ExecuteRequest(input=wanted.model_dump(exclude_none=True)))
    claimed = Wanted.of(source, wanted, run.run_id)

    async def accept() -> Answer:
        await _check_credential(connection, caller, claimed, parts.settings.forge_url)
        await open_run(connection, run)
        await repositories.claim(connection, caller, claimed, parts.settings.repos_per_user)
        return Answer.of(202, LoadAccepted(id=source.id, run_id=run.run_id))

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, accept)
    if not answer.repeated:
        background.add_task(views.start_later, parts, compiled, run)
    response = answer.response()
    response.background = background
    return response


async def _check_credential(connection: AsyncConnection, caller: Caller, wanted: Wanted, forge_url: str) -> None:
    try:
        if wanted.credential is not None:
            host = await host_of(connection, caller.user_id, wanted.credential)
            check_destination(wanted.credential, host, wanted.source, forge_url)
    except (NotFoundError, ForbiddenError) as error:
        problem = Problem(pointer="/credential", code=error.code, message=error.detail)
        raise InvalidInputError(error.detail, code=error.code, problems=[problem]) from error


def _source_of(wanted: LoadRepo, settings: Settings) -> Source:
    """What a request names. Raises InvalidInputError that names the field."""
    try:
        return find_source(wanted, Roots(settings.repo_roots), settings.forge_url)
    except (InvalidInputError, NotFoundError) as error:
        field = "path" if wanted.path is not None else "url" if wanted.url is not None else "repo"
        problem = Problem(pointer=f"/{field}", code=error.code, message=error.detail)
        raise InvalidInputError(error.detail, code=error.code, problems=[problem]) from error
