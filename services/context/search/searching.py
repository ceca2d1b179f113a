"""Running a query: the index says which files may match, their contents say which do.

Everything here blocks: call it from a thread.
"""

import re
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from models.context import FileMatch, LineMatch, SkippedFile
from models.errors import NotFoundError
from services.context.languages import find_language
from services.context.search.index import BlobIndex, IndexedSymbol, Wanted
from services.context.search.manifest import FileEntry, IndexFolder, Manifest
from services.context.search.patterns import Matcher, matcher, name_matcher
from services.context.search.query import (
    All,
    AnyOf,
    Content,
    LangIs,
    Node,
    Not,
    PathIs,
    Query,
    RepoIs,
    SymbolIs,
    leaves,
    refuse,
)

SECONDS = 5.0
"""Of one search; then it answers with what it has."""
MOST_MATCHES = 1_000
"""Lines of one file."""
_RANKED_WHOLE = 200
"""Files that may match: up to so many are all read before they are ordered."""
_LONGEST_LINE = 400
"""Characters that are shown of a line."""
_KEPT_COMMITS = 16
_IDENTIFIER = re.compile(r"\w{2,}")


class _Span(NamedTuple):
    """A match, by its bytes."""

    line_start: int
    start: int
    end: int
    kind: str | None = None
    """Of the symbol that is defined there."""


@dataclass(frozen=True)
class Target:
    """A commit of a repository to search in."""

    id: str
    name: str
    commit: str


@dataclass(frozen=True)
class Found:
    """A page of results."""

    items: tuple[FileMatch, ...]
    total: int
    """Files that match; at least so many when not `is_complete`."""
    is_complete: bool
    next_offset: int | None


class _Commit:
    """The files of an indexed commit, ready to be looked up. Shared between threads."""

    def __init__(self, manifest: Manifest, index: BlobIndex) -> None:
        self.files: Sequence[FileEntry] = manifest.files
        self.index = index

    @cached_property
    def everything(self) -> frozenset[int]:
        return frozenset(range(len(self.files)))

    @cached_property
    def by_key(self) -> Mapping[int, Sequence[int]]:
        found: dict[int, list[int]] = {}
        for place, file in enumerate(self.files):
            if not file.skip:
                found.setdefault(file.key, []).append(place)
        return found

    @cached_property
    def by_lang(self) -> Mapping[str, frozenset[int]]:
        found: dict[str, set[int]] = {}
        for place, file in enumerate(self.files):
            found.setdefault(file.lang, set()).add(place)
        return {lang: frozenset(places) for lang, places in found.items()}

    @cached_property
    def _paths(self) -> tuple[bytes, Sequence[int]]:
        """All paths, one a line, and where each begins."""
        paths = [file.path.replace(b"\n", b"\x00") for file in self.files]
        starts, place = list[int](), 0
        for path in paths:
            starts.append(place)
            place += len(path) + 1
        return b"\n".join(paths), starts

    def with_keys(self, keys: Iterable[int]) -> set[int]:
        """Places of the files with these contents."""
        by_key = self.by_key
        return {place for key in keys for place in by_key.get(key, ())}

    def with_path(self, pattern: Matcher) -> set[int]:
        """Places of the files whose path matches."""
        paths, starts = self._paths
        return {bisect_right(starts, start) - 1 for start, _ in pattern.spans(paths)}


