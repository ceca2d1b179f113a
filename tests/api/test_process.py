"""The API as a process of its own."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from httpx2 import AsyncClient, ConnectError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Role
from tests.api.clients import MakeKey

SECRET = "s" * 40


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def api(database_url: str, port: int, **environment: str) -> AsyncGenerator[Process]:
    variables = {
        **os.environ,
        "DATABASE_URL": database_url,
        "TOOLOO_SECRET": SECRET,
        "TOOLOO_PORT": str(port),
        "TEMPORAL_ADDRESS": "127.0.0.1:1",
        **environment,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", env=variables, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def moved_away(database: AsyncEngine, table: str) -> AsyncGenerator[None]:
    """A table has another name for a while, so that whoever needs it breaks."""
    async with database.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO away"))
    try:
        yield
    finally:
        async with database.begin() as connection:
            await connection.execute(text(f"ALTER TABLE away RENAME TO {table}"))


async def when_it_answers(client: AsyncClient, process: Process) -> None:
    while process.returncode is None:
        try:
            await client.get("/api/v1/health/live")
        except ConnectError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("the process ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(
    database: AsyncEngine, database_url: str, number: signal.Signals
) -> None:
    port = free_port()
    async with api(database_url, port) as process, AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await when_it_answers(client, process)
        readiness = (await client.get("/api/v1/health/ready")).json()
        assert [found["ok"] for found in readiness["dependencies"]] == [True, False]
        process.send_signal(number)
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert SECRET.encode() not in errors


async def test_what_users_keep_secret_is_in_no_log_line(
    database: AsyncEngine, database_url: str, make_key: MakeKey
) -> None:
    port, value = free_port(), "ghp_NobodyMayEverReadThis"
    headers = {"Authorization": f"Bearer {await make_key('ada', Role.LEARNER)}"}
    async with (
        api(database_url, port, TOOLOO_LOG_LEVEL="DEBUG") as process,
        AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client,
    ):
        await when_it_answers(client, process)
        taken = await client.put("/api/v1/secrets/github", json={"value": value})
        refused = await client.put("/api/v1/secrets/github", json={"value": f"{value}\n"})
        async with moved_away(database, "secrets"):
            broken = await client.put("/api/v1/secrets/github", json={"value": value})
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    assert [answer.status_code for answer in (taken, refused, broken)] == [204, 422, 500]
    assert b"request failed" in errors
    assert value.encode() not in errors


@pytest.mark.parametrize(
    "start",
    [
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /openapi.json?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
        b"POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_no_bytes_are_answered_with_a_fault_of_ours(raw_port: int, start: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", raw_port)
    writer.write(start)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ")[1] in {b"400", b"401", b"404", b"413", b"200"}, answer


@pytest.fixture(scope="module")
async def raw_port(database_url: str) -> AsyncIterator[int]:
    port = free_port()
    async with api(database_url, port) as process, AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await when_it_answers(client, process)
        yield port


async def test_a_port_in_use_ends_it(database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with api(database_url, taken.getsockname()[1]) as process:
            _, errors = await process.communicate()
    assert process.returncode == 3
    assert b"address already in use" in errors.lower()


async def test_a_missing_secret_ends_it_and_is_named(database_url: str) -> None:
    async with api(database_url, free_port(), TOOLOO_SECRET="") as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"TOOLOO_SECRET must have at least 32 characters" in errors
