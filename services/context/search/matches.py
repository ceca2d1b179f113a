"""From where a text matches to the lines that are shown. Pure."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from models.context import LineMatch
from services.context.search.index import IndexedSymbol
from services.context.search.patterns import Matcher

_LONGEST_LINE = 400
"""Characters that are shown of a line."""


class Span(NamedTuple):
    """A match, by its bytes."""

    line_start: int
    start: int
    end: int
    kind: str | None = None
    """Of the symbol that is defined there."""


def is_word(text: bytes, start: int, end: int) -> bool:
    """Whether no letter, digit or underscore is beside."""
    before, after = text[start - 1 : start], text[end : end + 1]
    return not any(char.isalnum() or char == b"_" for char in (before, after) if char)


def first_on_lines(text: bytes, pattern: Matcher) -> Iterator[Span]:
    """The first match on each line that has one."""
    place = 0
    while found := next(pattern.spans(text, place), None):
        start, end = found
        yield Span(text.rfind(b"\n", 0, start) + 1, start, end)
        place = _end_of_line(text, start)


def span_of(text: bytes, symbol: IndexedSymbol) -> Span:
    """Where a symbol's name is; its column is in characters."""
    line_start = 0
    for _ in range(symbol.line - 1):
        line_start = text.find(b"\n", line_start) + 1
    line = text[line_start : _end_of_line(text, line_start)].decode("utf-8", "replace")
    start = line_start + len(line[: symbol.column - 1].encode())
    return Span(line_start, start, start + len(symbol.name.encode()), symbol.kind)


def line_matches(text: bytes, spans: Iterable[Span]) -> Iterator[LineMatch]:
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
