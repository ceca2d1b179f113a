import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from httpx2 import AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from api.app import create_app
from api.middleware.limits import MAX_BODY_BYTES
from api.problems import answer_problem, is_unexpected, pointer
from models.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    TooLargeError,
    TooLooError,
    UnauthorizedError,
    UnavailableError,
)
from models.identity import Role
from models.persistence.database import create_database
from models.persistence.tables import users
from models.settings import Settings
from tests.api.clients import MakeKey, client_of, problem, raw

KEYS = "/api/v1/keys"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidInputError("x"), 422, "invalid-input"),
        (InvalidInputError("x", code="cycle"), 422, "cycle"),
        (UnauthorizedError("x"), 401, "unauthorized"),
        (ForbiddenError("x"), 403, "forbidden"),
        (NotFoundError("x"), 404, "not-found"),
        (ConflictError("x", code="last-admin-key"), 409, "last-admin-key"),
        (TooLargeError("x"), 413, "too-large"),
        (UnavailableError("x"), 503, "unavailable"),
        (TooLooError("x"), 500, "internal"),
        (HTTPException(404), 404, "not-found"),
        (HTTPException(405), 405, "method-not-allowed"),
        (HTTPException(415, "JSON, please"), 415, "unsupported-media-type"),
        (RPCError("x", RPCStatusCode.UNAVAILABLE, b""), 503, "unavailable"),
        (RPCError("x", RPCStatusCode.INTERNAL, b""), 500, "internal"),
        (RuntimeError("Failed client connect: x"), 503, "unavailable"),
        (ConnectionRefusedError(), 503, "unavailable"),
        (PoolTimeoutError("x"), 503, "unavailable"),
        (KeyError("secret"), 500, "internal"),
    ],
)
def test_every_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    answer = answer_problem(error, "the-request")
    document = json.loads(bytes(answer.body))
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert ("instance" in document) is (status >= 500)
    assert ("retry-after" in answer.headers) is (status == 503)
    assert ("www-authenticate" in answer.headers) is (status == 401)
    assert is_unexpected(error) is (status == 500)


def test_an_unexpected_error_shows_nothing_of_itself() -> None:
    answer = bytes(answer_problem(KeyError("secret"), "the-request").body)
    assert b"secret" not in answer
    assert json.loads(answer)["instance"] == "urn:tooloo:request:the-request"


async def test_a_value_that_postgres_cannot_store_is_the_callers_fault(database: AsyncEngine) -> None:
    async with database.connect() as connection:
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(select(text("convert_from('\\xff', 'UTF8')")))
        assert answer_problem(refused.value).status_code == 422
        await connection.rollback()
        with pytest.raises(DBAPIError) as refused:
            await connection.execute(select(users).where(users.c.id == bindparam("id")), {"id": "a\x00b"})
        assert answer_problem(refused.value).status_code == 422


@given(st.lists(st.text() | st.integers()))
def test_pointers_can_be_read_back(location: list[str | int]) -> None:
    parts = pointer(location).split("/")[1:]
    assert [part.replace("~1", "/").replace("~0", "~") for part in parts] == [str(part) for part in location]


def test_validation_errors_point_into_the_body_or_say_where_else() -> None:
    errors = [
        {"type": "missing", "loc": ("body", "steps", 0, "id"), "msg": "Field required"},
        {"type": "int_parsing", "loc": ("query", "limit"), "msg": "no integer"},
        {"type": "missing", "loc": ("body",), "msg": "Field required"},
    ]
    document = json.loads(bytes(answer_problem(RequestValidationError(errors)).body))
    assert [(error["pointer"], error["code"]) for error in document["errors"]] == [
        ("/steps/0/id", "missing-field"),
        ("/query/limit", "type-mismatch"),
        ("", "missing-field"),
    ]


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing", "/", "/api/v1/keys/", "//api/v1/keys", "/metrics/x"])
async def test_nothing_is_at_an_unknown_address(admin: AsyncClient, path: str) -> None:
    problem(await admin.get(path), 404, "not-found")


