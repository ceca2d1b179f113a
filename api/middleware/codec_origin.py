"""Which web pages may call the codec endpoint: those of the Temporal Web UI."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import answer_problem
from models.errors import ForbiddenError

_REFUSED = "Only pages of the Temporal Web UI may call this; TOOLOO_TEMPORAL_UI_URL names it."
_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class CodecOrigin:
    """Answers the Web UI's cross-origin requests to `/codec/…`, and refuses those of all other pages.

    Programs on this machine need no key there, and a browser is one: without this, any page could ask through it.
    """

    def __init__(self, app: ASGIApp, web_ui: str) -> None:
        self._app = app
        self._origins = web_ui_origins(web_ui)
        self._cors = CORSMiddleware(
            app,
            allow_origins=self._origins,
            allow_methods=["POST"],
            allow_headers=["Authorization", "Content-Type", "X-Namespace"],
            allow_credentials=True,
            allow_private_network=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; whatever is no codec request passes."""
        if scope["type"] != "http" or not scope["path"].startswith("/codec/"):
            await self._app(scope, receive, send)
            return
        origin = Headers(scope=scope).get("origin")
        if origin is not None and origin not in self._origins:
            await answer_problem(ForbiddenError(_REFUSED))(scope, receive, send)
            return
        await self._cors(scope, receive, send)


def web_ui_origins(web_ui: str) -> Collection[str]:
    """Origins of the Web UI. On this machine it answers by several names."""
    parts = urlsplit(web_ui)
    if parts.hostname not in {name.strip("[]") for name in _LOOPBACK_NAMES}:
        return (f"{parts.scheme}://{parts.netloc}",)
    port = "" if parts.port is None else f":{parts.port}"
    return tuple(f"{parts.scheme}://{name}{port}" for name in _LOOPBACK_NAMES)
