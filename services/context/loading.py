"""Loading a repository: from where it is named to a commit that the store serves."""

from pathlib import Path

from models.context import LoadedRepo, LoadRepo
from models.errors import InvalidInputError, UnavailableError
from models.settings import Settings
from services.context.addresses import AddressRules
from services.context.credentials import Unlock, no_credential
from services.context.fetching import Fetch
from services.context.local import Roots, take_over
from services.context.revisions import as_commit
from services.context.sources import LocalSource, RemoteSource, Source, source_again, source_of
from services.context.store import RepositoryStore, StoredRepository, reported_disk
from services.context.supervision import Limits, Supervision
from services.context.trees import check_files

_COUNT_EVERY = 1_000


def find_source(wanted: LoadRepo, roots: Roots, forge_url: str) -> Source:
    """What a request names, with symbolic links resolved: one folder is one repository, however it is spelled.

    Raises InvalidInputError, and NotFoundError for a folder that is none under the roots or no repository.
    """
    source = source_of(wanted, forge_url)
    return LocalSource(str(roots.open(source.path).path)) if isinstance(source, LocalSource) else source


class Loader:
    """Loads repositories into the store. Everything it does blocks: call it from a thread."""

    def __init__(
        self, store: Path, roots: tuple[Path, ...], rules: AddressRules, forge_url: str, limits: Limits
    ) -> None:
        self._store = RepositoryStore(store)
        self._roots = Roots(roots)
        self._rules = rules
        self._forge_url = forge_url
        self._limits = limits

    @classmethod
    def of(cls, settings: Settings, limits: Limits) -> "Loader":
        """The loader an operator configured; ValueError names a setting it cannot read."""
        rules = AddressRules(settings.allow_addresses)
        return cls(settings.store_path, settings.repo_roots, rules, settings.forge_url, limits)

    @property
    def store(self) -> RepositoryStore:
        """Where it puts them."""
        return self._store

    def find_source(self, wanted: LoadRepo) -> Source:
        """What a request names, as it is known by in the store."""
        return find_source(wanted, self._roots, self._forge_url)

    def load(self, wanted: LoadRepo, supervision: Supervision, unlock: Unlock = no_credential) -> LoadedRepo:
        """Load what a request names. Doing it again fetches the difference."""
        return self._load(source_of(wanted, self._forge_url), wanted.ref, supervision, unlock)

    def opened(self, repo: LoadedRepo, supervision: Supervision, unlock: Unlock = no_credential) -> StoredRepository:
        """The stored repository of a loaded commit; loaded again where this machine's store misses it.

        What is asked for comes from outside: its id is held against its source, which is vetted as in a first load.
        Whether the caller may read it has to be known before.
        """
        source = source_again(repo.source)
        if source.id != repo.id:
            raise InvalidInputError("the repository's id and source do not belong together")
        if isinstance(source, LocalSource):
            self._roots.open(source.path)
        stored = self._store.find(repo.id)
        if stored is None or not stored.holds(repo.commit):
            self._load(source, repo.commit, supervision, unlock)
            stored = self._store.find(repo.id)
        if stored is None or not stored.holds(repo.commit):
            raise UnavailableError("the commit was removed from the store while it was loaded")
        return stored

    def commit_of(self, repo: LoadedRepo, ref: str, supervision: Supervision, unlock: Unlock = no_credential) -> str:
        """The commit that a ref of the same repository names, held by the store from now on.

        One named in full that the repository's commit reaches is here already; else the source is asked.
        """
        stored = self.opened(repo, supervision, unlock)
        if commit := as_commit(ref):
            with stored.objects() as objects:
                if any(sha == commit for sha, _ in objects.history_of(repo.commit)):
                    return commit.decode("ascii")
        return self._load(source_again(repo.source), ref, supervision, unlock).commit

    def _load(self, source: Source, ref: str | None, supervision: Supervision, unlock: Unlock) -> LoadedRepo:
        with reported_disk("the repository or the object store"):
            if isinstance(source, RemoteSource):
                return self._load_remote(source, ref, supervision, unlock)
            return self._load_local(source, ref, supervision)

    def _load_remote(
        self, source: RemoteSource, ref: str | None, supervision: Supervision, unlock: Unlock
    ) -> LoadedRepo:
        credential = unlock()
        with self._store.writing(source.id, supervision) as stored:
            fetch = Fetch(
                source=source,
                ref=ref,
                repository=stored,
                rules=self._rules,
                limits=self._limits,
                supervision=supervision,
                credential=credential,
            )
            commit = fetch.run()
            commits = _serve(stored, commit, supervision)
            return _loaded(source, ref, commit, commits, fetch.bytes_fetched)

    def _load_local(self, named: LocalSource, ref: str | None, supervision: Supervision) -> LoadedRepo:
        repository = self._roots.open(named.path)
        source = LocalSource(str(repository.path))
        with self._store.writing(source.id, supervision) as stored:
            commit, size = take_over(repository, ref, stored, self._limits.transfer_bytes, supervision)
            commits = _serve(stored, commit, supervision)
            return _loaded(source, ref, commit, commits, size)


def _serve(stored: StoredRepository, commit: str, supervision: Supervision) -> int:
    """Mark the commit, after counting what it reaches, which also proves that no commit is missing.

    Nor is a file of its own: a server that keeps something back is asked no more for what is marked. Those of older
    commits are not looked for, which would take as long as loading did.
    """
    commits = 0
    with stored.objects() as objects:
        check_files(objects, commit, supervision)
        for _ in objects.history_of(commit):
            if commits % _COUNT_EVERY == 0:
                supervision.progress("count", commits=commits)
            commits += 1
    stored.mark(commit)
    return commits


def _loaded(source: Source, ref: str | None, commit: str, commits: int, size: int) -> LoadedRepo:
    return LoadedRepo(
        id=source.id,
        name=source.name,
        source=source.text,
        commit=commit,
        ref=ref,
        commits=commits,
        bytes_fetched=size,
    )
