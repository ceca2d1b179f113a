"""Parsing strangers' texts in child processes.

Parsers meet texts that keep them busy for ever and texts that crash them. In the worker's own process they would hold
the interpreter's lock meanwhile, and with it the worker's heartbeats, or take the worker along. A child can be ended.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Self, TypeVar, TypeVarTuple, get_type_hints

import msgspec

from models.errors import UnavailableError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_LOST = 30
"""Processes that each child may cost; then it parses nothing more: thousands of bad files are no accident."""
_MEMORY = 2**30
"""Bytes of address space for a child."""
_POLL_SECONDS = 0.1
_START_SECONDS = 60.0
_MOST_CHILDREN = 8
_SPARE_SECONDS = 30
"""After which a child ends itself: its parent, who would have ended it, was killed."""


class Child:
    """Calls functions in a child process: started when needed, replaced when it hangs or dies. One call at a time.

    `seconds`: for one call. `check` is called while waiting; it ends the work by raising. `most_lost`: processes that
    may be lost, before None is given without trying.
    """

    def __init__(self, seconds: float, check: Callable[[], None], most_lost: int = MOST_LOST) -> None:
        self._seconds = seconds
        self._check = check
        self._most_lost = most_lost
        self._lost = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def __call__(self, work: Callable[[*Ts], T], *args: *Ts) -> T | None:
        """What a function of a module gives, as its annotations say; None when it raised, or hung, or crashed.

        Raises UnavailableError when the child cannot be started at all: then nothing could be parsed.
        """
        if self._lost >= self._most_lost:
            return None
        try:
            connection = self._connection or self._start()
            try:
                connection.send((work, args))
                if self._answered(connection, self._seconds):
                    return _decoder(work).decode(connection.recv_bytes())
            except (EOFError, OSError, msgspec.MsgspecError):
                pass  # the child died, of memory perhaps: as good as a time-out
        except BaseException:
            self.end()  # the next call would get the answer to this one
            raise
        self._lost += 1
        self.end()
        return None

    def _answered(self, connection: Connection, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not connection.poll(_POLL_SECONDS):
            self._check()
            if time.monotonic() > deadline:
                return False
        return True

    def _start(self) -> Connection:
        self._connection, theirs = Pipe()
        command = (sys.executable, "-m", __name__, str(theirs.fileno()), str(int(self._seconds)))
        try:
            with theirs:
                # A new interpreter, since a fork would copy locks that other threads hold. It is told no secrets.
                self._process = subprocess.Popen(  # noqa: S603 - all of it is ours
                    command,
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
            if self._answered(self._connection, _START_SECONDS):
                self._connection.recv_bytes()
                return self._connection
        except (EOFError, OSError):
            pass  # it died at once; its own words are on the standard error
        raise UnavailableError("a process that parses sources cannot be started")

    def end(self) -> None:
        """End the process. The next call starts another one."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._connection = None


class Children:
    """As many children as there are processors, and the calls that wait for one."""

    def __init__(self, seconds: float, check: Callable[[], None], most_lost: int = MOST_LOST) -> None:
        count = min(_processors(), _MOST_CHILDREN)
        self._all = [Child(seconds, check, most_lost) for _ in range(count)]
        self._free = SimpleQueue[Child]()
        for child in self._all:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="child")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait for the calls under way, and end the processes. There is no call after it."""
        self._threads.shutdown(cancel_futures=True)
        for child in self._all:
            child.end()

    def submit(self, work: Callable[[*Ts], T], *args: *Ts) -> Future[T | None]:
        """Call a function as soon as a child is free. As `Child.__call__`."""

        def call() -> T | None:
            child = self._free.get()
            try:
                return child(work, *args)
            finally:
                self._free.put(child)

        return self._threads.submit(call)


@cache
def _decoder(work: Callable[..., T]) -> msgspec.msgpack.Decoder[T | None]:
    """Reads what a function gives. Not pickles: strangers' texts may have got the better of who writes it."""
    return msgspec.msgpack.Decoder(get_type_hints(work)["return"] | None)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(connection: Connection, seconds: int) -> None:
    """The child: says that it is there, then answers each call, with None where the function raises."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    connection.send_bytes(b"here")
    while True:
        try:
            work, args = connection.recv()
        except (EOFError, OSError):
            return
        # Nobody handles the signal, so the system ends the process, however deep in a parser it is.
        signal.alarm(seconds + _SPARE_SECONDS)
        try:
            answer = msgspec.msgpack.encode(work(*args))
        except Exception:  # noqa: BLE001 parsers meet odd texts with whatever they stumble over
            answer = msgspec.msgpack.encode(None)
        signal.alarm(0)
        connection.send_bytes(answer)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])), int(sys.argv[2]))
