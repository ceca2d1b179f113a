"""The one archiver: old months of a partitioned table as files, read back as if they were in the table.

`archives` says which files are part of the data. Reading it is what protects a reader: its lock lasts until the end of
the transaction, and whoever changes what it says has to have the table alone for a moment. So a reader first asks for
the files, then reads the table itself, all in one transaction. One that sees everything as of one moment begins
with `hold_archives`: its moment must not be earlier than its lock.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import UnavailableError
from models.persistence.archive_files import ArchivedTable, ArchiveFile, StoredRow, keys_between, read_keys
from models.persistence.database import archive_of
from models.persistence.partitions import bounds

_HOLD = text("LOCK TABLE archives IN ACCESS SHARE MODE")
_FILES = text("""
    SELECT month, file AS name, rows, bytes, sha256 FROM archives WHERE table_name = :table ORDER BY month
""")


async def hold_archives(connection: AsyncConnection) -> None:
    """Let no file go or come until the end of the transaction. It fixes no moment yet, unlike a query."""
    await connection.execute(_HOLD)


async def list_files(connection: AsyncConnection, archived: ArchivedTable) -> list[ArchiveFile]:
    """The files that are part of a table, by month; `old` comes last. They stay until the transaction ends."""
    return [ArchiveFile(*row) for row in await connection.execute(_FILES, {"table": archived.name})]


async def read_archived(
    connection: AsyncConnection,
    archived: ArchivedTable,
    keys: Sequence[str],
    since: Mapping[str, datetime] = MappingProxyType({}),
) -> list[list[StoredRow]]:
    """Archived rows of some keys: for each file, those in their order. Nearly always one small query.

    Of keys that `since` has, months that were over by then are not looked at. Raises UnavailableError when a file that
    is looked at cannot be read.
    """
    files = await list_files(connection, archived)
    if not files or not keys:
        return []
    archive = place_of(connection, archived)
    left = set(keys) - await erased_keys(connection, archived)
    found: list[list[StoredRow]] = []
    for file in files:
        _, end = bounds(file.month)
        wanted = [key for key in left if key not in since or since[key] < end]
        if wanted:
            found.append(await asyncio.to_thread(read_keys, archived, archive, file, wanted))
    return found


async def archived_keys(
    connection: AsyncConnection, archived: ArchivedTable, first: datetime | None, after: datetime | None
) -> set[str]:
    """Keys that have an archived row from `first` on and before `after`. Raises UnavailableError as `read_archived`."""
    files = [file for file in await list_files(connection, archived) if _overlaps(file.month, first, after)]
    if not files:
        return set()
    archive = place_of(connection, archived)
    found = [await asyncio.to_thread(keys_between, archived, archive, file, first, after) for file in files]
    return set[str]().union(*found) - await erased_keys(connection, archived)


async def erased_keys(connection: AsyncConnection, archived: ArchivedTable) -> set[str]:
    """Keys whose rows may still be in files and count as gone."""
    return set(await connection.scalars(archived.erased))


def place_of(connection: AsyncConnection, archived: ArchivedTable) -> Path:
    """What the names of a table's files begin at. Raises UnavailableError when this process was not told."""
    archive = archive_of(connection.engine)
    if archive is None:
        raise UnavailableError(
            f"Some of {archived.name} is archived, and this process was not told where.", code="no-archive"
        )
    return archive


def _overlaps(month: str, first: datetime | None, after: datetime | None) -> bool:
    start, end = bounds(month)
    return (first is None or end > first) and (after is None or start is None or start < after)