@dataclass
class _Plan:
    """A query on one commit: what each leaf says without reading a file."""

    target: Target
    commit: _Commit
    query: Query
    matchers: Mapping[int, Matcher]
    by_path: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    symbols: dict[int, dict[int, list[IndexedSymbol]]] = field(
        default_factory=dict[int, dict[int, list[IndexedSymbol]]]
    )
    """Of each symbol leaf, the definitions it names, by content."""
    defining: set[int] = field(default_factory=set[int])
    """Files that define what a word of the query names."""

    def candidates(self) -> set[int]:
        """Places of the files that may match."""
        found = self._possible(self.query.root)
        return set(self.commit.everything) if found is None else set(found)

    def _possible(self, node: Node) -> set[int] | frozenset[int] | None:  # noqa: PLR0911 - one for each kind of node
        """None for all files."""
        match node:
            case Content():
                return self._possible_content(node)
            case PathIs():
                return self._with_path(node)
            case RepoIs():
                return None if self._is_repo(node) else frozenset()
            case LangIs(name, column):
                return self.commit.by_lang.get(_language(name, column), frozenset())
            case SymbolIs():
                self._note_definitions(node)
                return self.commit.with_keys(self._symbols(node))
            case Not(operand):
                return self._impossible(operand)
            case All(operands):
                return _intersection(self._possible(operand) for operand in operands)
            case AnyOf(operands):
                return _union([self._possible(operand) for operand in operands])

    def _possible_content(self, node: Content) -> set[int] | None:
        pattern = self.matchers[id(node)]
        keys = self.commit.index.candidates(Wanted.text(pattern.grams))
        self._note_definitions(node)
        return None if keys is None else self.commit.with_keys(keys) | self._with_path(node)

    def _note_definitions(self, node: Content | SymbolIs) -> None:
        if not node.pattern.regex and _IDENTIFIER.fullmatch(node.pattern.text):
            self.defining |= self.commit.with_keys(self.commit.index.defining(node.pattern.text))

    def _impossible(self, node: Node) -> set[int] | frozenset[int] | None:
        """Files that may not match: all but those of which the index alone knows that they do."""
        if any(isinstance(leaf, Content) for leaf in leaves(node)):
            return None
        certain = self._possible(node)
        return frozenset() if certain is None else self.commit.everything - certain

    def _with_path(self, node: Content | PathIs) -> set[int]:
        if id(node) not in self.by_path:
            self.by_path[id(node)] = self.commit.with_path(self.matchers[id(node)])
        return self.by_path[id(node)]

    def _symbols(self, node: SymbolIs) -> dict[int, list[IndexedSymbol]]:
        if id(node) not in self.symbols:
            pattern = self.matchers[id(node)]
            stored = self.commit.index.symbols(Wanted.names(pattern.grams))
            named = {
                key: [symbol for symbol in symbols if pattern.is_in(symbol.name.encode())]
                for key, symbols in stored.items()
            }
            self.symbols[id(node)] = {key: symbols for key, symbols in named.items() if symbols}
        return self.symbols[id(node)]

    def _is_repo(self, node: RepoIs) -> bool:
        if node.pattern.text == "." and not node.pattern.regex:
            return self.target.name == "."
        return self.matchers[id(node)].is_in(self.target.name.encode())

    def text(self, place: int) -> bytes:
        """The text of a file; nothing of one that is not searched."""
        file = self.commit.files[place]
        return b"" if file.skip else self.commit.index.text(file.key)

    def holds(self, node: Node, place: int, text: bytes) -> bool:  # noqa: PLR0911 - the same
        """Whether a file matches."""
        file = self.commit.files[place]
        match node:
            case Content():
                return place in self._with_path(node) or (not file.skip and self.matchers[id(node)].is_in(text))
            case PathIs():
                return place in self._with_path(node)
            case RepoIs():
                return self._is_repo(node)
            case LangIs(name, column):
                return file.lang == _language(name, column)
            case SymbolIs():
                return not file.skip and file.key in self._symbols(node)
            case Not(operand):
                return not self.holds(operand, place, text)
            case All(operands):
                return all(self.holds(operand, place, text) for operand in operands)
            case AnyOf(operands):
                return any(self.holds(operand, place, text) for operand in operands)

    def matches(self, place: int, text: bytes) -> list[LineMatch]:
        """The lines that match, each with the first match on it."""
        file = self.commit.files[place]
        lines: dict[int, _Span] = {}
        if not file.skip:
            for node in _positive(self.query.root):
                if isinstance(node, Content):
                    for span in islice(_first_on_lines(text, self.matchers[id(node)]), MOST_MATCHES):
                        known = lines.setdefault(span.line_start, span)
                        if span.start < known.start:
                            lines[span.line_start] = span
                elif isinstance(node, SymbolIs):
                    for symbol in self._symbols(node).get(file.key, ()):
                        span = _span_of(text, symbol)
                        lines[span.line_start] = span
        return list(_told(text, sorted(lines.values())[:MOST_MATCHES]))

    def has_word(self, text: bytes) -> bool:
        """Whether something that the query looks for is a whole word."""
        return any(
            _is_word(text, start, end)
            for node in _positive(self.query.root)
            if isinstance(node, Content)
            for start, end in self.matchers[id(node)].spans(text)
        )

    def rank(self, place: int) -> tuple[bool, bool, bool, bool]:
        """What is known of a file's relevance without reading it; the smallest comes first."""
        file = self.commit.files[place]
        named = any(place in places for places in self.by_path.values())
        return (place not in self.defining, file.foreign, file.test, not named)


