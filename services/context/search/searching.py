"""Running a query over commits: candidates in the order of what the index knows, then pages of what matches.

Everything here blocks: call it from a thread.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from models.context import FileMatch, SkippedFile
from models.errors import NotFoundError
from services.context.search.evaluation import IndexedCommit, Plan, Rank, Target, matchers_of
from services.context.search.index import BlobIndex
from services.context.search.manifest import IndexFolder
from services.context.search.query import Query

SECONDS = 5.0
"""Of one search; then it answers with what it has."""
_RANKED_WHOLE = 200
"""Files that may match: up to so many are all read before they are ordered."""
_KEPT_COMMITS = 16


@dataclass(frozen=True)
class Found:
    """A page of results."""

    items: tuple[FileMatch, ...]
    total: int
    """Files that match; at least so many when not `is_complete`."""
    is_complete: bool
    next_offset: int | None


class SearchService:
    """Searches what is indexed below one folder. Shared between threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits: OrderedDict[tuple[str, str], IndexedCommit] = OrderedDict()
        self._lock = Lock()

    def search(
        self, query: Query, targets: Sequence[Target], limit: int, offset: int = 0, seconds: float = SECONDS
    ) -> Found:
        """The files that match, from the one at `offset` on. Raises InvalidInputError with the place in the query."""
        results = self.begin(query, targets, limit, offset, seconds)
        items = results.advance(seconds)
        return Found(tuple(items), results.total, results.is_complete, results.next_offset)

    def begin(
        self, query: Query, targets: Sequence[Target], limit: int, offset: int = 0, seconds: float = SECONDS
    ) -> "Results":
        """A search that is gone through step by step. Raises InvalidInputError with the place in the query."""
        started = time.monotonic()
        matchers = matchers_of(query)
        plans = [Plan(target, self.indexed(target), query, matchers) for target in targets]
        ranked = [(plan, plan.ranked()) for plan in sorted(plans, key=lambda plan: plan.target.name)]
        looked = (_look(*one) for one in _in_order(ranked))
        few = sum(len(places) for _, by_rank in ranked for places in by_rank.values()) <= _RANKED_WHOLE
        hits = _whole_words_first(looked) if few else looked
        return Results(hits, limit, offset, seconds - (time.monotonic() - started))

    def skipped(self, targets: Sequence[Target], most: int = 1_000) -> tuple[SkippedFile, ...]:
        """Files whose content is not searched."""
        found = (
            SkippedFile(repo=target.name, path=file.shown_path, reason=file.skip)
            for target in targets
            for file in self.indexed(target).files
            if file.skip
        )
        return tuple(islice(found, most))

    def holds(self, target: Target) -> bool:
        """Whether a commit can be searched."""
        return IndexFolder(self._root, target.id).holds(target.commit)

    def commits(self, repository_id: str) -> list[str]:
        """The commits of a repository that can be searched."""
        return IndexFolder(self._root, repository_id).commits()

    def indexed(self, target: Target) -> IndexedCommit:
        """A commit that can be searched. Raises NotFoundError (`not-indexed`)."""
        key = (target.id, target.commit)
        with self._lock:
            if key in self._commits:
                self._commits.move_to_end(key)
                return self._commits[key]
        folder = IndexFolder(self._root, target.id)
        manifest = folder.read_manifest(target.commit)
        if manifest is None:
            raise NotFoundError(f"{target.name} is not indexed at {target.commit[:12]}.", code="not-indexed")
        commit = IndexedCommit(manifest, BlobIndex(folder.index))
        with self._lock:
            self._commits[key] = commit
            while len(self._commits) > _KEPT_COMMITS:
                self._commits.popitem(last=False)
        return commit


class Results:
    """The files that a search finds, in their order: those that are wanted, then the rest is counted.

    `limit`, `offset`: which ones are wanted. `seconds`: of work; a search that takes longer ends with what it has. It
    may go on in another thread, but is in one at a time.
    """

    def __init__(self, hits: Iterator["_Hit | None"], limit: int, offset: int, seconds: float) -> None:
        self._hits = hits
        self._wanted = range(offset, offset + limit)
        self._left = seconds
        self._given = 0
        self.total = 0
        """Files that match, as far as it is known."""
        self.has_ended = False
        self.is_complete = False

    @property
    def next_offset(self) -> int | None:
        """Where the files begin that come after those that were given; None when there are none."""
        following = self._wanted.start + self._given
        return None if self.is_complete and following >= self.total else following

    def advance(self, seconds: float) -> list[FileMatch]:
        """Work on for so long, or to the end: the wanted files that are found meanwhile."""
        started = time.monotonic()
        deadline = started + min(seconds, self._left)
        found: list[FileMatch] = []
        for hit in self._hits:
            if hit is not None:
                if self.total in self._wanted:
                    found.append(_file_match(hit))
                self.total += 1
            if time.monotonic() > deadline:
                break
        else:
            self.is_complete = True
        self._left -= time.monotonic() - started
        self.has_ended = self.is_complete or self._left <= 0
        self._given += len(found)
        return found


class _Hit(NamedTuple):
    """A file that matches."""

    rank: Rank
    plan: Plan
    place: int
    text: bytes


def _in_order(ranked: Sequence[tuple[Plan, Mapping[Rank, set[int]]]]) -> Iterator[tuple[Rank, Plan, int]]:
    """Files that may match, by rank, then by repository and path; only those are sorted that are come to."""
    for rank in sorted({rank for _, by_rank in ranked for rank in by_rank}):
        for plan, by_rank in ranked:
            for place in sorted(by_rank[rank]):
                yield rank, plan, place


def _look(rank: Rank, plan: Plan, place: int) -> _Hit | None:
    """Read a file; None when it does not match."""
    text = plan.text(place)
    return _Hit(rank, plan, place, text) if plan.holds(plan.query.root, place, text) else None


def _whole_words_first(looked: Iterable[_Hit | None]) -> Iterator[_Hit]:
    """All of them, whole words before others that are as good."""
    told = [
        ((hit.rank[0], not hit.plan.has_word(hit.text), *hit.rank[1:], hit.plan.target.name, hit.place), hit.plan)
        for hit in looked
        if hit is not None
    ]
    told.sort(key=lambda one: one[0])
    for (first, _, *rest, _, place), plan in told:  # read again: who reads a stream slowly holds up no texts
        yield _Hit((first, *rest), plan, place, plan.text(place))


def _file_match(hit: _Hit) -> FileMatch:
    plan, file = hit.plan, hit.plan.commit.files[hit.place]
    return FileMatch(
        repo=plan.target.name,
        commit=plan.target.commit,
        path=file.shown_path,
        lang=file.lang or None,
        matches=tuple(plan.matches(hit.place, hit.text)),
    )
