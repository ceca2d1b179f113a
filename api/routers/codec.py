"""The codec server of the Temporal Web UI and CLI. Payloads may hold personal data: admins and this machine only."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request
from starlette.responses import Response

from api.codec import decode, download, read_payloads, write_payloads
from api.dependencies import PartsDep, RequireUnlessLocal
from api.routing import resource
from models.identity import Caller, Role

router = resource("codec", prefix="")
_Reader = Annotated[Caller | None, Depends(RequireUnlessLocal(frozenset({Role.ADMIN})))]
_PAYLOADS = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"payloads": {"type": "array", "items": {"type": "object"}}},
            "examples": [{"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "NDI="}]}],
        }
    }
}
_SHAPE: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"content": _PAYLOADS}},
    "openapi_extra": {"requestBody": {"required": True, "content": _PAYLOADS}},
}


@router.post("/codec/decode", **_SHAPE)
async def decode_payloads(
    request: Request,
    _: _Reader,
    parts: PartsDep,
    keep: Annotated[bool, Query(alias="preserveStorageRefs", description="Leave references in place.")] = False,
) -> Response:
    """Put what is kept outside of history back in its place; what cannot be read stays as it is."""
    payloads = read_payloads(await request.body())
    return _answer(write_payloads([await decode(parts.blobs, item, keep_references=keep) for item in payloads]))


@router.post("/codec/download", **_SHAPE)
async def download_payloads(request: Request, _: _Reader, parts: PartsDep) -> Response:
    """The payloads behind references, each of which must be one."""
    payloads = read_payloads(await request.body())
    return _answer(write_payloads([await download(parts.blobs, item) for item in payloads]))


@router.post("/codec/encode", **_SHAPE)
async def encode_payloads(request: Request, _: _Reader) -> Response:
    """Payloads as they are: what the Web UI sends may lie in history as it is."""
    return _answer(write_payloads(read_payloads(await request.body())))


def _answer(content: bytes) -> Response:
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})
