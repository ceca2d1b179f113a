"""The whole platform inside the test process: API and all workers, on the throw-away servers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.adapter import ActionAdapter
from activities.recorder import StepRecorder
from activities.results import ResultCache
from api.app import create_app
from cli.platform import save_platform_definitions
from models.identity import NewKey, Role
from models.persistence.database import with_archive
from models.persistence.values import BlobStore
from models.settings import Settings
from services.identity.keys import create_key
from tests.e2e.processes import Processes, running_stack
from workers.all_in_one import WORKERS
from workers.runtime import WorkerParts, make_worker
from workflows.client import workflow_client


@dataclass(frozen=True)
class Platform:
    """The platform's API and what lies under it."""

    app: FastAPI
    database: AsyncEngine
    temporal: Client

    async def client(self, user_id: str, role: Role) -> AsyncClient:
        """An HTTP client with a new key of that user."""
        async with self.database.begin() as connection:
            new = NewKey(user_id=user_id, role=role, name="test")
            key = (await create_key(connection, new, actor_id="test")).key
        headers = {"Authorization": f"Bearer {key}"}
        return AsyncClient(transport=ASGITransport(self.app), base_url="http://api/api/v1", headers=headers, timeout=60)


@asynccontextmanager
async def running_platform(
    temporal: Client, database: AsyncEngine, directory: Path, allow_addresses: tuple[str, ...] = ()
) -> AsyncGenerator[Platform]:
    """The platform with all its workers, for as long as it is needed."""
    settings = Settings(
        secret=SecretStr("s" * 40),
        home=directory / "home",
        repo_roots=(directory / "repos",),
        authors=True,
        allow_addresses=allow_addresses,
    )
    database = with_archive(database, settings.archive_path)
    blobs = BlobStore(database)
    client = workflow_client(temporal, blobs)
    await save_platform_definitions(database)  # no schedule: it would go on when the test's tables are gone
    adapter = ActionAdapter(StepRecorder(database), blobs, ResultCache(database))
    parts = WorkerParts(settings, database, blobs, client, adapter)
    workers = [make_worker(spec, parts) for spec in WORKERS]
    async with workers[0], workers[1], workers[2]:
        yield Platform(create_app(settings, database, client), database, client)


@pytest.fixture
async def platform(temporal: Client, database: AsyncEngine, tmp_path: Path) -> AsyncIterator[Platform]:
    async with running_platform(temporal, database, tmp_path) as platform:
        yield platform


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Processes]:
    """A stack of real processes, to be killed. Tests that use it share an xdist group, so that there is one."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
async def admin(platform: Platform) -> AsyncIterator[AsyncClient]:
    async with await platform.client("root", Role.ADMIN) as client:
        yield client


def step(step_id: str, action: str = "echo", **rest: Any) -> dict[str, Any]:
    """A step of a `flow` action."""
    return {"id": step_id, "service": "flow", "action": action, **rest}
