"""How long activity events stay in their table: old months become files, and come back when an admin asks for one."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.analytics import ArchivedMonth
from models.errors import UnavailableError
from models.persistence.archive_files import DAMAGED
from models.persistence.archiving import CHANGED, archive_month, held_months, restore_month, sweep
from models.persistence.partitions import is_before, month_after, month_of, months_of
from services.analytics.history import ARCHIVED

HOLD = timedelta(days=7)
"""How long a month stays that was put back."""
_LIST = text("""
    SELECT month, file, rows, bytes, sha256, created_at FROM archives WHERE table_name = :table ORDER BY month
""")


async def archive_events(
    database: AsyncEngine, months_kept: int, now: datetime, actor_id: str
) -> AsyncGenerator[tuple[str, int]]:
    """Make files of the months that are before the last `months_kept` and the current one, one after the other.

    Gives each month with the events that its file has now. Done again, it does what is left. Raises UnavailableError
    when others are in the way; at the end, when some months were changed meanwhile or have a damaged file.
    """
    await sweep(database, ARCHIVED)
    cut = month_after(month_of(now), -months_kept)
    async with database.connect() as connection:
        months = await months_of(connection, ARCHIVED.name)
    left: list[UnavailableError] = []
    for month in sorted(set(months) - await held_months(database, ARCHIVED, now)):
        if not is_before(month, cut):
            continue
        try:
            made = await archive_month(database, ARCHIVED, month, actor_id)
        except UnavailableError as error:
            if error.code not in (CHANGED, DAMAGED):
                raise
            left.append(error)
            continue
        if made is not None:
            yield month, made.rows
    if left:
        raise left[0]


async def restore_events(database: AsyncEngine, month: str, now: datetime, actor_id: str) -> tuple[int, datetime]:
    """Put an archived month back into the table; how many events it has, and until when they stay there.

    Raises NotFoundError when it is not archived, UnavailableError when its file is damaged.
    """
    until = now + HOLD
    return await restore_month(database, ARCHIVED, month, until, actor_id), until


async def list_archives(connection: AsyncConnection) -> tuple[ArchivedMonth, ...]:
    """The months that are files."""
    rows = await connection.execute(_LIST, {"table": ARCHIVED.name})
    return tuple(ArchivedMonth.model_validate(row._asdict()) for row in rows)
