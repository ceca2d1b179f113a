"""Whatever goes wrong further in becomes a problem; what nobody expected is logged with everything there is."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import answer_problem, is_unexpected

_log = structlog.get_logger(__name__)


class Errors:
    """Answers errors. One that comes in the middle of an answer is left to the server, which breaks it off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = False

        async def watch(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            answer = answer_problem(error, scope["state"]["request_id"])
            if is_unexpected(error):
                _log.exception("request failed", method=scope["method"], path=scope["path"])
            elif answer.status_code == 503:  # noqa: PLR2004 - the HTTP status
                _log.warning("something is away", path=scope["path"], error=type(error).__name__)
            if answering:
                raise
            await answer(scope, receive, send)
