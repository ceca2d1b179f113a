"""Keeping the parts of a stack running: starting in order, restarting what dies, stopping in the reverse order."""

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cli.stack.home import StackHome
from cli.stack.orphans import mark
from cli.stack.state import PartState, PartStatus
from models.errors import TooLooError, UnavailableError

_ATTEMPTS_BEFORE_GIVING_UP = 5
"""Of a part that was never healthy: then something is wrong that starting again does not mend."""
_STEADY_SECONDS = 60.0
"""A part that was healthy this long begins again with the shortest pause."""
_LONGEST_PAUSE_SECONDS = 30.0
_GRACE_SECONDS = 20.0
_MISSES_UNTIL_UNHEALTHY = 3
_CHECK_SECONDS = 3.0
_FIRST_CHECKS_SECONDS = 0.1


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Part:
    """One process of the stack, or a server of the user's that it depends on."""

    name: str
    answers: Callable[[int | None], Awaitable[bool]] | None
    """Whether it does its work, given its pid; None: it does its work once and ends."""
    command: Callable[[], Sequence[str]] | None = None
    """Its command line, asked for at each start; None: somebody else runs it."""
    prepare: Callable[[], None] = _nothing
    """Runs before each start, in a thread."""
    environment: Callable[[], Mapping[str, str]] = field(default=dict[str, str])
    """Added to ours, asked for at each start, when what it needs is there."""
    needs: tuple[str, ...] = ()
    """Parts that must be healthy before its first start."""
    address: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    patience_seconds: float = 120.0
    """How long it may take to answer for the first time."""


def pause_seconds(failures: int) -> float:
    """How long to wait before the next start after this many failures in a row: 0.5 s, doubling up to 30 s."""
    return min(0.5 * 2.0 ** (min(failures, 32) - 1), _LONGEST_PAUSE_SECONDS)


def stop_order(parts: Iterable[Part]) -> list[list[str]]:
    """Names in groups to be stopped one after the other: nothing is stopped while something that needs it runs."""
    left = {part.name: part.needs for part in parts}
    groups: list[list[str]] = []
    while left:
        needed = {name for needs in left.values() for name in needs}
        groups.append([name for name in left if name not in needed])
        left = {name: needs for name, needs in left.items() if name in needed}
    return groups


