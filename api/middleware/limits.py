"""What no route has to read: bodies without bound, and characters that PostgreSQL cannot store."""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.errors import InvalidInputError, Problem, TooLargeError

MAX_BODY_BYTES = 2 * 1024 * 1024
_ACCEPTED_LENGTH = re.compile("[0-9]{1,10}")
_TOO_LARGE = f"A body may have {MAX_BODY_BYTES:,} bytes."


class Limits:
    """Refuses oversized bodies (413), announced or not, and NUL characters in the address (422)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _refuse_nul(scope)
        announced = Headers(scope=scope).get("content-length", "0")
        if not _ACCEPTED_LENGTH.fullmatch(announced) or int(announced) > MAX_BODY_BYTES:
            raise TooLargeError(_TOO_LARGE)
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413) from TooLargeError(_TOO_LARGE)  # while it reads, FastAPI passes only this kind
            return message

        await self._app(scope, receive_bounded, send)


def _refuse_nul(scope: Scope) -> None:
    for place, found in (("path", "\x00" in scope["path"]), ("query", b"%00" in scope["query_string"])):
        if found:
            message = f"The {place} of the address contains a NUL character, which cannot be stored."
            raise InvalidInputError(message, problems=[Problem(pointer=f"/{place}", code="bad-text", message=message)])
