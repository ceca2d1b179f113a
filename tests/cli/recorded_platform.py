"""A server on loopback that gives recorded answers, for what the client does with answers."""

import json
from collections import defaultdict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typer.testing import CliRunner

from cli.__main__ import command_line

RUN_ID = "0b1f5b0e-6a3e-4f0c-9a52-0d7c6f4f2a11"
STARTED_AT = "2026-11-20T10:00:00Z"


@dataclass(frozen=True)
class Reply:
    """An answer: JSON, or text of another type. `None` for its status closes the connection without one."""

    status: int | None
    content: Any = None
    content_type: str = "application/json"
    open_until: Event | None = None
    """Keeps the connection until then."""

    @property
    def body(self) -> bytes:
        return (json.dumps(self.content) if self.content_type.endswith("json") else str(self.content)).encode()


@dataclass(frozen=True)
class Received:
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    content: Any


@dataclass
class RecordedPlatform:
    """Answers by method and path, each in its order, the last one again and again."""

    address: str = ""
    received: list[Received] = field(default_factory=list[Received])
    _replies: defaultdict[tuple[str, str], deque[Reply]] = field(default_factory=lambda: defaultdict(deque))

    def answers(self, method: str, path: str, *replies: Reply) -> None:
        self._replies[method, f"/api/v1{path}"].extend(replies)

    def next_reply(self, request: Received) -> Reply:
        self.received.append(request)
        waiting = self._replies.get((request.method, request.path))
        if not waiting:
            return refused(404, "not-found", f"No answer was recorded for {request.method} {request.path}.")
        return waiting.popleft() if len(waiting) > 1 else waiting[0]


@contextmanager
def recorded_platform() -> Generator[RecordedPlatform]:
    platform = RecordedPlatform()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            reply = platform.next_reply(
                Received(
                    self.command,
                    unquote(split.path),
                    parse_qs(split.query),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(body) if body else None,
                )
            )
            if reply.status is not None:
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.content_type)
                self.send_header("Connection", "close")  # an event stream ends with its connection
                self.end_headers()
                self.wfile.write(reply.body if reply.status != 204 else b"")
                if reply.open_until is not None:
                    reply.open_until.wait()

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - names of the standard library

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the same
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    platform.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refused(status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None) -> Reply:
    document = {
        "type": f"urn:tooloo:error:{code}",
        "title": "Refused",
        "status": status,
        "detail": detail,
        "code": code,
    }
    return Reply(status, document | ({"errors": errors} if errors else {}), "application/problem+json")


def run_object(**changes: Any) -> dict[str, Any]:
    this = f"/api/v1/workflow/code-review/executions/{RUN_ID}"
    return {
        "run_id": RUN_ID,
        "workflow": "code-review",
        "version": 1,
        "status": "queued",
        "user_id": "ada",
        "trigger": "api",
        "input": {"path": "."},
        "output": None,
        "error": None,
        "labels": {},
        "started_at": STARTED_AT,
        "ended_at": None,
        "links": {"self": this, "temporal": "http://127.0.0.1:8233/namespaces/default/workflows/x"},
        "steps": [],
        "added_by_a_newer_platform": True,
        **changes,
    }


def step_object(name: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name,
        "status": status,
        "reason": None,
        "attempts": 1,
        "started_at": STARTED_AT,
        "ended_at": None,
        "next_attempt_at": None,
        "error": None,
        "output": None,
        **changes,
    }


def event(kind: str, data: dict[str, Any], sequence: int | None = None) -> str:
    number = "" if sequence is None else f"id: {sequence}\n"
    return f"{number}event: {kind}\ndata: {json.dumps(data)}\n\n"


def stream(*events: str) -> Reply:
    return Reply(200, "".join(events), "text/event-stream")


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def tooloo(*arguments: str, stdin: str = "") -> Ended:
    result = CliRunner().invoke(command_line(), list(arguments), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
