from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Message
from temporalio.client import Client

from api.app import create_app
from api.local import is_local
from models.identity import Role
from models.settings import Settings
from services.identity.users import user_exists
from tests.api.clients import MakeKey, client_of, problem, raw

KEYS = "/api/v1/keys"


def token(subject: str, role: str, secret: str = "j" * 40) -> str:
    expires_at = int((datetime.now(UTC) + timedelta(minutes=5)).timestamp())
    claims = {"sub": subject, "role": role, "exp": expires_at}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer tlo_unknown",
        "Basic cm9vdDpyb290",
        "tlo_unknown",
        "Bearer a.b.c",
        "Bearer é",
    ],
)
async def test_without_a_valid_key_the_answer_is_401(stranger: AsyncClient, authorization: str | None) -> None:
    headers = [] if authorization is None else raw(Authorization=authorization)
    response = await stranger.get(KEYS, headers=headers)
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == 'Bearer realm="tooloo"'


async def test_a_refused_request_is_not_read(app: FastAPI) -> None:
    read: list[str] = []

    async def receive() -> Message:
        read.append("body")
        return {"type": "http.request", "body": b"", "more_body": False}

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": KEYS,
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    await app(scope, receive, send)
    assert (read, sent[0]["status"]) == ([], 401)


@pytest.mark.parametrize(
    "path", ["/api/v1/health/live", "/api/v1/health/ready", "/api/v1/health/services", "/docs", "/openapi.json"]
)
async def test_some_pages_are_open_to_everyone(app: FastAPI, path: str) -> None:
    async with client_of(app, peer="203.0.113.7") as client:
        assert (await client.get(path)).status_code in {200, 503}


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/nothing", "/", "/api/v1/health/", "/docs/", "/api/v1/health/x"])
async def test_a_stranger_does_not_learn_which_routes_exist(stranger: AsyncClient, path: str) -> None:
    problem(await stranger.get(path), 401, "unauthorized")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_learner_does_not_administer_keys(learner: AsyncClient, method: str) -> None:
    path = KEYS if method != "DELETE" else f"{KEYS}/00000000-0000-7000-8000-000000000000"
    problem(await learner.request(method, path, json={} if method == "POST" else None), 403, "forbidden")


async def test_a_revoked_key_is_refused_by_the_next_request(admin: AsyncClient, app: FastAPI) -> None:
    made = (await admin.post(KEYS, json={"user_id": "bob", "role": "admin", "name": "x"})).json()
    async with client_of(app, made["key"]) as bob:
        assert (await bob.get(KEYS)).status_code == 200
        assert (await admin.delete(f"{KEYS}/{made['id']}")).status_code == 204
        problem(await bob.get(KEYS), 401, "unauthorized")


async def test_a_token_names_its_user_who_then_exists(app: FastAPI, database: AsyncEngine) -> None:
    async with client_of(app, token("grace", "admin")) as client:
        assert (await client.get(KEYS)).status_code == 200
        assert (await client.get(KEYS)).status_code == 200
    async with database.connect() as connection:
        assert await user_exists(connection, "grace")


async def test_a_token_of_a_learner_is_no_admins(app: FastAPI) -> None:
    async with client_of(app, token("grace", "learner")) as client:
        problem(await client.get(KEYS), 403, "forbidden")


async def test_a_token_with_another_secret_is_refused(app: FastAPI) -> None:
    async with client_of(app, token("grace", "admin", secret="x" * 40)) as client:
        problem(await client.get(KEYS), 401, "unauthorized")


async def test_without_a_secret_no_token_is_accepted(database: AsyncEngine, away: Client) -> None:
    app = create_app(Settings(secret=SecretStr("s" * 40), jwt_secret=SecretStr("")), database, away)
    async with client_of(app, token("grace", "admin")) as client:
        problem(await client.get(KEYS), 401, "unauthorized")


@pytest.mark.parametrize("setting", ["secret", "jwt_secret"])
async def test_short_secrets_are_refused_at_the_start(
    settings: Settings, database: AsyncEngine, away: Client, setting: str
) -> None:
    with pytest.raises(ValueError, match=f"TOOLOO_{setting.upper()}"):
        create_app(settings.model_copy(update={setting: SecretStr("short")}), database, away)


@pytest.mark.parametrize(("authors", "role"), [(False, Role.LEARNER), (True, Role.AUTHOR)])
async def test_an_authors_key_acts_as_a_learners_while_there_are_no_authors(
    settings: Settings, database: AsyncEngine, away: Client, make_key: MakeKey, *, authors: bool, role: Role
) -> None:
    app = create_app(settings.model_copy(update={"authors": authors}), database, away)
    async with client_of(app, await make_key("ada", Role.AUTHOR)) as client:
        refused = problem(await client.get(KEYS), 403, "forbidden")
    assert f"yours is {role}" in refused["detail"]


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.8.8", {}, True),
        ("::1", {}, True),
        ("192.168.1.4", {}, False),
        ("203.0.113.7", {}, False),
        ("not an address", {}, False),
        ("127.0.0.1", {"x-forwarded-for": "203.0.113.7"}, False),
        ("127.0.0.1", {"forwarded": "for=203.0.113.7"}, False),
        ("127.0.0.1", {"via": "1.1 proxy"}, False),
    ],
)
def test_local_is_this_machine_itself(peer: str, headers: dict[str, str], local: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert is_local({"type": "http", "client": (peer, 1), "headers": raw}) is local


def test_a_peer_without_an_address_is_not_local() -> None:
    assert not is_local({"type": "http", "client": None, "headers": []})


async def test_metrics_are_for_this_machine_or_any_key(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app) as local, client_of(app, peer="203.0.113.7") as remote:
        assert (await local.get("/metrics")).status_code == 200
        problem(await remote.get("/metrics"), 401, "unauthorized")
        problem(await local.get("/metrics", headers={"Authorization": "Bearer tlo_no"}), 401, "unauthorized")
    async with client_of(app, await make_key("machine", Role.SERVICE), peer="203.0.113.7") as keyed:
        assert (await keyed.get("/metrics")).status_code == 200
