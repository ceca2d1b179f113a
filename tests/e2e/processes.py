"""A stack of real processes, as `./tooloo up` starts and supervises it, for tests that kill them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from cli.stack.files import holder_of
from cli.stack.home import StackHome
from cli.stack.orphans import find_orphans
from cli.stack.parts import PART_NAMES
from cli.stack.ports import free_port
from cli.stack.postgres import PostgresServer
from cli.stack.probes import TemporalProbe
from cli.stack.state import PartStatus, StackState, read_state
from models.persistence.database import create_database
from models.persistence.values import BlobStore
from models.settings import CHECKOUT
from workflows.client import workflow_client

_TOOLOO = (sys.executable, "-m", "cli")
_OURS = ("TOOLOO_", "TEMPORAL_", "DATABASE_URL")
PATIENCE_SECONDS = 120
_AWAY = {502, 503, 504}


@dataclass(frozen=True)
class Processes:
    """One stack in a home of its own, on ports of its own."""

    home: StackHome
    environment: Mapping[str, str]

    async def up(self) -> None:
        """Start, or start again, and wait until everything serves."""
        await self.tooloo("up", "--detach", "--auto-ports")

    async def down(self) -> None:
        """Stop everything, whatever is left of it."""
        await self.tooloo("down")

    def part(self, name: str) -> PartStatus:
        """A part as `status` shows it."""
        return next(part for part in self._state().parts if part.name == name)

    def kill(self, name: str) -> int:
        """Kill -9 a part, and nothing else; the pid it had."""
        pid = self.part(name).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_everything(self) -> None:
        """Kill -9 the supervisor and every process below it, as a machine that loses its power does."""
        supervisor = psutil.Process(holder_of(self.home.lock_file))
        doomed = [supervisor, *supervisor.children(recursive=True)]
        for process in doomed:
            with suppress(psutil.NoSuchProcess):  # such as a server process of a PostgreSQL that was killed just before
                process.kill()
        psutil.wait_procs(doomed, timeout=PATIENCE_SECONDS)

    async def until_healthy(self, name: str, *, after: int) -> None:
        """Until a part runs again under another pid, and all others run."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._state().healthy or self.part(name).pid == after:  # noqa: ASYNC110 - a file says it
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def database(self) -> AsyncGenerator[AsyncEngine]:
        """The stack's database."""
        port = int(_address(self.part("postgres")).rpartition(":")[2])
        engine = create_database(PostgresServer(self.home.data / "postgres", port).url)
        try:
            yield engine
        finally:
            await engine.dispose()

    async def temporal(self, database: AsyncEngine) -> Client:
        """The stack's Temporal, reading values as the platform does."""
        client = await Client.connect(_address(self.part("temporal")))
        return workflow_client(client, BlobStore(database))

    @asynccontextmanager
    async def client(self) -> AsyncGenerator["PatientClient"]:
        """An HTTP client with the machine's admin key."""
        headers = {"Authorization": f"Bearer {self.home.admin_key_file.read_text().strip()}"}
        address = _address(self.part("api"))
        async with httpx2.AsyncClient(
            base_url=f"{address}/api/v1", headers=headers, timeout=30, trust_env=False
        ) as client:
            yield PatientClient(client)

    @asynccontextmanager
    async def another_worker(self, service: str) -> AsyncGenerator[Process]:
        """A second worker beside the supervised one, with the same environment; polling by now."""
        environment = psutil.Process(self.part(f"worker-{service}").pid).environ()
        with (self.home.logs / f"another-worker-{service}.log").open("ab") as log:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"workers.{service}", env=environment, cwd=CHECKOUT, stdout=log, stderr=log
            )
        try:
            await self._until_it_polls(service, worker.pid)
            yield worker
        finally:
            with suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()

    async def _until_it_polls(self, service: str, pid: int) -> None:
        address = _address(self.part("temporal"))
        probe = TemporalProbe(lambda: {"target_host": address})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await probe.has_poller(service, pid):  # noqa: ASYNC110 - another process knows
                await asyncio.sleep(0.2)

    def _state(self) -> StackState:
        return read_state(self.home, PART_NAMES)

    async def tooloo(self, *arguments: str, key: str | None = None) -> None:
        """Run a command, with this machine's admin key or another."""
        environment = {**self.environment, **({} if key is None else {"TOOLOO_KEY": key})}
        process = await asyncio.create_subprocess_exec(
            *_TOOLOO, *arguments, env=environment, cwd=CHECKOUT, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode(errors="replace")


@dataclass(frozen=True)
class PatientClient:
    """Asks again while a part is away, as any good client of the platform does."""

    client: httpx2.AsyncClient

    async def get(self, path: str) -> Any:
        """The JSON at a path."""
        return (await self._ask("GET", path)).json()

    async def post(self, path: str, content: Any, headers: Mapping[str, str] | None = None) -> Any:
        """What a POST answers. Without an Idempotency-Key, only for what may be done twice."""
        return (await self._ask("POST", path, json=content, headers=headers)).json()

    async def until(self, path: str, holds: Any) -> Any:
        """What is at a path as soon as it holds."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds(shown := await self.get(path)):  # noqa: ASYNC110 - another process knows
                await asyncio.sleep(0.1)
        return shown

    async def _ask(self, method: str, path: str, **rest: Any) -> httpx2.Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    answer = await self.client.request(method, path, **rest)
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code in _AWAY or _in_flight(answer):
                    await asyncio.sleep(0.1)
                    continue
                assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
                return answer


def _in_flight(answer: httpx2.Response) -> bool:
    return answer.status_code == 409 and answer.json()["code"] == "idempotency-key-in-flight"


def _address(part: PartStatus) -> str:
    assert part.address is not None
    return part.address


@asynccontextmanager
async def running_stack(directory: Path) -> AsyncGenerator[Processes]:
    """A stack of real processes; at the end nothing of it is left, however the tests went."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    environment |= {
        "TOOLOO_HOME": str(directory),
        "TOOLOO_PORT": str(free_port()),
        "TOOLOO_TEMPORAL_PORT": str(free_port()),
        "TOOLOO_TEMPORAL_UI_PORT": str(free_port()),
        "TOOLOO_REPO_ROOTS": os.pathsep.join((str(CHECKOUT), str(directory / "repos"))),
    }
    stack = Processes(StackHome(directory), environment)
    try:
        await stack.up()
        yield stack
    finally:
        await stack.down()
    assert not find_orphans(stack.home)
