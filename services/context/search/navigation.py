"""Definitions and references in one indexed commit: the index says where to look, children parse what is there.

Names are compared, not what they mean. Everything here blocks: call it from a thread.
"""

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Generic, NamedTuple, TypeVar

from models.errors import InvalidInputError, NotFoundError, Problem, UnavailableError
from models.symbols import Definition, FoundDefinition, Occurrence
from services.context.languages import language_of
from services.context.parsers import Parsers
from services.context.search.evaluation import IndexedCommit
from services.context.search.index import IndexedSymbol
from services.context.search.matches import Span, line_matches, span_of
from services.context.search.patterns import literal_grams
from services.context.search.text import searchable
from services.context.symbols import LANGUAGES, Symbol
from services.context.symbols.references import family_of, word_at, words_of

SECONDS = 4.0
"""Of one look; then it answers with what it has."""
_AHEAD = 16
"""Files that are read while others are parsed; each is in memory."""

T = TypeVar("T")
Place = tuple[int, int]
"""Where a list goes on: a file by its number, and how many of its items were given."""


class Part(NamedTuple, Generic[T]):
    """Some items of a list."""

    items: Sequence[T]
    following: Place | None
    """None at the end."""
    complete: bool
    """False when the time was over, or the parser gave up."""


@dataclass(frozen=True)
class Sought:
    """A name, and where it was found."""

    name: str
    file: int | None = None
    """Its place among the files of the commit; None when only the name is known."""
    line: int = 0


@dataclass(frozen=True)
class Wanted:
    """Which symbols to list."""

    name: str
    """Part of the name, in any case; empty for all."""
    kind: str | None

    def takes(self, symbol: Symbol | IndexedSymbol) -> bool:
        """Whether to list one."""
        return self.kind in {None, symbol.kind} and self.name.casefold() in symbol.name.casefold()


def take(files: Iterable[tuple[int, Sequence[T] | None]], start: Place, limit: int) -> Part[T]:
    """At most `limit` items, from a place on. `files`: from its file on, each with its items; None: time is over."""
    items: list[T] = []
    for number, found in files:
        passed = start[1] if number == start[0] else 0
        if found is None:
            return Part(items, (number, passed), complete=False)
        room = limit - len(items)
        items += found[passed : passed + room]
        if len(found) > passed + room:
            return Part(items, (number, passed + room), complete=True)
    return Part(items, None, complete=True)


def outline(parsers: Parsers, path: str, source: bytes, wanted: Wanted, start: int, limit: int) -> Part[Definition]:
    """What a file defines, from its definition `start` on."""
    text = searchable(source)
    if isinstance(text, str):
        return Part((), None, complete=True)
    language = language_of(path.rpartition("/")[2], text).name
    if language not in LANGUAGES:
        return Part((), None, complete=True)
    found = _waited(parsers.symbols(language, text, path))
    if found is None:
        return Part((), None, complete=False)
    part = take([(0, [symbol for symbol in found if wanted.takes(symbol)])], (0, start), limit)
    return Part([_definition(path, symbol) for symbol in part.items], part.following, part.complete)


def list_symbols(commit: IndexedCommit, folder: bytes, wanted: Wanted, start: Place, limit: int) -> Part[Definition]:
    """Definitions in the files below a folder, by path and place. Raises NotFoundError for a folder without files."""
    deadline = time.monotonic() + SECONDS
    keys = commit.index.naming(literal_grams(wanted.name))
    first, last = _below(commit, folder)

    def found() -> Iterator[tuple[int, list[Definition] | None]]:
        for place in range(max(first, start[0]), last):
            if time.monotonic() > deadline:
                yield place, None
                return
            file = commit.files[place]
            if not file.skip and (keys is None or file.key in keys):
                symbols = filter(wanted.takes, commit.index.symbols_in(file.key))
                yield place, [_definition(file.shown_path, symbol) for symbol in symbols]

    return take(found(), start, limit)


