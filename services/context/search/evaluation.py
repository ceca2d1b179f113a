"""What holds of the files of one commit: first what the index knows, then what their texts say."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from models.context import LineMatch
from services.context.languages import find_language
from services.context.search.index import BlobIndex, IndexedSymbol
from services.context.search.manifest import FileEntry, Manifest
from services.context.search.matches import Span, first_on_lines, is_word, line_matches, span_of
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

MOST_MATCHES = 1_000
"""Lines of one file."""
_IDENTIFIER = re.compile(r"\w{2,}")


Rank = tuple[bool, ...]
"""How relevant a file is: the smallest comes first."""


@dataclass(frozen=True)
class Target:
    """A commit of a repository to search in."""

    id: str
    name: str
    commit: str


class IndexedCommit:
    """The files of an indexed commit, ready to be looked up. Shared between threads."""

    def __init__(self, manifest: Manifest, index: BlobIndex) -> None:
        self.files: Sequence[FileEntry] = manifest.files
        self.index = index

    @cached_property
    def everything(self) -> frozenset[int]:
        """Places of all files."""
        return frozenset(range(len(self.files)))

    @cached_property
    def by_key(self) -> Mapping[int, Sequence[int]]:
        """Places of the files with each content."""
        found: dict[int, list[int]] = {}
        for place, file in enumerate(self.files):
            if not file.skip:
                found.setdefault(file.key, []).append(place)
        return found

    @cached_property
    def by_lang(self) -> Mapping[str, frozenset[int]]:
        """Places of the files in each language."""
        found: dict[str, set[int]] = {}
        for place, file in enumerate(self.files):
            found.setdefault(file.lang, set()).add(place)
        return {lang: frozenset(places) for lang, places in found.items()}

    @cached_property
    def foreign(self) -> frozenset[int]:
        """Places of the files that were generated or written elsewhere."""
        return frozenset(place for place, file in enumerate(self.files) if file.foreign)

    @cached_property
    def tests(self) -> frozenset[int]:
        """Places of the files that hold tests."""
        return frozenset(place for place, file in enumerate(self.files) if file.test)

    @cached_property
    def _paths(self) -> tuple[bytes, str, Sequence[int]]:
        """All paths, one a line; the same without their case; and where each begins."""
        paths = [file.path.replace(b"\n", b"\x00") for file in self.files]
        starts, place = list[int](), 0
        for path in paths:
            starts.append(place)
            place += len(path) + 1
        joined = b"\n".join(paths)
        return joined, joined.decode("utf-8", "replace").casefold(), starts

    def with_keys(self, keys: Iterable[int]) -> set[int]:
        """Places of the files with these contents."""
        by_key = self.by_key
        return {place for key in keys for place in by_key.get(key, ())}

    def with_path(self, pattern: Matcher) -> set[int]:
        """Places of the files whose path matches."""
        paths, folded, starts = self._paths
        if not pattern.may_be_in(folded):
            return set()
        return {bisect_right(starts, start) - 1 for start, _ in pattern.spans(paths)}


@dataclass
class Plan:
    """A query on one commit: what each leaf says without reading a file."""

    target: Target
    commit: IndexedCommit
    query: Query
    matchers: Mapping[int, Matcher]
    _by_path: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    """Of each leaf that was asked about, the files whose path has it."""
    _by_symbol: dict[int, dict[int, list[IndexedSymbol]]] = field(
        default_factory=dict[int, dict[int, list[IndexedSymbol]]]
    )
    """Of each symbol leaf that was asked about, the definitions it names, by content."""

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
                return self.commit.with_keys(self._symbols(node))
            case Not(operand):
                return self._impossible(operand)
            case All(operands):
                return _intersection(self._possible(operand) for operand in operands)
            case AnyOf(operands):
                return _union([self._possible(operand) for operand in operands])

    def _possible_content(self, node: Content) -> set[int] | None:
        pattern = self.matchers[id(node)]
        keys = self.commit.index.candidates(pattern.grams)
        return None if keys is None else self.commit.with_keys(keys) | self._with_path(node)

    def _impossible(self, node: Node) -> set[int] | frozenset[int] | None:
        """Files that may not match: all but those of which the index alone knows that they do."""
        if any(isinstance(leaf, Content) for leaf in leaves(node)):
            return None
        certain = self._possible(node)
        return frozenset() if certain is None else self.commit.everything - certain

    def _with_path(self, node: Content | PathIs) -> set[int]:
        if id(node) not in self._by_path:
            self._by_path[id(node)] = self.commit.with_path(self.matchers[id(node)])
        return self._by_path[id(node)]

    def _symbols(self, node: SymbolIs) -> dict[int, list[IndexedSymbol]]:
        if id(node) not in self._by_symbol:
            pattern = self.matchers[id(node)]
            stored = self.commit.index.symbols(pattern.grams)
            named = {
                key: [symbol for symbol in symbols if pattern.is_in(symbol.name.encode())]
                for key, symbols in stored.items()
            }
            self._by_symbol[id(node)] = {key: symbols for key, symbols in named.items() if symbols}
        return self._by_symbol[id(node)]

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
        lines: dict[int, Span] = {}
        if not file.skip:
            for node in _positive(self.query.root):
                if isinstance(node, Content):
                    for span in islice(first_on_lines(text, self.matchers[id(node)]), MOST_MATCHES):
                        known = lines.setdefault(span.line_start, span)
                        if span.start < known.start:
                            lines[span.line_start] = span
                elif isinstance(node, SymbolIs):
                    for symbol in self._symbols(node).get(file.key, ()):
                        span = span_of(text, symbol)
                        lines[span.line_start] = span
        return list(line_matches(text, sorted(lines.values())[:MOST_MATCHES]))

    def has_word(self, text: bytes) -> bool:
        """Whether something that the query looks for is a whole word."""
        return any(
            is_word(text, start, end)
            for node in _positive(self.query.root)
            if isinstance(node, Content)
            for start, end in self.matchers[id(node)].spans(text)
        )

    def ranked(self) -> dict[Rank, set[int]]:
        """Places of the files that may match, by what is known of their relevance without reading them.

        By sets: a broad query has as many candidates as there are files, and the first of them are waited for.
        """
        found = self.candidates()
        named = set[int]().union(*self._by_path.values())
        parts: dict[Rank, set[int]] = {(): found}
        for worse in (found - self._defining, self.commit.foreign, self.commit.tests, found - named):
            parts = {
                (*rank, is_worse): part & worse if is_worse else part - worse
                for rank, part in parts.items()
                for is_worse in (False, True)
            }
        return parts

    @cached_property
    def _defining(self) -> set[int]:
        """Files that define what a word of the query names."""
        words = (
            node.pattern.text
            for node in _positive(self.query.root)
            if isinstance(node, Content | SymbolIs) and not node.pattern.regex
        )
        names = [word for word in words if _IDENTIFIER.fullmatch(word)]
        return set[int]().union(*(self.commit.with_keys(self.commit.index.defining(name)) for name in names))


def matchers_of(query: Query) -> dict[int, Matcher]:
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
