"""Monthly partitions of the activity events: made ahead by the nightly job, and on demand by what comes in."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from models.persistence.partitions import make_partitions, month_after, month_of

_TABLE = "activity_events"
_MONTHS_AHEAD = 2


class Partitions:
    """Those that this process has seen."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._known: set[str] = set()

    async def ensure(self, times: Iterable[datetime]) -> None:
        """Make sure that events of these times have a place. In a transaction of its own: others wait for it."""
        missing = {month_of(at) for at in times} - self._known
        if missing:
            await self._make(missing)

    async def ensure_ahead(self, now: datetime) -> None:
        """Make the partitions of this month and the next ones."""
        this = month_of(now)
        await self._make({month_after(this, months) for months in range(_MONTHS_AHEAD + 1)})

    def forget(self) -> None:
        """Forget what was seen: a month that was archived has no partition any more (SQLSTATE 23514 for an insert)."""
        self._known.clear()

    async def _make(self, months: set[str]) -> None:
        await make_partitions(self._database, _TABLE, months)
        self._known |= months
