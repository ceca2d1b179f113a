"""How resources make their routers: strict JSON in, one style of operation ids out."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from models.documents import read_json


class StrictRequest(Request):
    """A request whose JSON has no duplicate keys, NaN, NUL or lone surrogates, and a depth."""

    async def json(self) -> Any:
        """The body. Raises InvalidInputError that names the place."""
        return read_json(await self.body())


class StrictRoute(APIRoute):
    """A route that reads its body strictly, and only when it says that it is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a strict request."""
        handle = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handle_strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if takes_body and await strict.body() and not _is_json(strict.headers.get("content-type", "")):
                raise HTTPException(415, "Send JSON with Content-Type: application/json.")
            return await handle(strict)

        return handle_strictly


def resource(tag: str, prefix: str = "/api/v1") -> APIRouter:
    """A router for the routes of one resource, grouped under `tag` in the documentation."""
    return APIRouter(prefix=prefix, tags=[tag], route_class=StrictRoute, generate_unique_id_function=_operation_id)


def _operation_id(route: APIRoute) -> str:
    return route.name


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))
