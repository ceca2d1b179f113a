"""Monthly partitions of a table, by the time in one of its columns: names, making, finding and dropping them."""

from collections.abc import Iterable
from datetime import UTC, date, datetime

from sqlalchemy import exists, select, text
from sqlalchemy import table as table_named
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

OLD = "old"
"""The month of everything before 2000: nobody may make thousands of partitions with dates of long ago."""
_FIRST = date(2000, 1, 1)
_LOCK = 0x7001_05
_NO_LOCK = "55P03"
_MONTHS = text("""
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = CAST(CAST(:table AS text) AS regclass) ORDER BY 1
""")
_SERIALIZE = text("SELECT pg_advisory_xact_lock(:key)")
_BE_QUICK = text("SET LOCAL lock_timeout = '200ms'")


def month_of(at: datetime) -> str:
    """The month of a time in UTC, such as `2024-03`."""
    day = at.astimezone(UTC).date()
    return f"{day:%Y-%m}" if day >= _FIRST else OLD


def month_after(month: str, months: int = 1) -> str:
    """The month so many months later; earlier for a negative number. Not for `old`."""
    year, number = divmod(_number(month) + months, 12)
    return f"{year:04}-{number + 1:02}"


def is_before(month: str, other: str) -> bool:
    """Whether a month is over when the other, which is not `old`, begins."""
    return month == OLD or month < other


def bounds(month: str) -> tuple[datetime | None, datetime]:
    """The first moment of a month, None for `old`, and the first one after it."""
    if month == OLD:
        return None, _start(_FIRST)
    return _start(_first_day(month)), _start(_first_day(month_after(month)))


def partition_of(table: str, month: str) -> str:
    """Name of the partition of a month."""
    return f"{table}_{month.replace('-', '_')}"


async def months_of(connection: AsyncConnection, table: str) -> list[str]:
    """Months that have a partition."""
    names = await connection.scalars(_MONTHS, {"table": table})
    return [name.removeprefix(f"{table}_").replace("_", "-") for name in names]


async def make_partitions(database: AsyncEngine, table: str, months: Iterable[str]) -> None:
    """Make those that are missing, in a transaction of its own. Nobody who reads or writes the table waits for it."""
    async with database.begin() as connection:
        await connection.execute(_SERIALIZE, {"key": _LOCK})
        for month in sorted(set(months) - set(await months_of(connection, table))):
            for statement in _making(table, month):
                await connection.execute(text(statement))


async def drop_partition(database: AsyncEngine, table: str, month: str) -> bool:
    """Drop an empty partition. False when it is not empty, or when the table is too busy for the lock this takes.

    The lock is on the whole table: whoever comes meanwhile waits, so it is given up soon.
    """
    partition = partition_of(table, month)
    try:
        async with database.begin() as connection:
            await connection.execute(_BE_QUICK)
            await connection.execute(text(f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE"))
            await connection.execute(text(f"LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE"))
            if await connection.scalar(select(exists().select_from(table_named(partition)))):
                return False
            await connection.execute(text(f"DROP TABLE {partition}"))
    except DBAPIError as error:
        if not is_lock_refused(error):
            raise
        return False
    return True


def is_lock_refused(error: DBAPIError) -> bool:
    """Whether a lock was not there within the time that was set for it."""
    return getattr(error.orig, "sqlstate", None) == _NO_LOCK


def _making(table: str, month: str) -> tuple[str, str]:
    """Attached rather than made in place: that would wait for everybody who reads the table, and all behind it.

    All of it is made of dates and names of ours: nothing of it was posted.
    """
    first, last = bounds(month)
    start = "MINVALUE" if first is None else f"'{first.isoformat()}'"
    name = partition_of(table, month)
    return (
        f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)",
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ('{last.isoformat()}')",
    )


def _number(month: str) -> int:
    year, number = month.split("-")
    return int(year) * 12 + int(number) - 1


def _first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
