"""Throw-away servers and processes for benchmarks; everything ends with the benchmark."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.stack.ports import free_port
from cli.stack.temporal_setup import prepare_namespace
from cli.stack.throwaway import stop_throwaways, throwaway_postgres, throwaway_temporal
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from models.persistence.values import BlobStore
from workflows.client import connect

SECRET = "benchmark-secret-of-no-value-at-all"  # noqa: S105 - the servers are gone in a minute


_START_SECONDS = 30


def start_server(children: ExitStack, module: str, **environment: str) -> tuple[int, psutil.Process]:
    """`python -m …` on a free port, once it answers; it ends with `children`."""
    port = free_port()
    child = subprocess.Popen(  # noqa: S603 - our own modules
        [sys.executable, "-m", module],
        env={**os.environ, "TOOLOO_PORT": str(port), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    children.callback(child.wait)
    children.callback(child.terminate)
    _wait_for(f"http://127.0.0.1:{port}/api/v1/health/live")
    return port, psutil.Process(child.pid)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with httpx2.Client() as http:
        while time.monotonic() < deadline:
            try:
                if http.get(url).is_success:
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer in {_START_SECONDS} s")


@dataclass(frozen=True)
class Process:
    """A child process and what it has used."""

    child: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system."""
        times = self.child.cpu_times()
        return times.user + times.system


@dataclass(frozen=True)
class Stack:
    """Servers of one benchmark."""

    environment: Mapping[str, str]
    database: AsyncEngine
    client: Client
    children: ExitStack

    def start(self, *command: str, **environment: str) -> Process:
        """Start `python -m …` with the addresses of this stack."""
        child = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", *command], env={**self.environment, **environment}, stdin=subprocess.DEVNULL
        )
        self.children.callback(child.wait)
        self.children.callback(child.terminate)
        return Process(psutil.Process(child.pid))

    def start_api(self) -> str:
        """Start the API; its base address once it is ready."""
        port = free_port()
        self.start("api", TOOLOO_PORT=str(port))
        base = f"http://127.0.0.1:{port}"
        _wait_for(f"{base}/api/v1/health/ready")
        return base


@asynccontextmanager
async def benchmark_database(*, durable: bool = True) -> AsyncGenerator[AsyncEngine]:
    """PostgreSQL alone, with all tables; `durable`: it waits for the disk, as the one of a stack does."""
    directory = Path(tempfile.mkdtemp(prefix="tooloo-bench-"))
    try:
        database = create_database(throwaway_postgres(directory, os.getpid(), durable=durable))
        await migrate(database)
        yield database
        await database.dispose()
    finally:
        stop_throwaways(directory)


@asynccontextmanager
async def benchmark_stack() -> AsyncGenerator[Stack]:
    """PostgreSQL and Temporal with the settings of `./tooloo up`: both write to the disk, and wait for it."""
    directory = Path(tempfile.mkdtemp(prefix="tooloo-bench-"))
    try:
        url = throwaway_postgres(directory, os.getpid(), durable=True)
        os.environ["TEMPORAL_ADDRESS"] = throwaway_temporal(directory, os.getpid(), durable=True)
        os.environ.pop("TEMPORAL_NAMESPACE", None)
        database = create_database(url)
        await migrate(database)
        client = await connect(BlobStore(database))
        await prepare_namespace(client)
        environment = {**os.environ, "DATABASE_URL": url, "TOOLOO_SECRET": SECRET, "TOOLOO_HOME": str(directory)}
        with ExitStack() as children:
            yield Stack(environment, database, client, children)
        await database.dispose()
    finally:
        stop_throwaways(directory)
