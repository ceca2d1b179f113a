"""Children that answer questions for as long as their process goes on."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from services.context import parsers as module
from services.context.children import MOST_LOST, Children
from services.context.parsers import Parsers
from services.context.search import navigation
from services.context.search.navigation import Part, take
from services.context.supervision import StoppedError
from services.context.symbols import Symbol, symbols_of


@pytest.fixture
def parsers() -> Iterator[Parsers]:
    parsers = Parsers()
    yield parsers
    parsers.end()


def test_questions_are_answered_by_children(parsers: Parsers) -> None:
    source = b"def retry():\n    retry()\n"
    found = parsers.symbols("Python", source, "a.py").result() or []
    assert [(symbol.name, symbol.line, symbol.column, symbol.end_line) for symbol in found] == [("retry", 1, 5, 2)]
    assert parsers.places("Python", source, "a.py", "retry").result() == [4, 17]
    assert parsers.identifier("Python", source, "a.py", 18).result() == "retry"
    assert parsers.symbols("Python", b"(" * 2_000, "a.py").result() is None


def crash(language: str, source: bytes, path: str) -> list[Symbol] | None:
    """What a child calls in place of a parser."""
    if b"crash" in source:
        os.kill(os.getpid(), signal.SIGSEGV)
    return symbols_of(language, source, path)


def test_lost_children_are_replaced_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "symbols_of", crash)
    parsers = Parsers()
    for child in parsers._children._all:
        child._lost = MOST_LOST
    assert parsers.symbols("Python", b"crash", "a.py").result() is None
    assert len(parsers.symbols("Python", b"x = 1", "a.py").result() or ()) == 1
    parsers.end()


def hang(*_: object) -> None:
    """The same."""
    while True:
        pass


def test_who_waits_when_the_process_ends_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "symbols_of", hang)
    parsers = Parsers()
    waiting = [parsers.symbols("Python", b"x = 1", "a.py") for _ in range(20)]
    parsers.end()
    for future in waiting:
        with pytest.raises((StoppedError, CancelledError)):
            future.result()


def test_nothing_is_started_before_it_is_needed(parsers: Parsers) -> None:
    assert isinstance(parsers._children, Children)
    assert all(child._process is None for child in parsers._children._all)


FILES = [(2, "ab"), (3, ""), (5, "cde"), (6, "f")]


@pytest.mark.parametrize(
    ("start", "limit", "part"),
    [
        ((2, 0), 9, Part(["a", "b", "c", "d", "e", "f"], None, complete=True)),
        ((2, 0), 6, Part(["a", "b", "c", "d", "e", "f"], None, complete=True)),
        ((2, 0), 5, Part(["a", "b", "c", "d", "e"], (6, 0), complete=True)),
        ((2, 0), 2, Part(["a", "b"], (5, 0), complete=True)),
        ((2, 1), 2, Part(["b", "c"], (5, 1), complete=True)),
        ((5, 1), 1, Part(["d"], (5, 2), complete=True)),
        ((6, 1), 1, Part([], None, complete=True)),
    ],
)
def test_a_part_ends_where_the_next_one_begins(start: tuple[int, int], limit: int, part: Part[str]) -> None:
    assert take([one for one in FILES if one[0] >= start[0]], start, limit) == part


def test_a_part_ends_when_the_time_is_over() -> None:
    assert take([(2, "ab"), (3, None)], (2, 1), 9) == Part(["b"], (3, 0), complete=False)
    assert take([(2, None)], (2, 1), 9) == Part([], (2, 1), complete=False)


@pytest.mark.parametrize(
    ("line", "column", "byte"),
    [(1, 1, 0), (1, 3, 3), (1, 4, None), (2, 1, 5), (2, 2, 6), (2, 3, 7), (3, 1, None), (9, 1, None)],
)
def test_places_are_found_by_characters(line: int, column: int, byte: int | None) -> None:
    assert navigation._byte_at("aüb\n\n".encode().replace(b"\n\n", b"\n\xffxy\n"), line, column) == byte
