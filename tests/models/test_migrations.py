"""The revisions make what the models say, and the audit keeps what it was told."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from models.persistence.audit import record_change
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from models.persistence.tables import metadata


@pytest.fixture
async def empty_database(postgres_url: str, worker_id: str) -> AsyncIterator[AsyncEngine]:
    name = f"empty_{worker_id}"
    admin: asyncpg.Connection = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE DATABASE {name}")
    engine = create_database(make_url(postgres_url).set(database=name).render_as_string(hide_password=False))
    yield engine
    await engine.dispose()
    await admin.execute(f"DROP DATABASE {name}")
    await admin.close()


def is_no_partition(name: str | None, kind: str, parents: object) -> bool:
    """Partitions are made as events need them."""
    return not (kind == "table" and name is not None and name.startswith("activity_events_"))


async def test_migrations_make_exactly_the_tables_of_the_models(database: AsyncEngine) -> None:
    def differences(connection: Connection) -> object:
        opts = {"compare_server_default": True, "include_name": is_no_partition}
        return compare_metadata(MigrationContext.configure(connection, opts=opts), metadata)

    async with database.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_database: AsyncEngine) -> None:
    await asyncio.gather(*(migrate(empty_database) for _ in range(4)))
    async with empty_database.connect() as connection:
        assert (await connection.scalars(text("SELECT version_num FROM alembic_version"))).all() == ["0009"]


@pytest.mark.parametrize("change", ["UPDATE audit SET target = 'x'", "DELETE FROM audit", "TRUNCATE audit"])
async def test_audit_refuses_every_change(database: AsyncEngine, change: str) -> None:
    async with database.begin() as connection:
        await record_change(connection, "ada", "key.create", "key/1")
    with pytest.raises(DBAPIError, match="audit is refused"):
        async with database.begin() as connection:
            await connection.execute(text(change))
    async with database.connect() as connection:
        assert (await connection.execute(text("SELECT id, target FROM audit"))).all() == [(1, "key/1")]
