"""Results that are used again, as the adapter asks for them: the database may be away, and is waited for."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from models.persistence.database import when_database_is_back
from services.orchestration.step_cache import find_result, keep_result


class ResultCache:
    """Results of actions by user and key."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def find(self, owner_id: str, action: str, key_hash: bytes) -> bytes | None:
        """What is kept under a key."""

        async def look() -> bytes | None:
            async with self._database.connect() as connection:
                return await find_result(connection, owner_id, action, key_hash)

        return await when_database_is_back(look)

    async def keep(self, owner_id: str, action: str, key_hash: bytes, data: bytes, ttl: timedelta) -> None:
        """Keep a result for a time."""

        async def write() -> None:
            async with self._database.begin() as connection:
                await keep_result(connection, owner_id, action, key_hash, data, ttl)

        await when_database_is_back(write)
