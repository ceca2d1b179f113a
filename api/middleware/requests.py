"""The outermost layer: a request gets its id, which its answer and its log lines carry, and is counted."""

import re
import secrets
from time import perf_counter

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import HttpMetrics

_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._~:+/=-]{1,128}")
"""Ids of other systems that are safe in a header, a log line and a URN."""


class Requests:
    """Gives every request an id, in `scope["state"]["request_id"]`."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started_at = perf_counter()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                self._metrics.observe(scope, message["status"], perf_counter() - started_at)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _ACCEPTED_ID.fullmatch(given) else secrets.token_hex(16)