class Supervisor:
    """Runs parts until it is told to stop. `changed` is called after each change of a part's status."""

    def __init__(
        self, parts: Sequence[Part], home: StackHome, cwd: Path, changed: Callable[[], None] = _nothing
    ) -> None:
        self._parts = {part.name: part for part in parts}
        self._home = home
        self._cwd = cwd
        self._changed = changed
        self._status = {
            part.name: PartStatus(name=part.name, address=part.address, log=str(home.log_of(part.name)))
            for part in parts
        }
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def status(self) -> tuple[PartStatus, ...]:
        """Status of each part, in the order they were given in; parts that end by themselves are no part of it."""
        return tuple(status for name, status in self._status.items() if self._parts[name].answers is not None)

    def start(self) -> None:
        """Begin to start everything; returns at once."""
        for part in self._parts.values():
            keeper = asyncio.create_task(self._keep(part), name=part.name)
            keeper.add_done_callback(self._notice_end)
            self._keepers[part.name] = keeper

    async def wait_until_healthy(self) -> None:
        """Until every part has been healthy. Raises UnavailableError when one does not start."""
        everything = asyncio.create_task(self._wait_for(self._ready))
        try:
            await asyncio.wait({everything, self._failure}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            everything.cancel()
        if self._failure.done():
            raise UnavailableError(self._failure.result())

    async def stop(self) -> None:
        """Stop everything, dependants first; returns when no process is left."""
        for group in stop_order(self._parts.values()):
            keepers = [self._keepers[name] for name in group if name in self._keepers]
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for name in group:
                self._set(name, PartState.STOPPED, pid=None)

    async def _wait_for(self, names: Iterable[str]) -> None:
        for name in names:
            await self._ready[name].wait()

    async def _keep(self, part: Part) -> None:
        await self._wait_for(part.needs)
        clock = asyncio.get_running_loop().time
        first = clock()
        failures = 0
        while True:
            started = clock()
            reason = await self._run(part)
            if reason is None:
                return
            failures = 1 if clock() - started > _STEADY_SECONDS else failures + 1
            self._set(part.name, PartState.FAILED, pid=None, detail=reason)
            hopeless = failures == _ATTEMPTS_BEFORE_GIVING_UP or clock() - first > part.patience_seconds
            if hopeless and not self._ready[part.name].is_set():
                words = "" if part.command is None else self._home.last_words(part.name)
                self._give_up(f"{part.name} does not start: {reason}{words}")
                return
            await asyncio.sleep(pause_seconds(failures))

    def _give_up(self, reason: str) -> None:
        if not self._failure.done():
            self._failure.set_result(reason)

    def _notice_end(self, keeper: asyncio.Task[None]) -> None:
        # A fault of the supervisor's own must not leave it waiting for a part that nobody keeps.
        if not keeper.cancelled() and (fault := keeper.exception()) is not None:
            self._give_up(f"{keeper.get_name()}: {fault!r}")

    async def _run(self, part: Part) -> str | None:
        """One life of a part: why it ended, or None for the good end of one that does its work once."""
        self._set(part.name, PartState.STARTING, pid=None)
        if part.command is None:
            await self._watch(part, None)
            return f"nothing answers at {part.address}"
        try:
            await asyncio.to_thread(part.prepare)
            process = await self._spawn(part, part.command())
        except (TooLooError, OSError) as error:
            return str(error)
        self._set(part.name, PartState.STARTING, pid=process.pid)
        watch = None if part.answers is None else asyncio.create_task(self._watch(part, process))
        try:
            await process.wait()
        finally:
            if watch is not None:
                watch.cancel()
                await asyncio.gather(watch, return_exceptions=True)
            await _end(process, part.stop_signal)
        if part.answers is None and process.returncode == 0:
            self._set(part.name, PartState.STOPPED, pid=None)
            self._ready[part.name].set()
            return None
        return _describe(process.returncode)

    async def _spawn(self, part: Part, command: Sequence[str]) -> Process:
        environment = {**os.environ, **part.environment(), **mark(self._home, part.name)}
        with self._home.fresh_log(part.name).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._cwd,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the others in order
            )

    async def _watch(self, part: Part, process: Process | None) -> None:
        """Follow a part's health. One that does not answer in time for the first time is ended, or given up."""
        pid = process.pid if process else None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + part.patience_seconds
        misses = 0
        was_healthy = False
        while True:
            if part.answers is None or await part.answers(pid):
                misses, was_healthy = 0, True
                self._ready[part.name].set()
                self._set(part.name, PartState.RUNNING, pid=pid)
            elif was_healthy:
                misses += 1
                if misses == _MISSES_UNTIL_UNHEALTHY:
                    self._set(part.name, PartState.FAILED, pid=pid, detail="does not answer")
            elif loop.time() > deadline:
                if process is not None:
                    process.send_signal(part.stop_signal)
                return
            await asyncio.sleep(_CHECK_SECONDS if was_healthy else _FIRST_CHECKS_SECONDS)

    def _set(self, name: str, state: PartState, *, pid: int | None, detail: str = "") -> None:
        new = self._status[name].model_copy(update={"state": state, "pid": pid, "detail": detail})
        if new != self._status[name]:
            self._status[name] = new
            self._changed()


async def _end(process: Process, stop_signal: signal.Signals) -> None:
    """Stop a process if it still runs, gently first, and whatever it started and left."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop_signal)
        try:
            async with asyncio.timeout(_GRACE_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError, TimeoutError):
        async with asyncio.timeout(_GRACE_SECONDS):
            while True:  # a killed process is there until its memory is given back
                os.killpg(process.pid, signal.SIGKILL)
                await asyncio.sleep(0.01)


def _describe(status: int | None) -> str:
    if status is not None and status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