def identify(commit: IndexedCommit, parsers: Parsers, path: bytes, line: int, column: int) -> Sought:
    """The identifier at a place; `column` in characters. Raises NotFoundError, and InvalidInputError for none."""
    number = bisect_left(commit.files, path, key=lambda file: file.path)
    if number == len(commit.files) or commit.files[number].path != path:
        raise NotFoundError("There is no file at this path.")
    file = commit.files[number]
    if file.skip or file.lang not in LANGUAGES:
        raise _no_identifier("path", f"This file is no source in {', '.join(sorted(LANGUAGES))}.")
    text = commit.index.text(file.key)
    place = _byte_at(text, line, column)
    name = ""
    if place is not None:
        found = _waited(parsers.identifier(file.lang, text, file.shown_path, place))
        name = word_at(text, place) if found is None else found
    if not name:
        raise _no_identifier("column", f"No identifier is at line {line}, column {column}.")
    return Sought(name, number, line)


def find_definitions(
    commit: IndexedCommit, sought: Sought, start: int, limit: int
) -> tuple[list[FoundDefinition], bool]:
    """What a name may mean, the most probable first: from `start` on, at most `limit`; and whether all were seen.

    Nearest are those of the same file, then of the same container, then of the same language; those in tests, and what
    is generated or written elsewhere, come last.
    """
    deadline = time.monotonic() + SECONDS
    places = sorted(commit.with_keys(commit.index.defining(sought.name)))
    in_time = [
        (place, [symbol for symbol in commit.index.symbols_in(commit.files[place].key) if symbol.name == sought.name])
        for place in places
        if time.monotonic() < deadline
    ]
    scopes = _scopes_around(commit, sought)
    ranked = sorted(
        ((_rank(commit, sought, scopes, place, symbol), place, symbol) for place, found in in_time for symbol in found),
        key=lambda one: one[0],
    )
    shown = [_found_definition(commit, place, symbol) for _, place, symbol in ranked[start : start + limit]]
    return shown, len(in_time) == len(places)


def find_references(
    commit: IndexedCommit, parsers: Parsers, sought: Sought, start: Place, limit: int
) -> tuple[Part[Occurrence], int]:
    """Where a name stands as an identifier, in files of the same language: of the same file first, of tests last.

    And how many of these files the parser gave up on: of them it is every word, in comments and texts, too.
    """
    order = _candidates(commit, sought)
    looked: dict[int, _Looked] = {}

    def found() -> Iterator[tuple[int, list[tuple[int, int]] | None]]:
        for number, seen in _look(commit, parsers, sought.name, islice(enumerate(order), start[0], None)):
            if seen is None:
                yield number, None
                return
            looked[number] = seen
            yield number, [(number, at) for at in seen.starts]

    places, following, complete = take(found(), start, limit)
    items: list[Occurrence] = []
    unparsed = 0
    for number, here in groupby(places, key=lambda place: place[0]):
        unparsed += not looked[number].parsed
        items += _occurrences(commit, order[number], looked[number].text, sought.name, [at for _, at in here])
    return Part(items, following, complete), unparsed


@dataclass(frozen=True)
class _Looked:
    text: bytes
    starts: list[int]
    parsed: bool


def _look(
    commit: IndexedCommit, parsers: Parsers, name: str, files: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, _Looked | None]]:
    """Files that have a name as an identifier, each by its number; None when the time is over."""
    deadline = time.monotonic() + SECONDS
    waiting = deque[tuple[int, bytes, Future[list[int] | None] | None]]()
    submitted = _submitted(commit, parsers, name, files)
    try:
        while True:
            waiting.extend(islice(submitted, _AHEAD - len(waiting)))
            if not waiting:
                return
            number, text, future = waiting[0]
            try:
                starts = [] if future is None else future.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                yield number, None
                return
            if starts is None:
                yield number, _Looked(text, words_of(text, name), parsed=False)
            elif starts:
                yield number, _Looked(text, starts, parsed=True)
            elif time.monotonic() > deadline:
                yield number, None
                return
            waiting.popleft()
    finally:
        for _, _, future in waiting:
            if future is not None:
                future.cancel()


def _submitted(
    commit: IndexedCommit, parsers: Parsers, name: str, files: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, bytes, Future[list[int] | None] | None]]:
    raw = name.encode()
    for number, place in files:
        file = commit.files[place]
        text = commit.index.text(file.key)
        future = parsers.places(file.lang, text, file.shown_path, name) if raw in text else None
        yield number, text, future