class SearchService:
    """Searches what is indexed below one folder. Shared between threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._commits: OrderedDict[tuple[str, str], _Commit] = OrderedDict()
        self._lock = Lock()

    def search(
        self, query: Query, targets: Sequence[Target], limit: int, offset: int = 0, seconds: float = SECONDS
    ) -> Found:
        """The files that match, from the one at `offset` on. Raises InvalidInputError with the place in the query."""
        deadline = time.monotonic() + seconds
        matchers = _matchers(query)
        plans = [_Plan(target, self._commit(target), query, matchers) for target in targets]
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

    def _commit(self, target: Target) -> _Commit:
        key = (target.id, target.commit)
        with self._lock:
            if key in self._commits:
                self._commits.move_to_end(key)
                return self._commits[key]
        folder = IndexFolder(self._root, target.id)
        manifest = folder.read_manifest(target.commit)
        if manifest is None:
            raise NotFoundError(f"{target.name} is not indexed at {target.commit[:12]}.", code="not-indexed")
        commit = _Commit(manifest, BlobIndex(folder.index))
        with self._lock:
            self._commits[key] = commit
            while len(self._commits) > _KEPT_COMMITS:
                self._commits.popitem(last=False)
        return commit


Hit = tuple[tuple[bool, ...], _Plan, int, bytes]


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


def _file_match(plan: _Plan, place: int, matches: Sequence[LineMatch]) -> FileMatch:
    file = plan.commit.files[place]
    return FileMatch(
        repo=plan.target.name,
        commit=plan.target.commit,
        path=file.shown_path,
        lang=file.lang or None,
        matches=tuple(matches),
    )


def _matchers(query: Query) -> dict[int, Matcher]:
    """The patterns of all leaves, ready, by the leaf's identity: equal leaves may stand at several places."""
    found: dict[int, Matcher] = {}
    for leaf in leaves(query.root):
        if isinstance(leaf, Content | SymbolIs):
            found[id(leaf)] = matcher(leaf.pattern, case_sensitive=query.case_sensitive)
        elif isinstance(leaf, PathIs | RepoIs):
            found[id(leaf)] = name_matcher(leaf.pattern)
        else:
            _language(leaf.name, leaf.column)
    return found


def _language(name: str, column: int) -> str:
    found = find_language(name)
    if found is None:
        refuse(column, f"expected a language after lang:, and {name!r} is none that is known")
    return found


def _positive(node: Node) -> Iterator[Node]:
    """Leaves that speak for a file, not against it."""
    match node:
        case All(operands) | AnyOf(operands):
            for operand in operands:
                yield from _positive(operand)
        case Not():
            return
        case _:
            yield node


def _intersection(parts: Iterable[set[int] | frozenset[int] | None]) -> set[int] | frozenset[int] | None:
    found: set[int] | frozenset[int] | None = None
    for part in parts:
        if part is not None:
            found = part if found is None else found & part
    return found


def _union(parts: Sequence[set[int] | frozenset[int] | None]) -> set[int] | None:
    known = [part for part in parts if part is not None]
    return None if len(known) < len(parts) else set[int]().union(*known)


def _is_word(text: bytes, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    return not any(char.isalnum() or char == b"_" for char in (before, after) if char)


def _first_on_lines(text: bytes, pattern: Matcher) -> Iterator[_Span]:
    passed = 0
    for start, end in pattern.spans(text):
        if start >= passed:
            yield _Span(text.rfind(b"\n", 0, start) + 1, start, end)
            passed = _end_of_line(text, start)


def _span_of(text: bytes, symbol: IndexedSymbol) -> _Span:
    """Where a symbol's name is; its column is in characters."""
    line_start = 0
    for _ in range(symbol.line - 1):
        line_start = text.find(b"\n", line_start) + 1
    line = text[line_start : _end_of_line(text, line_start)].decode("utf-8", "replace")
    start = line_start + len(line[: symbol.column - 1].encode())
    return _Span(line_start, start, start + len(symbol.name.encode()), symbol.kind)


def _told(text: bytes, spans: Iterable[_Span]) -> Iterator[LineMatch]:
    """Matches in their order, each with its line."""
    number, counted = 1, 0
    for line_start, start, end, kind in spans:
        number += text.count(b"\n", counted, start)
        counted = start
        line_end = _end_of_line(text, start)
        column = len(text[line_start:start].decode("utf-8", "replace"))
        yield LineMatch(
            line=number,
            column=column + 1,
            length=len(text[start:end].decode("utf-8", "replace")),
            text=_shown(text[line_start:line_end], column),
            before=_before(text, line_start),
            after=_after(text, line_end),
            symbol=kind,
        )


def _before(text: bytes, line_start: int) -> tuple[str, ...]:
    """The line before, unless there is none."""
    if line_start == 0:
        return ()
    return (_shown(text[text.rfind(b"\n", 0, line_start - 1) + 1 : line_start - 1]),)


def _after(text: bytes, line_end: int) -> tuple[str, ...]:
    """The line after, unless there is none."""
    start = line_end + 1
    return (_shown(text[start : _end_of_line(text, start)]),) if start < len(text) else ()


def _end_of_line(text: bytes, place: int) -> int:
    end = text.find(b"\n", place)
    return len(text) if end < 0 else end


def _shown(line: bytes, column: int = 0) -> str:
    """A line, or what is around the match on a long one."""
    text = line.decode("utf-8", "replace").rstrip("\r")
    if len(text) <= _LONGEST_LINE:
        return text
    start = max(0, min(column - _LONGEST_LINE // 4, len(text) - _LONGEST_LINE))
    return text[start : start + _LONGEST_LINE]
