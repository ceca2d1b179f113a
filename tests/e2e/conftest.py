"""The whole platform inside the test process: API and all workers, on the throw-away servers."""

from collections.abc import AsyncIterator
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
from api.app import create_app
from cli.platform import save_platform_definitions
from models.identity import NewKey, Role
from models.persistence.values import BlobStore
from models.settings import Settings
from services.identity.keys import create_key
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


@pytest.fixture
async def platform(temporal: Client, database: AsyncEngine, tmp_path: Path) -> AsyncIterator[Platform]:
    settings = Settings(
        secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(tmp_path / "repos",), authors=True
    )
    blobs = BlobStore(database)
    client = workflow_client(temporal, blobs)
    await save_platform_definitions(database)  # no schedule: it would go on when the test's tables are gone
    parts = WorkerParts(settings, database, blobs, client, ActionAdapter(StepRecorder(database), blobs))
    workers = [make_worker(spec, parts) for spec in WORKERS]
    async with workers[0], workers[1], workers[2]:
        yield Platform(create_app(settings, database, client), database, client)


@pytest.fixture
async def admin(platform: Platform) -> AsyncIterator[AsyncClient]:
    async with await platform.client("root", Role.ADMIN) as client:
        yield client


def step(step_id: str, action: str = "echo", **rest: Any) -> dict[str, Any]:
    """A step of a `flow` action."""
    return {"id": step_id, "service": "flow", "action": action, **rest}
