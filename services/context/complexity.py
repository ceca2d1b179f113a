"""Cyclomatic complexity by lizard, in a child process.

lizard's parsers are regular expressions and state machines over text that strangers wrote: a file that keeps one busy
for ever would hold the interpreter's lock with it, and with that the worker's heartbeats. A child can be ended.
"""

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import NamedTuple, Self

from models.errors import UnavailableError

MAX_BYTES = 512 * 2**10
"""Of source text; larger files are generated or data."""
MAX_LINE = 20_000
"""Bytes of one line; longer ones are minified."""
SECONDS = 20.0
"""For one file: some 50 times what half a megabyte takes."""
_POLL_SECONDS = 0.1
_START_SECONDS = 60.0
_ORPHAN_SECONDS = 60
"""After which a child ends itself: its parent, who would have ended it, was killed."""


class Function(NamedTuple):
    """One function of a file."""

    name: str
    line: int
    complexity: int
    lines: int


def measurable(text: bytes) -> bool:
    """Whether a file is worth measuring: written by people, not by tools."""
    return len(text) <= MAX_BYTES and max(map(len, text.split(b"\n"))) <= MAX_LINE


def measure(name: str, text: str) -> list[Function]:
    """The functions of a source text; `name` has the extension by which lizard knows the language."""
    import lizard  # noqa: PLC0415 only the child pays for it

    found = lizard.analyze_file.analyze_source_code(name, text).function_list
    return [Function(each.name, each.start_line, each.cyclomatic_complexity, each.length) for each in found]


def _serve(connection: Connection) -> None:
    """The child: says that it is there, then answers each (name, text) with its functions, or None where lizard fails.

    Ends with the parent.
    """
    connection.send(None)
    while True:
        try:
            name, text = connection.recv()
        except (EOFError, OSError):
            return
        # Nobody handles the signal, so the system ends the process, however deep in a regular expression it is.
        signal.alarm(_ORPHAN_SECONDS)
        try:
            answer = measure(name, text)
        except Exception:  # noqa: BLE001 lizard meets odd source texts with whatever it stumbles over
            answer = None
        signal.alarm(0)
        connection.send(answer)


class Measurer:
    """Measures files one after the other in a child process: started when needed, replaced when it hangs.

    `check` is called while waiting; it ends the work by raising.
    """

    def __init__(self, check: Callable[[], None], seconds: float = SECONDS) -> None:
        self._check = check
        self._seconds = seconds
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def functions(self, name: str, text: str) -> list[Function] | None:
        """The functions of a source text; None when it cannot be measured, or not in time.

        Raises UnavailableError when the child cannot be started at all: then no file could be measured.
        """
        connection = self._connection or self._start()
        try:
            connection.send((name, text))
            if self._answered(connection, self._seconds):
                return connection.recv()
        except (EOFError, OSError):
            pass  # the child died, of memory perhaps: as good as a time-out
        self._end()
        return None

    def _answered(self, connection: Connection, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not connection.poll(_POLL_SECONDS):
            self._check()
            if time.monotonic() > deadline:
                return False
        return True

    def _start(self) -> Connection:
        # spawn: a fork would copy locks that other threads of this process hold.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), name="complexity", daemon=True)
        process.start()
        theirs.close()
        self._process = process
        try:
            if self._answered(self._connection, _START_SECONDS):
                self._connection.recv()
                return self._connection
        except EOFError:
            pass  # it died at once; its own words are on the standard error
        self._end()
        raise UnavailableError("the process that measures complexity cannot be started")

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        self._process = self._connection = None
