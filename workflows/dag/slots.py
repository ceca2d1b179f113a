"""How much of a run may be under way at once. Who waits is served by rank, so that the order is always the same."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from heapq import heappop, heappush

Rank = tuple[int, ...]


class DrainedError(Exception):
    """What somebody waits for will not come in this part of the run (before continue-as-new)."""


class Slots:
    """So many places, each held while something is under way."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[tuple[Rank, int, asyncio.Future[None]]] = []
        self._asked = 0
        self._open = True

    @asynccontextmanager
    async def slot(self, rank: Rank) -> AsyncGenerator[None]:
        """Hold a place; the lowest rank of those that wait comes first. Raises DrainedError."""
        await self._take(rank)
        try:
            yield
        finally:
            self._free += 1
            self._serve()

    def close(self) -> None:
        """Give out no more places."""
        self._open = False
        while self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_exception(DrainedError())

    async def _take(self, rank: Rank) -> None:
        if not self._open:
            raise DrainedError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked += 1
        heappush(self._waiting, (rank, self._asked, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free += 1
                self._serve()
            raise

    def _serve(self) -> None:
        while self._open and self._free and self._waiting:
            _, _, turn = heappop(self._waiting)
            if not turn.done():
                self._free -= 1
                turn.set_result(None)
