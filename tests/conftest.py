"""Throw-away servers for the whole session, shared by all xdist workers; a running stack beside them is undisturbed.

They start when the first test asks for one and are stopped by the main process at the end. Should that process be
killed, their keepers stop them by themselves.
"""

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import hypothesis
import pytest
from google.protobuf.duration_pb2 import Duration
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from cli.stack.files import locked
from cli.stack.temporal_setup import RETENTION_SECONDS, prepare_namespace
from cli.stack.throwaway import stop_throwaways, throwaway_postgres, throwaway_temporal
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from models.persistence.tables import metadata

hypothesis.settings.register_profile("tooloo", deadline=None)  # deadlines are timing assertions
hypothesis.settings.load_profile("tooloo")

_SERVERS = "TOOLOO_TEST_SERVERS"
_OWNER = "TOOLOO_TEST_OWNER"
_TEMPLATE = "tooloo_template"
_EMPTY_ALL_TABLES = (
    "SET LOCAL session_replication_role = replica;"  # the audit's trigger refuses TRUNCATE otherwise
    f"TRUNCATE {', '.join(table.name for table in metadata.sorted_tables)} RESTART IDENTITY"
)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist's workers inherit the main process's environment
        os.environ[_SERVERS] = tempfile.mkdtemp(prefix="tooloo-tests-")
        os.environ[_OWNER] = str(os.getpid())


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        stop_throwaways(Path(os.environ[_SERVERS]))


@pytest.fixture(scope="session")
def servers() -> Path:
    """Folder of this session's throw-away servers."""
    return Path(os.environ[_SERVERS])


@pytest.fixture(scope="session")
def postgres_url(servers: Path) -> str:
    """A PostgreSQL server; its database `tooloo` is empty and stays so."""
    return throwaway_postgres(servers, int(os.environ[_OWNER]))


@pytest.fixture(scope="session")
async def database_url(postgres_url: str, servers: Path, worker_id: str) -> str:
    """A database of this xdist worker's own with all tables. Empty at the start of each test that uses `database`."""
    admin: asyncpg.Connection = await asyncpg.connect(postgres_url)
    try:
        with locked(servers / "template.lock"):  # a template is copied while nobody is connected to it
            if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", _TEMPLATE):
                await _make_template(admin, postgres_url)
            await admin.execute(f"CREATE DATABASE test_{worker_id} TEMPLATE {_TEMPLATE}")
    finally:
        await admin.close()
    return _of(postgres_url, f"test_{worker_id}")


@pytest.fixture(scope="session")
async def _engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_database(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def database(_engine: AsyncEngine) -> AsyncEngine:
    """The database with all tables empty."""
    async with _engine.begin() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute(_EMPTY_ALL_TABLES)
    return _engine


@pytest.fixture(scope="session")
def temporal_address(servers: Path) -> str:
    """`host:port` of a Temporal server, in memory, with the settings of `./tooloo up`."""
    return throwaway_temporal(servers, int(os.environ[_OWNER]))


@pytest.fixture(scope="session")
async def temporal(temporal_address: str, worker_id: str) -> Client:
    """Client of a namespace of this xdist worker's own, with TooLoo's search attributes; `temporal.namespace` names it.

    Tests share the namespace: workflow ids and task queues are theirs to keep apart.
    """
    return await new_namespace(temporal_address, f"test-{worker_id}")


async def new_namespace(address: str, name: str) -> Client:
    """Client of a namespace that has not been used before, with TooLoo's search attributes."""
    client = await Client.connect(address, namespace=name)
    retention = Duration(seconds=RETENTION_SECONDS)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
    )
    await prepare_namespace(client)
    return client


async def _make_template(admin: asyncpg.Connection, url: str) -> None:
    await admin.execute(f"CREATE DATABASE {_TEMPLATE}_new")
    engine = create_database(_of(url, f"{_TEMPLATE}_new"))
    try:
        await migrate(engine)
    finally:
        await engine.dispose()
    await admin.execute(f"ALTER DATABASE {_TEMPLATE}_new RENAME TO {_TEMPLATE}")


def _of(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)
