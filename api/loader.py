"""Single-row lookups of requests that wait at the same time, read by one query."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class Loader(Generic[KeyT, ValueT]):
    """Reads values by key.

    While a query is under way, keys gather for the next one. So a query always begins after the request that asks:
    nobody is told what was true before they came. Alone, a request waits for nothing but its own query.
    """

    def __init__(self, read: Callable[[Sequence[KeyT]], Awaitable[Mapping[KeyT, ValueT]]]) -> None:
        self._read = read
        self._waiting: dict[KeyT, asyncio.Future[ValueT | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def load(self, key: KeyT) -> ValueT | None:
        """The value; None for a key nobody knows. Raises what the query raises."""
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await asyncio.shield(found)  # whoever gives up leaves the others waiting

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, {}
                try:
                    values = await self._read(list(batch))
                except Exception as error:  # noqa: BLE001 - it is raised where somebody waits
                    for found in batch.values():
                        found.set_exception(error)
                        found.exception()  # seen, also when nobody waits any more
                    continue
                for key, found in batch.items():
                    found.set_result(values.get(key))
        finally:
            self._reading = None
