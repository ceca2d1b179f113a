"""Bringing a database's tables to the newest revision."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

_LOCK = 0x7001_00  # "tooloo": any number will do that nobody else locks
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


async def migrate(database: AsyncEngine) -> None:
    """Upgrade to the newest revision, in one transaction; processes that do so at once wait for each other."""
    async with database.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        await connection.run_sync(_upgrade)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
