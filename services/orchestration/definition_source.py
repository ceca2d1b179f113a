"""Definitions and foreign actions out of the database, for whoever compiles."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from models.actions import ForeignAction
from models.errors import NotFoundError
from models.persistence.database import autocommit
from models.services import actions_of
from models.workflows import StoredDefinition
from services.orchestration.definitions import find_current, find_version
from services.orchestration.foreign_services import list_services


class DefinitionsInDatabase:
    """Reads with single statements, each on its own."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = autocommit(database)

    async def current(self, definition_id: str) -> StoredDefinition | None:
        """The current version of a definition that was not deleted."""
        async with self._database.connect() as connection:
            with suppress(NotFoundError):
                return await find_current(connection, definition_id)
        return None

    async def version(self, definition_id: str, version: int) -> StoredDefinition | None:
        """That version, deleted or not."""
        async with self._database.connect() as connection:
            with suppress(NotFoundError):
                return await find_version(connection, definition_id, version)
        return None

    async def foreign_actions(self) -> Sequence[ForeignAction]:
        """Every action of every registered service."""
        async with self._database.connect() as connection:
            return [action for service in await list_services(connection) for action in actions_of(service)]