async def test_a_wrong_method_is_told_the_right_ones(admin: AsyncClient) -> None:
    refused = await admin.put(KEYS)
    problem(refused, 405, "method-not-allowed")
    assert refused.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"nonsense",
        b'{"user_id": NaN}',
        b'{"user_id": "a", "user_id": "b"}',
        b'{"user_id": "a\\u0000b", "role": "learner", "name": "x"}',
        b'{"user_id": "ada", "role": "learner", "name": "\\ud800"}',
        b'{"user_id": "ada", "role": "learner", "name": "a\\u0000b"}',
        b'{"user_id": ' + b"9" * 5000 + b"}",
        b'{"user_id": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        '{"user_id": "ada"}'.encode("utf-16"),
    ],
)
async def test_no_body_breaks_a_route(admin: AsyncClient, body: bytes) -> None:
    problem(await admin.post(KEYS, content=body, headers=JSON), 422, "invalid-input")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml", "json", "", ";"]
)
async def test_a_body_that_does_not_say_json_is_refused(admin: AsyncClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem(await admin.post(KEYS, content=b"{}", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON; charset=utf-8", "application/x+json"])
async def test_every_way_to_say_json_is_understood(admin: AsyncClient, content_type: str) -> None:
    problem(await admin.post(KEYS, content=b"{}", headers={"Content-Type": content_type}), 422, "invalid-input")


@pytest.mark.parametrize(
    ("path", "pointer"), [("/api/v1/audit?actor=a%00b", "/query"), ("/api/v1/keys/a%00b", "/path"), ("/%00", "/path")]
)
async def test_nul_characters_in_an_address_are_refused(admin: AsyncClient, path: str, pointer: str) -> None:
    refused = problem(await admin.get(path), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]


@pytest.mark.parametrize(
    "query", ["actor=%ff%fe", "actor=%ed%a0%80", "actor=" + "a" * 20_000, "&&&=&%&actor=x", "actor=%2500"]
)
async def test_no_query_breaks_a_route(admin: AsyncClient, query: str) -> None:
    assert (await admin.get(f"/api/v1/audit?{query}")).json()["items"] == []


async def test_an_announced_body_over_the_limit_is_refused_unread(admin: AsyncClient) -> None:
    too_large = str(MAX_BODY_BYTES + 1)
    refused = await admin.post(KEYS, content=b"", headers={**JSON, "Content-Length": too_large})
    problem(refused, 413, "too-large")


@pytest.mark.parametrize("announced", ["-1", "x", "", "9" * 5000, "²"])
async def test_a_length_that_is_none_is_refused(admin: AsyncClient, announced: str) -> None:
    refused = await admin.post(
        KEYS, content=b"", headers=raw(Content_Type="application/json", Content_Length=announced)
    )
    problem(refused, 413, "too-large")


@pytest.mark.parametrize("path", [KEYS, "/codec/encode"])
async def test_a_stream_over_the_limit_is_broken_off(admin: AsyncClient, path: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 65_536
            yield b" " * 65_536

    problem(await admin.post(path, content=endless(), headers=JSON), 413, "too-large")
    assert sent <= MAX_BODY_BYTES + 65_536


async def test_the_largest_body_is_read(admin: AsyncClient) -> None:
    body = b'{"user_id": "ada", "role": "learner", "name": "x"}'.ljust(MAX_BODY_BYTES)
    assert (await admin.post(KEYS, content=body, headers=JSON)).status_code == 201


async def test_an_accepted_request_id_comes_back(stranger: AsyncClient) -> None:
    answer = await stranger.get("/api/v1/health/live", headers={"X-Request-Id": "order-7/2026"})
    assert answer.headers["x-request-id"] == "order-7/2026"


@pytest.mark.parametrize("given_id", ["", "a b", "x" * 129, "é", '"', "a\tb", "<script>"])
async def test_another_request_id_is_replaced(stranger: AsyncClient, given_id: str) -> None:
    answers = [await stranger.get("/api/v1/health/live", headers=raw(X_Request_Id=given_id)) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert all(len(made) == 32 for made in ids)


async def test_every_answer_has_a_request_id(stranger: AsyncClient) -> None:
    for path in ("/nothing", KEYS, "/openapi.json"):
        assert (await stranger.get(path)).headers["x-request-id"]


async def test_without_the_database_the_answer_is_503(settings: Settings, away: Client, make_key: MakeKey) -> None:
    key = await make_key("root", Role.ADMIN)
    database = create_database("postgresql://nobody@127.0.0.1:1/nowhere")
    async with client_of(create_app(settings, database, away), key) as client:
        refused = await client.get(KEYS)
    problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "1"


async def test_a_fault_of_ours_is_logged_and_answered_with_its_request_id(
    app: FastAPI, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise KeyError("what nobody may see")

    monkeypatch.setattr("services.identity.users.list_users", broken)
    async with client_of(app, await make_key("root", Role.ADMIN), **{"X-Request-Id": "seven"}) as client:
        answer = await client.get("/api/v1/users")
    assert problem(answer, 500, "internal")["instance"] == "urn:tooloo:request:seven"
    assert "nobody may see" not in answer.text
    logged = capsys.readouterr().out
    assert "what nobody may see" in logged
    assert "seven" in logged


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["user_id", "role", "name", "expires_at"]) | st.text()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.dictionaries(FIELDS, ANYTHING | st.sampled_from(["learner", "ada", "2030-01-01T00:00:00Z"])),
    headers=st.dictionaries(
        st.sampled_from(["Idempotency-Key", "X-Request-Id", "Accept"]),
        st.text(st.characters(codec="latin-1"), max_size=9),
    ),
)
async def test_no_json_is_answered_with_a_fault_of_ours(
    admin: AsyncClient, body: dict[str, Any], headers: dict[str, str]
) -> None:
    sent = raw(Content_Type="application/json", **headers)
    answer = await admin.post(KEYS, content=json.dumps(body), headers=sent)
    assert answer.status_code in {201, 422}
