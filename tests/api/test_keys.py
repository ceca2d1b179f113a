from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from tests.api.clients import client_of, problem

KEYS = "/api/v1/keys"
NEW = {"user_id": "ada", "role": "learner", "name": "laptop"}


async def test_a_new_key_works_and_its_user_exists(admin: AsyncClient, app: FastAPI) -> None:
    response = await admin.post(KEYS, json={**NEW, "expires_at": "2126-01-01T00:00:00+01:00"})
    made = response.json()
    assert response.status_code == 201
    assert set(made) == {"id", "key", "prefix", "user_id", "role", "name", "created_at", "expires_at"}
    assert made["expires_at"] == "2125-12-31T23:00:00Z"
    assert response.headers["cache-control"] == "no-store"
    async with client_of(app, made["key"]) as ada:
        problem(await ada.get(KEYS), 403, "forbidden")
    assert [user["id"] for user in (await admin.get("/api/v1/users")).json()["items"]] == ["ada", "root"]


async def test_listed_keys_have_no_secret(admin: AsyncClient) -> None:
    made = (await admin.post(KEYS, json=NEW)).json()
    listed = await admin.get(KEYS)
    assert made["key"] not in listed.text
    assert [key["user_id"] for key in listed.json()["items"]] == ["ada", "root"]
    assert set(listed.json()["items"][0]) == set(made) - {"key"}


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"user_id": "../ada"}, "/user_id", "string-pattern-mismatch"),
        ({"user_id": "a" * 129}, "/user_id", "string-pattern-mismatch"),
        ({"user_id": 7}, "/user_id", "type-mismatch"),
        ({"role": "root"}, "/role", "enum"),
        ({"role": "author"}, "/role", "role-not-available"),
        ({"name": ""}, "/name", "string-too-short"),
        ({"name": "x" * 201}, "/name", "string-too-long"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at", "bad-expiry"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "/expires_at", "bad-expiry"),
        ({"expires_at": "2126-01-01T00:00:00"}, "/expires_at", "timezone-aware"),
        ({"expires_at": "tomorrow"}, "/expires_at", "datetime-from-date-parsing"),
        ({"expires_at": 1e300}, "/expires_at", "type-mismatch"),
        ({"colour": "red"}, "/colour", "unknown-field"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown-field"),
    ],
)
async def test_a_wrong_field_is_named(admin: AsyncClient, change: dict[str, Any], pointer: str, code: str) -> None:
    refused = problem(await admin.post(KEYS, json={**NEW, **change}), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert refused["errors"][0]["code"] in {code, "type-mismatch"}


async def test_all_wrong_fields_are_named_at_once(admin: AsyncClient) -> None:
    refused = problem(await admin.post(KEYS, json={"role": "root", "colour": "red"}), 422, "invalid-input")
    assert {(error["pointer"], error["code"]) for error in refused["errors"]} == {
        ("/user_id", "missing-field"),
        ("/role", "enum"),
        ("/name", "missing-field"),
        ("/colour", "unknown-field"),
    }


async def test_a_key_that_is_not_there_cannot_be_revoked(admin: AsyncClient) -> None:
    problem(await admin.delete(f"{KEYS}/00000000-0000-7000-8000-000000000000"), 404, "not-found")
    problem(await admin.delete(f"{KEYS}/nonsense"), 404, "not-found")


async def test_the_last_admin_key_cannot_be_revoked(admin: AsyncClient) -> None:
    [key] = (await admin.get(KEYS)).json()["items"]
    problem(await admin.delete(f"{KEYS}/{key['id']}"), 409, "last-admin-key")


async def test_changes_are_audited_and_found_by_their_parts(admin: AsyncClient) -> None:
    made = (await admin.post(KEYS, json=NEW)).json()
    await admin.delete(f"{KEYS}/{made['id']}")
    everything = (await admin.get("/api/v1/audit")).json()["items"]
    assert [entry["action"] for entry in everything[:3]] == ["key.revoke", "key.create", "user.create"]
    assert all(entry["actor_id"] == "root" for entry in everything[:3])

    async def found(**wanted: str) -> list[str]:
        return [entry["action"] for entry in (await admin.get("/api/v1/audit", params=wanted)).json()["items"]]

    assert await found(target=f"key/{made['id']}") == ["key.revoke", "key.create"]
    assert await found(target="user/ada", actor="root") == ["user.create"]
    assert await found(action="key.revoke") == ["key.revoke"]
    assert await found(actor="nobody") == []
