"""The actions of the context service."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from activities.step import Step
from models.context import (
    LOAD_REPOSITORY,
    Analysis,
    Analyze,
    Diff,
    Difference,
    Index,
    Indexed,
    LoadedRepo,
    LoadRepo,
    RemovedRepo,
    RemoveRepo,
    Search,
    SearchResults,
)
from models.errors import ConflictError
from models.identity import Caller
from models.settings import Settings
from services.context import repositories
from services.context.analysis import analyze
from services.context.credentials import Credential, Unlock, check_destination, no_credential
from services.context.differences import difference
from services.context.loading import Loader
from services.context.repositories import Wanted
from services.context.search.asking import ask
from services.context.search.indexing import build_index
from services.context.search.manifest import IndexFolder
from services.context.search.searching import SearchService
from services.context.store import reported_disk
from services.context.supervision import Limits, Supervision
from services.identity import secrets
from services.identity.secrets import SecretSeal

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class ContextActivities:
    """Loads and analyzes repositories. ValueError at construction names a setting that cannot be read."""

    def __init__(self, settings: Settings, database: AsyncEngine, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._loader = Loader.of(settings, self._limits)
        self._database = database
        self._index = settings.index_path
        self._search = SearchService(settings.index_path)
        self._forge_url = settings.forge_url
        self._seal = SecretSeal(settings.secret.get_secret_value())
        self._most_repositories = settings.repos_per_user
        self._most_bytes = int(settings.store_gib * 2**30)

    async def load_repo(self, input: LoadRepo, step: Step) -> LoadedRepo:  # noqa: A002 the catalogue's word
        """Load a Git repository into the object store. Again: fetches the difference."""
        source = await asyncio.to_thread(self._loader.find_source, input)
        wanted = Wanted.of(source, input, step.run_id)
        async with self._database.begin() as connection:
            unlock = await self._unlock(connection, step.caller, input.credential, source.text)
            if step.definition != LOAD_REPOSITORY:
                await repositories.claim(connection, step.caller, wanted, self._most_repositories)
            elif not await repositories.is_claimed(connection, source.id, step.caller):
                raise ConflictError("The repository was given up before it was loaded.", code="given-up")
        await self._make_room(source.id)
        loaded = await _in_thread(
            lambda supervision: self._loader.load(input, supervision, unlock), step, self._limits.load_seconds
        )
        size = await asyncio.to_thread(self._size, loaded.id)
        async with self._database.begin() as connection:
            await repositories.record_loaded(
                connection,
                step.caller,
                loaded,
                size,
                step.run_id,
                keeps_run=step.definition == LOAD_REPOSITORY,
                credential=input.credential,
            )
        return loaded

    async def index(self, input: Index, step: Step) -> Indexed:  # noqa: A002 the catalogue's word
        """Index a loaded repository; loads it again where this worker's store misses the commit."""
        unlock = await self._open_to(step.caller, input.repo)

        def work(supervision: Supervision) -> Indexed:
            with self._loader.opened(input.repo, supervision, unlock).objects() as objects:
                return build_index(objects, input.repo, self._index, supervision)

        indexed = await _in_thread(work, step, self._limits.analyze_seconds)
        size = await asyncio.to_thread(self._size, input.repo.id)
        async with self._database.begin() as connection:
            if not await repositories.is_known(connection, input.repo.id):  # given up meanwhile
                await asyncio.to_thread(self._remove, input.repo.id)
            await repositories.record_size(connection, input.repo.id, size)
        return indexed

    async def search(self, input: Search, step: Step) -> SearchResults:  # noqa: A002 the catalogue's word
        """Search for the run's user."""
        return await ask(self._database, self._search, step.caller, input)

    async def analyze(self, input: Analyze, step: Step) -> Analysis:  # noqa: A002 the catalogue's word
        """Measure a loaded repository; loads it again where this worker's store misses the commit."""
        unlock = await self._open_to(step.caller, input.repo)

        def work(supervision: Supervision) -> Analysis:
            stored = self._loader.opened(input.repo, supervision, unlock)
            with stored.objects() as objects:
                return analyze(objects, input.repo, len(stored.shallow()), supervision)

        return await _in_thread(work, step, self._limits.analyze_seconds)

    async def diff(self, input: Diff, step: Step) -> Difference:  # noqa: A002 the catalogue's word
        """Compare a loaded repository with another commit of it, which is loaded where the store misses it."""
        unlock = await self._open_to(step.caller, input.repo)

        def work(supervision: Supervision) -> Difference:
            stored = self._loader.opened(input.repo, supervision, unlock)
            base = self._loader.commit_of(input.repo, input.base, supervision, unlock)
            with stored.objects() as objects:
                return difference(objects, input.repo, base, supervision)

        return await _in_thread(work, step, self._limits.load_seconds)

    async def remove_repo(self, input: RemoveRepo, step: Step) -> RemovedRepo:  # noqa: A002, ARG002 as every action
        """Remove a repository from the object store, unless somebody has asked for it meanwhile."""
        async with self._database.begin() as connection:
            wanted = await repositories.is_known(connection, input.id)
            if not wanted:
                await asyncio.to_thread(self._remove, input.id)
        return RemovedRepo(id=input.id, removed=not wanted)

    async def _open_to(self, caller: Caller, repo: LoadedRepo) -> Unlock:
        """Check that the caller may read a repository, which a workflow may have made up, and note that they do.

        What it gives opens the credential that they asked for it with, should it have to be loaded again.
        """
        async with self._database.begin() as connection:
            credential = await repositories.check_reader(connection, repo.id, caller)
            await repositories.touch(connection, repo.id)
            return await self._unlock(connection, caller, credential, repo.source)

    async def _unlock(self, connection: AsyncConnection, caller: Caller, credential: str | None, source: str) -> Unlock:
        if credential is None:
            return no_credential
        sealed = await secrets.find_secret(connection, caller.user_id, credential)

        def unlock() -> Credential:
            opened = self._seal.open(sealed)
            check_destination(sealed.name, sealed.host, source, self._forge_url)
            return Credential(opened)

        return unlock

    def _size(self, repository_id: str) -> int:
        return self._loader.store.size(repository_id) + IndexFolder(self._index, repository_id).bytes()

    def _remove(self, repository_id: str) -> None:
        self._loader.store.remove(repository_id)
        IndexFolder(self._index, repository_id).remove()

    async def _make_room(self, besides: str) -> None:
        """Remove what was not used for the longest time while the store is above its quota."""
        while True:
            async with self._database.begin() as connection:
                if await repositories.stored_bytes(connection, besides) <= self._most_bytes:
                    return
                victim = await repositories.least_used(connection, besides)
                if victim is None:
                    _log.warning("the object store is above TOOLOO_STORE_GIB, and all of it is in use")
                    return
                await asyncio.to_thread(self._remove, victim)
                await repositories.record_evicted(connection, victim)


async def _in_thread(work: Callable[[Supervision], T], step: Step, seconds: float) -> T:
    """Do blocking work beside the event loop. Cancelling the task stops the thread at its next look around."""
    supervision = Supervision(seconds=seconds, report=step.report)
    try:
        with reported_disk("the object store or the index"):
            return await asyncio.to_thread(work, supervision)
    finally:
        supervision.stopped.set()
