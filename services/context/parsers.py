"""Reading strangers' sources for those who wait for an answer: in children that are kept from one question to the next.

Unlike the children of one piece of work, they belong to a process that goes on: lost ones are replaced without end.
"""

import sys
from concurrent.futures import Future
from threading import Event

from services.context.children import Children
from services.context.supervision import StoppedError
from services.context.symbols import Symbol, symbols_of
from services.context.symbols.references import identifier_at, places_of

_SECONDS = 2.0
"""For one file. Two megabytes of usual source take less than one."""


class Parsers:
    """A pool of children; they are started when the first source is to be read. Shared between threads.

    What is asked for is None where the parser gave up: the source is too large, too costly, hung it or crashed it.
    """

    def __init__(self) -> None:
        self._ended = Event()
        self._children = Children(_SECONDS, self._check, sys.maxsize)

    def symbols(self, language: str, source: bytes, path: str) -> Future[list[Symbol] | None]:
        """The definitions in a source, as `symbols_of` gives them."""
        return self._children.submit(symbols_of, language, source, path)

    def identifier(self, language: str, source: bytes, path: str, place: int) -> Future[str | None]:
        """The identifier at a byte of a source, as `identifier_at` gives it."""
        return self._children.submit(identifier_at, language, source, path, place)

    def places(self, language: str, source: bytes, path: str, name: str) -> Future[list[int] | None]:
        """Where an identifier stands in a source, as `places_of` gives it."""
        return self._children.submit(places_of, language, source, path, name)

    def end(self) -> None:
        """End all children; who still waits for one gets an error."""
        self._ended.set()
        self._children.end()

    def _check(self) -> None:
        if self._ended.is_set():
            raise StoppedError
