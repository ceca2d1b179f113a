"""Throw-away servers for tests and benchmarks: started on first need, gone with the process they are for.

`python -m cli.stack.throwaway KIND DIRECTORY OWNER_PID [durable]` is a server's keeper: a process that starts it,
writes how to reach it to DIRECTORY/KIND.address, and stops it on SIGTERM or when the owner ends, however it ends.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from cli.stack.files import hold, holder_of, locked, write_whole
from cli.stack.ports import free_port
from cli.stack.postgres import PostgresServer
from cli.stack.server import Server
from cli.stack.temporal import TemporalServer
from cli.stack.temporal_program import find_program
from models.errors import UnavailableError

_START_SECONDS = 60
_CHECKOUT = Path(__file__).resolve().parents[2]


def throwaway_postgres(directory: Path, owner_pid: int, *, durable: bool = False) -> str:
    """URL of the database server of this directory, started on the first call by any process.

    `durable`: it waits for the disk, as the one of a stack does.
    """
    return _reach("postgres", directory, owner_pid, durable)


def throwaway_temporal(directory: Path, owner_pid: int, *, durable: bool = False) -> str:
    """`host:port` of the Temporal server of this directory, started on the first call by any process.

    `durable`: it keeps everything in a file, as the one of a stack does.
    """
    return _reach("temporal", directory, owner_pid, durable)


def stop_throwaways(directory: Path) -> None:
    """Stop the directory's servers, wait until they are gone, and remove it."""
    pids = [holder_of(path) for path in sorted(directory.glob("*.keeper"))]
    keepers = [psutil.Process(pid) for pid in pids if pid is not None and psutil.pid_exists(pid)]
    for keeper in keepers:
        with contextlib.suppress(psutil.NoSuchProcess):
            keeper.terminate()
    psutil.wait_procs(keepers)
    shutil.rmtree(directory, ignore_errors=True)


def _reach(kind: str, directory: Path, owner_pid: int, durable: bool) -> str:
    address = directory / f"{kind}.address"
    words = [kind, str(directory), str(owner_pid), *(["durable"] if durable else [])]
    with locked(directory / f"{kind}.lock"):
        if not address.exists():
            log = directory / f"{kind}.log"
            with log.open("wb") as output:
                keeper = subprocess.Popen(  # noqa: S603 - this module
                    [sys.executable, "-m", "cli.stack.throwaway", *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=output,
                    cwd=_CHECKOUT,
                    start_new_session=True,  # Ctrl-C goes to the owner, who still needs the server while it ends
                )
            assert keeper.stdout is not None  # noqa: S101 - it is a pipe
            with keeper.stdout as ready:
                ready.read()  # until the keeper says it is ready, or ends
            if not address.exists():
                raise UnavailableError(f"no throw-away {kind} server:\n{log.read_text(errors='replace')[-4000:]}")
            keeper.returncode = 0  # it outlives this process on purpose: nothing to warn of
    return address.read_text()


def _keep(kind: str, directory: Path, owner_pid: int, *, durable: bool) -> None:
    owner = psutil.Process(owner_pid)
    held = hold(directory / f"{kind}.keeper")
    assert held is not None  # noqa: S101 - who starts a keeper holds the lock of its kind, and there was none
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if kind == "postgres":
        database = PostgresServer(directory / kind, free_port(), durable=durable)
        database.prepare()
        server, address = database, database.url
    else:
        server = TemporalServer(find_program(_say), free_port(), directory / "temporal.db" if durable else None)
        address = server.address
    with _running(server):
        write_whole(directory / f"{kind}.address", address)
        os.close(sys.stdout.fileno())
        owner.wait()
    shutil.rmtree(directory, ignore_errors=True)


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


@contextmanager
def _running(server: Server) -> Generator[None]:
    process = subprocess.Popen(server.command(), stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603 - our server
    try:
        asyncio.run(_wait_until_it_answers(server, process))
        yield
    finally:
        process.send_signal(server.stop_signal)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while not await server.answers():
            if process.poll() is not None:
                raise UnavailableError(f"it ended with status {process.returncode} before it answered")
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), durable=sys.argv[4:] == ["durable"])
