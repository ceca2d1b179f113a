"""The embedded PostgreSQL survives what happens to it."""

import asyncio
import os
import stat
import subprocess
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from cli.stack import unprivileged
from cli.stack.ports import free_port
from cli.stack.postgres import PostgresServer, stop_strays
from cli.stack.unprivileged import Account
from models.errors import ConflictError, UnavailableError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else")


@asynccontextmanager
async def _started(server: PostgresServer) -> AsyncGenerator[asyncio.subprocess.Process]:
    await asyncio.to_thread(server.prepare)
    process = await asyncio.create_subprocess_exec(*server.command(), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    try:
        while not await server.answers():
            assert process.returncode is None
            await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(server.stop_signal)
        await process.wait()


def _server(folder: Path) -> PostgresServer:
    return PostgresServer(folder / "postgres", free_port(), durable=False)


async def _execute(server: PostgresServer, statement: str) -> list[int]:
    connection: asyncpg.Connection = await asyncpg.connect(server.url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_committed_rows_survive_a_killed_server_and_its_orphans(tmp_path: Path) -> None:
    server = _server(tmp_path)
    async with _started(server) as process:
        await _execute(server, "CREATE TABLE kept AS SELECT 1 AS value")
        connection: asyncpg.Connection = await asyncpg.connect(server.url)  # a backend that outlives its server
        process.kill()
        await process.wait()
        async with _started(server):
            assert await _execute(server, "SELECT value FROM kept") == [1]
        connection.terminate()


async def test_a_server_left_running_by_a_killed_supervisor_gives_way(tmp_path: Path) -> None:
    left, next_one = _server(tmp_path), _server(tmp_path)
    async with _started(left) as process, _started(next_one):
        await process.wait()
        assert await _execute(next_one, "SELECT 1") == [1]
    assert stop_strays(next_one.data) == 0


@pytest.mark.parametrize("pid", [str(os.getpid()), "", "4194304"], ids=["reused", "empty", "dead"])
async def test_a_misleading_pid_file_does_not_matter(tmp_path: Path, pid: str) -> None:
    server = _server(tmp_path)
    await asyncio.to_thread(server.prepare)
    (server.data / "postmaster.pid").write_text(f"{pid}\n{server.data}\n" if pid else "")
    async with _started(server):
        assert await _execute(server, "SELECT 1") == [1]
    assert psutil.pid_exists(os.getpid())


@AS_ROOT
@pytest.mark.parametrize("way", unprivileged.WAYS)
async def test_root_serves_from_a_private_folder_and_opens_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[], Account]
) -> None:
    monkeypatch.setattr(unprivileged, "WAYS", (way,))
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    server = _server(private)
    async with _started(server) as process:
        assert await _execute(server, "SELECT 1") == [1]
        assert psutil.Process(process.pid).cwd() == str(server.data)
    for folder in (private, server.data):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private.stat().st_uid == 0


@AS_ROOT
async def test_data_written_in_one_way_is_served_in_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = _server(tmp_path)
    for way in (*unprivileged.WAYS, *unprivileged.WAYS):
        monkeypatch.setattr(unprivileged, "WAYS", (way,))
        async with _started(server):
            assert await _execute(server, "SELECT 1") == [1]


@AS_ROOT
def test_without_any_way_the_error_names_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"unshare.*setpriv.*DATABASE_URL"):
        _server(tmp_path).prepare()


def test_an_interrupted_creation_leaves_nothing_that_looks_like_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.run

    def interrupted(command: list[str], **options: object) -> object:
        done = real(command, **options)  # type: ignore[call-overload] - handed on as they are
        if any(word.endswith("initdb") for word in map(str, command)) and "-D" in command:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _server(tmp_path).prepare()
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_version_is_not_touched(tmp_path: Path) -> None:
    server = _server(tmp_path)
    server.prepare()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConflictError, match="PostgreSQL 12 and this is PostgreSQL 18"):
        server.prepare()


async def test_the_password_is_needed(tmp_path: Path) -> None:
    server = _server(tmp_path)
    async with _started(server):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url, password="guess")
    assert stat.S_IMODE((server.data / "tooloo.password").stat().st_mode) == 0o600
