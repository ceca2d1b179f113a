from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

MakeKey = Callable[..., Awaitable[str]]


def client_of(app: FastAPI, key: str | None = None, peer: str = "127.0.0.1", **headers: str) -> AsyncClient:
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return AsyncClient(transport=ASGITransport(app, client=(peer, 1)), base_url="http://api", headers=headers)


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer, which must be this one, in the one shape that all have."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert (response.status_code, found["status"], found["code"]) == (status, status, code), response.text
    assert set(found) - {"instance"} == {"type", "title", "status", "detail", "code", "errors"}
    assert found["type"] == f"urn:tooloo:error:{code}"
    assert found["title"]
    assert found["detail"]
    assert status != 422 or found["errors"]
    assert all({"pointer", "code", "message"} <= set(error) for error in found["errors"])
    return found


def raw(**headers: str) -> list[tuple[bytes, bytes]]:
    """Headers with any character that fits into a byte; `_` in a name stands for `-`."""
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
