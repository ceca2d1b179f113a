"""Fetching from a Git server into the store: only what the ref needs and the store lacks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dulwich.errors import GitProtocolError, HangupException
from dulwich.object_store import ObjectStoreGraphWalker
from dulwich.objects import ObjectID
from dulwich.protocol import ZERO_SHA

from models.errors import InvalidInputError, TooLooError, UnavailableError
from services.context.addresses import AddressRules
from services.context.credentials import Credential
from services.context.objects import Objects
from services.context.packs import keep_pack
from services.context.revisions import as_abbreviation, as_commit, candidates, named, resolve
from services.context.sources import RemoteSource
from services.context.store import StoredRepository, is_disk_full
from services.context.supervision import Limits, StoppedError, Supervision
from services.context.transport import GitHttpClient, Watch

Refs = Mapping[bytes, bytes]
Wants = Callable[[Refs], list[bytes]]
_REPORT_BYTES = 2**20


class Fetch:
    """One fetch of one remote repository. Needs the store's lock."""

    def __init__(
        self,
        *,
        source: RemoteSource,
        ref: str | None,
        repository: StoredRepository,
        rules: AddressRules,
        limits: Limits,
        supervision: Supervision,
        credential: Credential | None,
    ) -> None:
        self._source = source
        self._ref = ref
        self._repository = repository
        self._rules = rules
        self._limits = limits
        self._supervision = supervision
        self._credential = credential
        self.bytes_fetched = 0

    def run(self) -> str:
        """Bring the commit that the ref names, with all it reaches, into the store; its full name.

        The server is asked also for a commit that is here already: that it answers shows that the caller may read it.
        """
        commit = as_commit(self._ref)
        if commit is None:
            refs = self._transfer(self._wants_by_name)
            return self._resolve(refs)
        try:
            refs = self._transfer(lambda _refs: [commit])
        except ServerRefusedError:
            # Some servers give only what a branch or tag names directly; the commit may lie behind one.
            refs = self._transfer(_branches_and_tags)
        return self._resolve(refs)

    def _wants_by_name(self, refs: Refs) -> list[bytes]:
        target = named(self._ref, refs)
        if target is not None:
            return [target]
        return _branches_and_tags(refs) if as_abbreviation(self._ref) else []

    def _resolve(self, refs: Refs) -> str:
        with self._repository.objects() as objects:
            return resolve(self._ref, refs, objects)

    def _transfer(self, wants: Wants) -> Refs:
        received = self._repository.incoming / "received.pack"
        with Watch(self._supervision, self._limits.stall_seconds) as watch:
            try:
                with self._repository.objects() as objects:
                    refs = self._receive(wants, received, watch, objects)
            except (TooLooError, StoppedError):
                raise
            except Exception as error:
                # dulwich and http.client meet cut connections and hostile bytes with whatever they stumble over.
                # Causes end in Temporal's history, and a server may say back what it was sent.
                cause = error if self._credential is None else None
                if watch.failure:
                    raise watch.failure from cause
                if is_disk_full(error):
                    raise
                if isinstance(error, GitProtocolError | HangupException):
                    raise ServerRefusedError(f"{self._source.url}: the Git server broke off") from cause
                raise UnavailableError(f"{self._source.url} cannot be reached, or does not speak Git") from cause
        if size := received.stat().st_size:
            self.bytes_fetched += size
            keep_pack(received, self._repository.pack_directory, self._limits.object_bytes, self._supervision)
        return refs

    def _receive(self, wants: Wants, received: Path, watch: Watch, objects: Objects) -> Refs:
        client = GitHttpClient(self._source.url, self._rules, watch, self._limits, self._credential)
        written, before_pack = 0, min(self._limits.refs_bytes, self._limits.transfer_bytes)

        def missing(refs: Refs, depth: int | None = None) -> list[bytes]:  # noqa: ARG001 dulwich's signature
            client.budget = before_pack  # dulwich holds all in memory that comes before the pack
            # Packs enter the store whole and with all they reach, so what is there is complete.
            return [sha for sha in dict.fromkeys(wants(refs)) if objects.peel(ObjectID(sha)) is None]

        def write(data: bytes) -> int:
            nonlocal written
            if data and not written:  # a server may begin with packets of nothing
                client.budget += self._limits.transfer_bytes - before_pack
            if written // _REPORT_BYTES != (written + len(data)) // _REPORT_BYTES:
                self._supervision.progress("receive", bytes=written)
            written += len(data)
            return file.write(data)

        self._supervision.progress("connect")
        walker = ObjectStoreGraphWalker(
            self._repository.marked(),
            lambda sha: list(objects.commit(sha).parents),
            {ObjectID(sha) for sha in self._repository.shallow()},
        )
        prefixes = list(dict.fromkeys((b"HEAD", b"refs/heads/", b"refs/tags/", *candidates(self._ref))))
        with received.open("wb") as file:
            typed: Any = missing
            result = client.fetch_pack("", typed, walker, write, ref_prefix=prefixes)
        if result.object_format not in (None, "sha1"):
            raise InvalidInputError(
                f"{self._source.url} uses {result.object_format} object names; only sha1 can be loaded",
                code="unsupported-repository",
            )
        self._remember_cuts(frozenset(result.new_shallow or ()), frozenset(result.new_unshallow or ()))
        return {name: sha for name, sha in result.refs.items() if sha is not None and sha != ZERO_SHA}

    def _remember_cuts(self, new: frozenset[bytes], healed: frozenset[bytes]) -> None:
        self._repository.cut_history_at((self._repository.shallow() | new) - healed)


class ServerRefusedError(UnavailableError):
    """The server ended the conversation: it has not got what was wanted, or will not give it."""


def _branches_and_tags(refs: Refs) -> list[bytes]:
    return [sha for name, sha in sorted(refs.items()) if name.startswith((b"refs/heads/", b"refs/tags/"))]
