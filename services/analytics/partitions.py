"""Monthly partitions of the activity events: made ahead by the nightly job, and on demand by what comes in."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_LOCK = 0x7001_05
_OLD = date(2000, 1, 1)
"""Everything before has one partition: nobody may make thousands with dates of long ago."""
_MONTHS_AHEAD = 2


class Partitions:
    """Those that this process has seen."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database
        self._known: set[date] = set()

    async def ensure(self, times: Iterable[datetime]) -> None:
        """Make sure that events of these times have a place. In a transaction of its own: others wait for it."""
        missing = {_month(at) for at in times} - self._known
        if missing:
            await self.make(missing)

    async def ensure_ahead(self, now: datetime) -> None:
        """Make the partitions of this month and the next ones."""
        month, months = _month(now), [_month(now)]
        for _ in range(_MONTHS_AHEAD):
            month = _next(month)
            months.append(month)
        await self.make(months)

    async def make(self, months: Iterable[date]) -> None:
        """Make partitions that are missing."""
        wanted = sorted(months)
        async with self._database.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            for month in wanted:
                await connection.execute(text(_create(month)))
        self._known.update(wanted)


def _month(at: datetime) -> date:
    day = at.astimezone(UTC).date()
    return day.replace(day=1) if day >= _OLD else date.min


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _create(month: date) -> str:
    """All of it is made of dates of ours: nothing of it was posted."""
    if month == date.min:
        name, first, last = "activity_events_old", "MINVALUE", f"'{_OLD}T00:00:00Z'"
    else:
        name = f"activity_events_{month:%Y_%m}"
        first, last = f"'{month}T00:00:00Z'", f"'{_next(month)}T00:00:00Z'"
    return f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF activity_events FOR VALUES FROM ({first}) TO ({last})"
