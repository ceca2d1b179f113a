"""Large JSON values and payloads in PostgreSQL, by the hash of their bytes: writing one again changes nothing."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine

from models.errors import NotFoundError
from models.persistence.database import ResultT, when_database_is_back
from models.persistence.tables import blobs
from models.values import Hole, put

CACHE_BYTES = 64 * 1024 * 1024


class BlobStore:
    """Content-addressed bytes with a cache in this process; contents never change, so the cache is never stale."""

    def __init__(self, database: AsyncEngine, *, patient: bool = False) -> None:
        """`patient`: wait while the database is away, as a worker should; an API answers that it is."""
        self._database = database
        self._patient = patient
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._cached_bytes = 0

    async def store(self, items: Sequence[bytes]) -> list[str]:
        """Keep each item; the refs (hex SHA-256) in order."""
        refs = [sha256(item).hexdigest() for item in items]
        rows = {ref: item for ref, item in zip(refs, items, strict=True) if ref not in self._cache}
        if rows:
            await self._try(lambda: self._insert(rows))
            for ref, item in rows.items():
                self._remember(ref, item)
        return refs

    async def load(self, refs: Sequence[str]) -> list[bytes]:
        """The bytes behind each ref, in order. Raises NotFoundError for a ref that is not there."""
        if not refs:
            return []
        missing = [bytes.fromhex(ref) for ref in set(refs) if ref not in self._cache]
        found: dict[str, bytes] = {}
        if missing:
            found = await self._try(lambda: self._select(missing))
        for ref in refs:
            if ref in self._cache:
                found[ref] = self._cache[ref]
                self._cache.move_to_end(ref)
            elif ref not in found:
                raise NotFoundError(f"stored value {ref} is gone")
        for ref, item in found.items():
            self._remember(ref, item)
        return [found[ref] for ref in refs]

    async def fill(self, value: Any, holes: Sequence[Hole]) -> Any:
        """A value with its holes filled. Raises MissingValueError where one is needed and not there."""
        found = await self.load([hole.stored.ref for hole in holes])
        for hole, data in zip(holes, found, strict=True):
            part = from_json(data)
            for read in hole.reads:
                part = read.of(part)
            value = put(value, hole.at, part)
        return value

    async def _try(self, operation: Callable[[], Awaitable[ResultT]]) -> ResultT:
        return await (when_database_is_back(operation) if self._patient else operation())

    async def _insert(self, rows: Mapping[str, bytes]) -> None:
        async with self._database.begin() as connection:
            await connection.execute(
                upsert(blobs).on_conflict_do_nothing(),
                [{"hash": bytes.fromhex(ref), "data": rows[ref]} for ref in sorted(rows)],
            )

    async def _select(self, hashes: Sequence[bytes]) -> dict[str, bytes]:
        async with self._database.connect() as connection:
            rows = await connection.execute(select(blobs.c.hash, blobs.c.data).where(blobs.c.hash.in_(hashes)))
            return {row.hash.hex(): row.data for row in rows}

    def _remember(self, ref: str, item: bytes) -> None:
        if ref in self._cache or len(item) > CACHE_BYTES // 8:
            return
        self._cache[ref] = item
        self._cached_bytes += len(item)
        while self._cached_bytes > CACHE_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= len(oldest)
