"""Running a query over commits: candidates in the order of what the index knows, then pages of what matches.

Everything here blocks: call it from a thread.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from models.context import FileMatch, LineMatch, SkippedFile
from models.errors import NotFoundError
from services.context.search.evaluation import IndexedCommit, Plan, Target, matchers_of
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
        deadline = time.monotonic() + seconds
        matchers = matchers_of(query)
        plans = [Plan(target, self._commit(target), query, matchers) for target in targets]
        ordered = sorted(
            ((plan.rank(place), plan.target.name, place, plan) for plan in plans for place in plan.candidates()),
            key=lambda one: one[:3],
        )
        read = ((rank, plan, place, plan.text(place)) for rank, _, place, plan in ordered)
        hits = (hit for hit in read if hit[1].holds(query.root, *hit[2:]))
        if len(ordered) <= _RANKED_WHOLE:
            return _ranked(hits, limit, offset)
        return _in_order(hits, limit, offset, deadline)

    def skipped(self, targets: Sequence[Target], most: int = 1_000) -> tuple[SkippedFile, ...]:
        """Files whose content is not searched."""
        found = (
            SkippedFile(repo=target.name, path=file.shown_path, reason=file.skip)
            for target in targets
            for file in self._commit(target).files
            if file.skip
        )
        return tuple(islice(found, most))

    def holds(self, target: Target) -> bool:
        """Whether a commit can be searched."""
        return IndexFolder(self._root, target.id).holds(target.commit)

    def commits(self, repository_id: str) -> list[str]:
        """The commits of a repository that can be searched."""
        return IndexFolder(self._root, repository_id).commits()

    def _commit(self, target: Target) -> IndexedCommit:
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


Hit = tuple[tuple[bool, ...], Plan, int, bytes]


def _ranked(hits: Iterable[Hit], limit: int, offset: int) -> Found:
    """All of them, whole words before others that are as good."""
    told = sorted(
        (
            (rank[0], not plan.has_word(text), *rank[1:], plan.target.name, place, plan, text)
            for rank, plan, place, text in hits
        ),
        key=lambda one: one[:-2],
    )
    page = told[offset : offset + limit]
    items = tuple(_file_match(plan, place, plan.matches(place, text)) for *_, place, plan, text in page)
    following = offset + len(page)
    return Found(items, len(told), is_complete=True, next_offset=following if following < len(told) else None)


def _in_order(hits: Iterator[Hit], limit: int, offset: int, deadline: float) -> Found:
    """A page as they come, then the rest is counted while there is time."""
    total, items = 0, list[FileMatch]()
    for _, plan, place, text in hits:
        if offset <= total < offset + limit:
            items.append(_file_match(plan, place, plan.matches(place, text)))
        total += 1
        if time.monotonic() > deadline:
            return Found(tuple(items), total, is_complete=False, next_offset=offset + len(items))
    following = offset + len(items)
    return Found(tuple(items), total, is_complete=True, next_offset=following if following < total else None)


def _file_match(plan: Plan, place: int, matches: Sequence[LineMatch]) -> FileMatch:
    file = plan.commit.files[place]
    return FileMatch(
        repo=plan.target.name,
        commit=plan.target.commit,
        path=file.shown_path,
        lang=file.lang or None,
        matches=tuple(matches),
    )
