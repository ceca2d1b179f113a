"""Everything that must be there before the API and the workers start. Safe to run again, and by two at once."""

import asyncio
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from cli.checkout import load_checkout
from cli.platform import apply_platform_definitions
from cli.stack.files import write_whole
from cli.stack.home import StackHome
from cli.stack.temporal_setup import prepare_namespace
from models.context import LOAD_REPOSITORY
from models.errors import InvalidInputError
from models.identity import NewKey, Role
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from models.persistence.values import BlobStore
from models.settings import Settings
from services.identity.keys import FIRST_ADMIN, create_key, ensure_admin, find_caller, hash_key
from workflows.client import connect


async def prepare(settings: Settings) -> None:
    """Tables, the Temporal namespace, an admin key for this machine, the platform's own definitions, and `repo:.`.

    Raises InvalidInputError without DATABASE_URL, and the errors of the servers as they are.
    """
    if not settings.database_url:
        raise InvalidInputError("DATABASE_URL is not set")
    database = create_database(settings.database_url, pool_size=1)
    try:
        await migrate(database)
        home = StackHome(settings.home.resolve())
        home.create()
        async with database.begin() as connection:
            await ensure_admin_key(connection, home.admin_key_file)
        temporal = await connect(BlobStore(database))
        await prepare_namespace(temporal)
        plans = await apply_platform_definitions(database, temporal)
        await load_checkout(settings, database, temporal, plans[LOAD_REPOSITORY])
    finally:
        await database.dispose()


async def ensure_admin_key(connection: AsyncConnection, file: Path) -> None:
    """Make sure that the file holds a key that works and is an admin's.

    Who may run this reaches the database itself, so a lost file, or one of another database, is replaced.
    """
    key = await ensure_admin(connection)
    if key is None and not await _is_admin_key(connection, file):
        new = NewKey(user_id=FIRST_ADMIN, role=Role.ADMIN, name="replaces a lost admin.key")
        key = (await create_key(connection, new, actor_id=FIRST_ADMIN)).key
    if key is not None:
        # Before the commit: a file with a key that was never stored is replaced next time, the reverse locks us out.
        await asyncio.to_thread(write_whole, file, f"{key}\n")


async def _is_admin_key(connection: AsyncConnection, file: Path) -> bool:
    if not await asyncio.to_thread(file.exists):
        return False
    key = await asyncio.to_thread(file.read_text)
    caller = await find_caller(connection, hash_key(key.strip().encode()))
    return caller is not None and caller.role is Role.ADMIN
