"""The supervisor, with tiny processes that really start, die and hang."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.stack.home import StackHome
from cli.stack.orphans import find_orphans, stop_orphans
from cli.stack.state import PartState, PartStatus
from cli.stack.supervisor import Part, Supervisor, pause_seconds, stop_order
from models.errors import UnavailableError

FOREVER = "import time\nwhile True: time.sleep(60)"


@pytest.fixture
def home(tmp_path: Path) -> StackHome:
    home = StackHome(tmp_path / "home")
    home.create()
    return home


async def _yes(_pid: int | None) -> bool:
    return True


async def _no(_pid: int | None) -> bool:
    return False


def _part(
    name: str,
    code: str = FOREVER,
    *,
    answers: Callable[[int | None], Awaitable[bool]] | None = _yes,
    needs: tuple[str, ...] = (),
) -> Part:
    return Part(name, answers, lambda: (sys.executable, "-c", code), needs=needs)


class Watched:
    """A supervisor and the changes it told of."""

    def __init__(self, home: StackHome, *parts: Part) -> None:
        self._happened = asyncio.Event()
        self.history: list[dict[str, PartStatus]] = []
        self.supervisor = Supervisor(parts, home, Path.cwd(), self._changed)

    def _changed(self) -> None:
        self.history.append({status.name: status for status in self.supervisor.status})
        self._happened.set()

    async def until(self, condition: Callable[[dict[str, PartStatus]], bool]) -> dict[str, PartStatus]:
        while not (self.history and condition(self.history[-1])):
            self._happened.clear()
            await self._happened.wait()
        return self.history[-1]


@asynccontextmanager
async def _supervised(home: StackHome, *parts: Part) -> AsyncGenerator[Watched]:
    watched = Watched(home, *parts)
    watched.supervisor.start()
    try:
        yield watched
    finally:
        await watched.supervisor.stop()
        assert not find_orphans(home)


async def test_a_part_that_is_killed_is_started_again(home: StackHome) -> None:
    async with _supervised(home, _part("api")) as watched:
        await watched.supervisor.wait_until_healthy()
        first = watched.history[-1]["api"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        failed = await watched.until(lambda parts: parts["api"].state is PartState.FAILED)
        assert failed["api"].detail == "killed by SIGKILL"
        again = await watched.until(lambda parts: parts["api"].state is PartState.RUNNING)
        assert again["api"].pid not in {None, first}


async def test_a_part_starts_when_what_it_needs_is_healthy(home: StackHome, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def open_now(_pid: int | None) -> bool:
        return gate.exists()

    parts = (
        _part("api", needs=("once",)),
        _part("once", "pass", answers=None, needs=("db",)),
        _part("db", answers=open_now),
    )
    async with _supervised(home, *parts) as watched:
        await watched.until(lambda parts: parts["db"].pid is not None)
        assert watched.history[-1]["api"].state is PartState.STOPPED
        gate.touch()
        await watched.supervisor.wait_until_healthy()
        assert [status.name for status in watched.supervisor.status] == ["api", "db"]
        started = [{name for name, part in parts.items() if part.pid} for parts in watched.history]
        assert {"api"} not in started


async def test_a_part_that_never_starts_is_given_up_with_its_last_words(home: StackHome) -> None:
    async with _supervised(home, _part("api", "raise SystemExit('no such table')", answers=_no)) as watched:
        with pytest.raises(
            UnavailableError, match=r"(?s)api does not start: ended with status 1.*no such table.*api\.log"
        ):
            await watched.supervisor.wait_until_healthy()


async def test_a_server_of_the_users_that_is_away_is_named(home: StackHome) -> None:
    database = Part("postgres", _no, address="db.example:5432", patience_seconds=0.2)
    async with _supervised(home, database) as watched:
        with pytest.raises(UnavailableError, match=r"postgres does not start: nothing answers at db\.example:5432"):
            await watched.supervisor.wait_until_healthy()


async def test_stopping_ends_what_a_part_started_and_what_ignores_the_signal(
    home: StackHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.stack.supervisor._GRACE_SECONDS", 0.2)
    start_child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}])"
    ignore_signal = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)"
    stubborn = f"{start_child}\n{ignore_signal}\n{FOREVER}"

    async def has_spoken(_pid: int | None) -> bool:
        return home.log_of("api").read_text() == "up\n"

    async with _supervised(home, _part("api", stubborn, answers=has_spoken)) as watched:
        await watched.supervisor.wait_until_healthy()
        master = psutil.Process(watched.history[-1]["api"].pid)
        assert len(master.children()) == 1
    assert watched.history[-1]["api"].state is PartState.STOPPED


async def test_orphans_of_a_killed_supervisor_are_found_by_their_mark_and_stopped(home: StackHome) -> None:
    other = StackHome(home.path.parent / "other")
    other.create()
    async with _supervised(home, _part("api")) as mine, _supervised(other, _part("api")) as theirs:
        await mine.supervisor.wait_until_healthy()
        await theirs.supervisor.wait_until_healthy()
        pid = mine.history[-1]["api"].pid
        assert {name: process.pid for name, process in find_orphans(home).items()} == {"api": pid}
        assert await asyncio.to_thread(stop_orphans, home) == 1
        assert theirs.history[-1]["api"].state is PartState.RUNNING


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [pause_seconds(failures) for failures in (1, 2, 3, 6, 7, 1000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0]


@given(st.data())
def test_nothing_is_stopped_before_what_needs_it(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 8))
    parts = [
        Part(
            str(number),
            None,
            needs=tuple(data.draw(st.sets(st.sampled_from([str(n) for n in range(number)])))) if number else (),
        )
        for number in range(count)
    ]
    groups = stop_order(parts)
    place = {name: index for index, group in enumerate(groups) for name in group}
    assert sorted(place) == sorted(part.name for part in parts)
    assert all(place[part.name] < place[need] for part in parts for need in part.needs)
