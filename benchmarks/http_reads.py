"""Cached answers over HTTP, against a FastAPI route that does nothing but return bytes of the same length.

Both are processes of their own with the same web server; `python -m benchmarks.http_reads` is the bare one.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

import psutil
import uvicorn
import uvloop
from fastapi import FastAPI, Response
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.stack import SECRET, start_server
from models.identity import NewKey, Role
from services.identity.keys import create_key

_CONNECTIONS = 32
_REQUESTS = 3_000
"""Of each server in each round."""
_ROUNDS = 5


@dataclass
class Server:
    """A server under load, and what it took."""

    port: int
    process: psutil.Process
    rates: list[float] = field(default_factory=list[float])
    seconds: list[float] = field(default_factory=list[float])
    """Processor time of a request, of the server alone."""

    async def round(self, requests: Sequence[bytes]) -> None:
        """Ask for everything over many connections at once."""
        before, start = self._used(), time.perf_counter()
        todo = iter(requests)
        await asyncio.gather(*(self._ask(todo) for _ in range(_CONNECTIONS)))
        self.rates.append(len(requests) / (time.perf_counter() - start))
        self.seconds.append((self._used() - before) / len(requests))

    async def _ask(self, todo: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for request in todo:
            writer.write(request)
            await _answer(reader)
        writer.close()

    def _used(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """The body of a 200. Raises ValueError for any other answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(head.decode())
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return await reader.readexactly(int(length.partition(b":")[2]))


async def measure_http(database: AsyncEngine, owners: Sequence[str], console: Console) -> None:
    """Metrics of some learners, which are cached after the first time."""
    async with database.begin() as connection:
        new = NewKey(user_id="reader", role=Role.ADMIN, name="bench")
        key = (await create_key(connection, new, actor_id="reader")).key
    asked = [_request(f"/api/v1/analytics/user/{owner}/metrics?timeframe=month", key) for owner in owners]
    requests = [asked[place % len(asked)] for place in range(_REQUESTS)]
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with ExitStack() as children:
        ours = Server(*start_server(children, "api", DATABASE_URL=url, TOOLOO_SECRET=SECRET))
        body = await _once(ours.port, asked[0])
        bare = Server(*start_server(children, "benchmarks.http_reads", BENCH_BYTES=str(len(body))))
        for number in range(_ROUNDS + 1):
            for server in (ours, bare) if number % 2 else (bare, ours):
                await server.round(requests)
    table = Table(title=f"cached metrics, {len(body):,} bytes, {_CONNECTIONS} connections, median of {_ROUNDS} rounds")
    for column in ("", "requests/s", "processor, µs"):
        table.add_column(column, justify="right" if column else "left")
    ours_rate, bare_rate = median(ours.rates[1:]), median(bare.rates[1:])  # the first round only warms up
    ours_time, bare_time = median(ours.seconds[1:]), median(bare.seconds[1:])
    table.add_row("ours", f"{ours_rate:,.0f}", f"{ours_time * 1e6:.0f}")
    table.add_row("a FastAPI route without any work", f"{bare_rate:,.0f}", f"{bare_time * 1e6:.0f}")
    table.add_row("ratio", f"{ours_rate / bare_rate:.2f}", f"{bare_time / ours_time:.2f}")
    console.print(table)


async def _once(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    body = await _answer(reader)
    writer.close()
    return body


def _request(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


def main() -> None:
    """Serve the bare route."""
    port, length = int(os.environ["TOOLOO_PORT"]), int(os.environ["BENCH_BYTES"])
    app, body = FastAPI(), b"{" + b" " * (length - 2) + b"}"

    @app.get("/{path:path}")
    async def get_bytes(path: str) -> Response:  # pyright: ignore[reportUnusedFunction]
        del path
        return Response(body, media_type="application/json")

    config = uvicorn.Config(app, port=port, loop="none", http="httptools", ws="none", log_config=None, access_log=False)
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
