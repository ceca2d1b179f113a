from base64 import urlsafe_b64encode

import pytest
from httpx2 import AsyncClient

from models.identity import Role
from tests.api.clients import MakeKey, problem


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/keys", "/api/v1/audit"])
async def test_pages_hold_every_item_once_and_in_order(admin: AsyncClient, make_key: MakeKey, path: str) -> None:
    for number in range(6):
        await make_key(f"user-{number}", Role.LEARNER)
    everything = (await admin.get(path)).json()
    assert everything["next_cursor"] is None
    paged: list[object] = []
    cursor: str | None = None
    while True:
        parameters = {"limit": "2"} if cursor is None else {"limit": "2", "cursor": cursor}
        page = (await admin.get(path, params=parameters)).json()
        paged += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert paged == everything["items"]
    assert len(paged) >= 7


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1.5", "9" * 5000, ""])
async def test_a_wrong_limit_is_refused(admin: AsyncClient, limit: str) -> None:
    refused = problem(await admin.get("/api/v1/keys", params={"limit": limit}), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == ["/query/limit"]


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/keys", "/api/v1/audit"])
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "====",
        "!!!!",
        *(
            urlsafe_b64encode(content).decode().rstrip("=")
            for content in (
                b"",
                b"null",
                b"{}",
                b"[1]",
                b"NaN",
                b'"\\u0000"',
                b'"\\ud800"',
                b"1e999",
                b"9" * 30,
                b"\xff",
            )
        ),
    ],
)
async def test_a_cursor_that_is_none_is_refused(admin: AsyncClient, path: str, cursor: str) -> None:
    refused = problem(await admin.get(path, params={"cursor": cursor}), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == ["/query/cursor"]
