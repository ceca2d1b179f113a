"""Secrets over HTTP: put, listed and deleted by their owner, and never given back or told to anybody."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Role
from models.secrets import MAX_SECRETS
from tests.api.clients import MakeKey, client_of, problem
from tests.services.analytics.test_erasure import everything_with

SECRETS = "/api/v1/secrets"
VALUE = "ghp_NobodyMayEverReadThis"


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


async def names(client: AsyncClient, **query: Any) -> list[str]:
    answer = await client.get(SECRETS, params=query)
    assert answer.status_code == 200, answer.text
    return [item["name"] for item in answer.json()["items"]]


async def test_a_secret_is_put_replaced_listed_and_deleted(learner: AsyncClient) -> None:
    for value in (VALUE, VALUE, "user:password"):
        answer = await learner.put(f"{SECRETS}/github", json={"value": value})
        assert (answer.status_code, answer.content) == (204, b"")
    (shown,) = (await learner.get(SECRETS)).json()["items"]
    assert set(shown) == {"name", "host", "created_at", "updated_at"}
    assert shown["created_at"] < shown["updated_at"]
    assert (await learner.delete(f"{SECRETS}/github")).status_code == 204
    problem(await learner.delete(f"{SECRETS}/github"), 404, "not-found")
    assert await names(learner) == []


async def test_no_route_gives_a_secret(learner: AsyncClient, admin: AsyncClient, app: FastAPI) -> None:
    await learner.put(f"{SECRETS}/github", json={"value": VALUE})
    problem(await learner.get(f"{SECRETS}/github"), 405, "method-not-allowed")
    assert VALUE not in (await learner.get(SECRETS)).text
    document = app.openapi()
    paths = {path: set(item) for path, item in document["paths"].items() if "secrets" in path}
    assert paths == {SECRETS: {"get"}, f"{SECRETS}/{{name}}": {"put", "delete"}}
    assert document["components"]["schemas"]["NewSecret"]["properties"]["value"]["writeOnly"]
    assert "value" not in document["components"]["schemas"]["SecretInfo"]["properties"]


async def test_nobody_sees_or_touches_another_s_secrets(
    learner: AsyncClient, bob: AsyncClient, admin: AsyncClient, stranger: AsyncClient
) -> None:
    await learner.put(f"{SECRETS}/github", json={"value": VALUE})
    for other in (bob, admin):
        assert await names(other) == []
        theirs, none = await other.delete(f"{SECRETS}/github"), await other.delete(f"{SECRETS}/nothing")
        problem(theirs, 404, "not-found")
        assert theirs.content == none.content
        assert (await other.put(f"{SECRETS}/github", json={"value": "other"})).status_code == 204
    assert await names(learner) == ["github"]
    for method, path in (("GET", SECRETS), ("PUT", f"{SECRETS}/a"), ("DELETE", f"{SECRETS}/a")):
        problem(await stranger.request(method, path), 401, "unauthorized")


async def test_a_machine_keeps_no_secrets(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, await make_key("grader", Role.SERVICE)) as machine:
        problem(await machine.put(f"{SECRETS}/a", json={"value": "x"}), 403, "forbidden")
        problem(await machine.get(SECRETS), 403, "forbidden")


async def test_secrets_are_listed_page_by_page_by_name(learner: AsyncClient) -> None:
    for name in ("c", "a", "b"):
        await learner.put(f"{SECRETS}/{name}", json={"value": VALUE})
    first = (await learner.get(SECRETS, params={"limit": 2})).json()
    assert [item["name"] for item in first["items"]] == ["a", "b"]
    assert await names(learner, cursor=first["next_cursor"]) == ["c"]
    problem(await learner.get(SECRETS, params={"cursor": "bm8"}), 422, "invalid-input")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"value": ""}, "/value"),
        ({"value": VALUE + "\n"}, "/value"),
        ({"value": VALUE + "\x7f"}, "/value"),
        ({"value": VALUE + "\x85"}, "/value"),
        ({"value": VALUE * 200}, "/value"),
        ({"value": [VALUE]}, "/value"),
        ({"value": {VALUE: VALUE}}, "/value"),
        ({"value": None}, "/value"),
        ({}, "/value"),
        ({"value": VALUE, "colour": VALUE}, "/colour"),
        (VALUE, ""),
        ([VALUE], ""),
    ],
    ids=lambda body: str(body)[:40],
)
async def test_a_bad_value_is_refused_without_being_repeated(learner: AsyncClient, body: Any, pointer: str) -> None:
    answer = await learner.put(f"{SECRETS}/github", json=body)
    refused = problem(answer, 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert VALUE not in answer.text
    assert await names(learner) == []


async def test_a_broken_body_is_refused_without_being_repeated(learner: AsyncClient) -> None:
    for body in (f'{{"value": "{VALUE}', f'{{"value": "{VALUE}", "value": "{VALUE}"}}', f"value={VALUE}"):
        headers = {"Content-Type": "application/json"}
        answer = await learner.put(f"{SECRETS}/github", content=body, headers=headers)
        assert answer.status_code == 422
        assert VALUE not in answer.text
    assert (await learner.put(f"{SECRETS}/github", content=VALUE)).status_code == 415


@pytest.mark.parametrize("name", ["Github", "a b", "-a", "a" * 64, "%C3%A4", "a%0A"])
async def test_a_bad_name_is_refused(learner: AsyncClient, name: str) -> None:
    refused = problem(await learner.put(f"{SECRETS}/{name}", json={"value": VALUE}), 422, "bad-name")
    assert [error["pointer"] for error in refused["errors"]] == ["/path/name"]


async def test_nobody_has_more_secrets_than_the_quota(learner: AsyncClient, database: AsyncEngine) -> None:
    async with database.begin() as connection:
        many = "INSERT INTO secrets (owner_id, name, sealed) SELECT 'ada', 'x' || n, '' FROM generate_series(1, :n) n"
        await connection.execute(text(many), {"n": MAX_SECRETS})
    problem(await learner.put(f"{SECRETS}/one-more", json={"value": VALUE}), 409, "secret-quota")
    assert (await learner.put(f"{SECRETS}/x1", json={"value": VALUE})).status_code == 204


async def test_changes_are_audited_by_name_without_the_value(learner: AsyncClient, admin: AsyncClient) -> None:
    await learner.put(f"{SECRETS}/github", json={"value": VALUE})
    await learner.delete(f"{SECRETS}/github")
    answer = await admin.get("/api/v1/audit", params={"target": "secret/github"})
    assert [(item["action"], item["actor_id"], item["detail"]) for item in answer.json()["items"]] == [
        ("secret.delete", "ada", {}),
        ("secret.put", "ada", {}),
    ]
    assert VALUE not in answer.text


async def test_a_value_is_in_no_table(learner: AsyncClient, database: AsyncEngine) -> None:
    for name in ("github", "Bad Name"):
        for headers in ({}, {"Idempotency-Key": "k"}):
            await learner.put(f"{SECRETS}/{name}", json={"value": VALUE}, headers=headers)
    await learner.put(f"{SECRETS}/github", json={"value": VALUE + "\n"})
    async with database.connect() as connection:
        assert "secrets" in await everything_with(connection, "github")
        for form in (VALUE, b64encode(VALUE.encode()).decode(), VALUE.encode().hex()):
            assert await everything_with(connection, form) == []
