from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.app import create_app
from models.identity import NewKey, Role
from models.settings import Settings
from services.identity.keys import create_key
from tests.api.clients import MakeKey, client_of


@pytest.fixture
def settings() -> Settings:
    return Settings(secret=SecretStr("s" * 40), jwt_secret=SecretStr("j" * 40))


@pytest.fixture
async def away() -> Client:
    """A Temporal client whose server does not answer."""
    return await Client.connect("127.0.0.1:1", lazy=True)


@pytest.fixture
def app(settings: Settings, database: AsyncEngine, away: Client) -> FastAPI:
    return create_app(settings, database, away)


@pytest.fixture
def make_key(database: AsyncEngine) -> MakeKey:
    async def make(user_id: str, role: Role) -> str:
        async with database.begin() as connection:
            created = await create_key(connection, NewKey(user_id=user_id, role=role, name="test"), actor_id="test")
        return created.key

    return make


@pytest.fixture
async def admin(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("root", Role.ADMIN)) as client:
        yield client


@pytest.fixture
async def learner(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("ada", Role.LEARNER)) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """Without a key."""
    async with client_of(app) as client:
        yield client