def _candidates(commit: IndexedCommit, sought: Sought) -> list[int]:
    """Files that may have a name, in the order they are shown: trigrams know no case, so not all of them do."""
    languages = LANGUAGES if sought.file is None else family_of(commit.files[sought.file].lang)
    keys = commit.index.candidates(literal_grams(sought.name))
    places = commit.everything if keys is None else commit.with_keys(keys)
    found = [(place, commit.files[place]) for place in places]
    ranked = sorted(
        (place != sought.file, file.foreign, file.test, place)
        for place, file in found
        if not file.skip and file.lang in languages
    )
    return [place for *_, place in ranked]


def _occurrences(
    commit: IndexedCommit, place: int, text: bytes, name: str, starts: Sequence[int]
) -> Iterator[Occurrence]:
    file, length = commit.files[place], len(name.encode())
    defined = {
        (symbol.line, symbol.column): symbol.kind for symbol in commit.index.symbols_in(file.key) if symbol.name == name
    }
    spans = (Span(text.rfind(b"\n", 0, start) + 1, start, start + length) for start in starts)
    for match in line_matches(text, spans):
        yield Occurrence(
            path=file.shown_path,
            line=match.line,
            column=match.column,
            text=match.text,
            definition=defined.get((match.line, match.column)),
        )


def _rank(
    commit: IndexedCommit, sought: Sought, scopes: Sequence[str], place: int, symbol: IndexedSymbol
) -> tuple[bool, int, bool, bool, bool, int, int, int]:
    """The smallest comes first."""
    file, scope = commit.files[place], _scope(symbol.container)
    language = "" if sought.file is None else commit.files[sought.file].lang
    return (
        place != sought.file,
        scopes.index(scope) if scope in scopes else len(scopes),
        file.lang not in family_of(language),
        file.foreign,
        file.test,
        place,
        symbol.line,
        symbol.column,
    )


def _scopes_around(commit: IndexedCommit, sought: Sought) -> list[str]:
    """What the place of a name is inside of, innermost first: there, names mean what is defined there."""
    if sought.file is None:
        return []
    symbols = commit.index.symbols_in(commit.files[sought.file].key)
    around = [symbol for symbol in reversed(symbols) if symbol.line <= sought.line <= symbol.end_line]
    scopes = (scope for one in around for scope in (_scope(one.container, one.name), _scope(one.container)))
    return list(dict.fromkeys(filter(None, scopes)))


def _scope(*names: str) -> str:
    """A container by its names, however its language joins them."""
    return ".".join(filter(None, names)).replace("::", ".")


def _below(commit: IndexedCommit, folder: bytes) -> tuple[int, int]:
    """The places of the files below a folder; all are below the top."""
    if not folder:
        return 0, len(commit.files)
    first = bisect_left(commit.files, folder + b"/", key=lambda file: file.path)
    last = bisect_left(commit.files, folder + b"0", key=lambda file: file.path)  # 0 comes after the slash
    if first == last:
        raise NotFoundError("There is nothing at this path.")
    return first, last


def _definition(path: str, symbol: Symbol | IndexedSymbol) -> Definition:
    return Definition(
        path=path,
        name=symbol.name,
        kind=symbol.kind,
        line=symbol.line,
        column=symbol.column,
        end_line=symbol.end_line,
        container=symbol.container,
    )


def _found_definition(commit: IndexedCommit, place: int, symbol: IndexedSymbol) -> FoundDefinition:
    file = commit.files[place]
    text = commit.index.text(file.key)
    (match,) = line_matches(text, [span_of(text, symbol)])
    return FoundDefinition(**dict(_definition(file.shown_path, symbol)), text=match.text)


def _byte_at(text: bytes, line: int, column: int) -> int | None:
    """The byte at which a character begins; None beyond its line."""
    lines = text.split(b"\n", line)[:line]
    if len(lines) < line:
        return None
    characters = lines[-1].decode("utf-8", "surrogateescape")
    if column > len(characters):
        return None
    before = len(characters[: column - 1].encode("utf-8", "surrogateescape"))
    return sum(map(len, lines[:-1])) + line - 1 + before


def _waited(future: Future[T]) -> T:
    try:
        return future.result(SECONDS)
    except TimeoutError as error:
        future.cancel()
        raise UnavailableError("Everybody who parses sources is busy. Try again in a moment.") from error


def _no_identifier(parameter: str, message: str) -> InvalidInputError:
    problem = Problem(pointer=f"/query/{parameter}", code="no-identifier", message=message)
    return InvalidInputError(message, code="no-identifier", problems=[problem])
