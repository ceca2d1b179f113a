"""Changing what is archived: a month to a file, a file back to its month, keys out of all files.

One at a time, by a lock of their own. The long part locks nothing else; then `archives` and, when it is emptied, the
partition are locked, in this order as readers and writers do, for as long as it takes to see that nothing has changed.
Nothing counts before the commit: what a crash leaves is a file that nobody names (`sweep`), or an empty partition.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import MetaData, String, Table, Text, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import NotFoundError, UnavailableError
from models.persistence.archive import erased_keys, list_files, place_of
from models.persistence.archive_files import (
    ArchivedTable,
    ArchiveFile,
    FileWriter,
    StoredRow,
    read_groups,
    read_keys,
    remove_strays,
)
from models.persistence.audit import record_change
from models.persistence.database import archive_of
from models.persistence.partitions import drop_partition, is_lock_refused, make_partitions, months_of, partition_of

CHANGED = "archive-changed"
"""Code of the error that says so; other months may do better."""
_ALONE = 0x7001_06
_TRIES, _PAUSE = 40, 0.25
_CHUNK = 2_000
_TRY_ALONE = text("SELECT pg_try_advisory_xact_lock(:key)")
_BE_QUICK = text("SET LOCAL lock_timeout = '50ms'")
_LOCK_ARCHIVES = text("LOCK TABLE archives IN ACCESS EXCLUSIVE MODE")
_FOLDER = text("""
    INSERT INTO archive_folder (name) VALUES (CAST(gen_random_uuid() AS text))
    ON CONFLICT (id) DO UPDATE SET name = archive_folder.name RETURNING :table || '.' || left(name, 8)
""")
_KEEP = text("""
    INSERT INTO archives (table_name, month, file, rows, bytes, sha256)
    VALUES (:table, :month, :name, :rows, :bytes, :sha256)
    ON CONFLICT (table_name, month) DO UPDATE
    SET file = excluded.file, rows = excluded.rows, bytes = excluded.bytes, sha256 = excluded.sha256, created_at = now()
""")
_DROP = text("DELETE FROM archives WHERE table_name = :table AND month = :month")
_HOLD = text("""
    INSERT INTO archive_holds (table_name, month, until) VALUES (:table, :month, :until)
    ON CONFLICT (table_name, month) DO UPDATE SET until = excluded.until
""")
_END_HOLDS = text("DELETE FROM archive_holds WHERE table_name = :table AND until <= :now")
_HELD = text("SELECT month FROM archive_holds WHERE table_name = :table")


class _State(NamedTuple):
    """Rows of a partition, and the sum of their hashes: any change shows."""

    rows: int
    hashes: Decimal | None


async def held_months(database: AsyncEngine, archived: ArchivedTable, now: datetime) -> set[str]:
    """Months that were put back and stay for now."""
    async with database.begin() as connection:
        await connection.execute(_END_HOLDS, {"table": archived.name, "now": now})
        return set(await connection.scalars(_HELD, {"table": archived.name}))


async def archive_month(
    database: AsyncEngine, archived: ArchivedTable, month: str, actor_id: str
) -> ArchiveFile | None:
    """Make a month's partition a file, together with the file that the month has, and drop it; None when it was empty.

    Raises UnavailableError when others are in the way, or have changed the month meanwhile; then nothing has changed.
    """
    partition = partition_of(archived.name, month)
    async with _changing(database, archived) as (connection, folder):
        old = await _find(connection, archived, month)
        made, state = await _export(database, archived, folder, month, old)
        if made is not None:
            await _take(connection, partition)
            if await _state(connection, _partition(archived, partition)) != state:
                raise UnavailableError(f"{month} has changed while it was archived. Try again.", code=CHANGED)
            await connection.execute(text(f"TRUNCATE {partition}"))
            await _keep(connection, archived, made, actor_id)
    if made is not None and old is not None:
        await asyncio.to_thread((folder.parent / old.name).unlink, missing_ok=True)
    await drop_partition(database, archived.name, month)  # left to the next time when the table is busy
    return made


async def restore_month(
    database: AsyncEngine, archived: ArchivedTable, month: str, until: datetime, actor_id: str
) -> int:
    """Put the rows of a month back into the table, where they stay until some time; how many there were.

    Raises NotFoundError when the month is no file, UnavailableError when it is damaged or others are in the way.
    """
    async with database.connect() as connection:
        await _get(connection, archived, month)
    await make_partitions(database, archived.name, [month])
    partition = partition_of(archived.name, month)
    async with _changing(database, archived) as (connection, folder):
        file = await _get(connection, archived, month)
        if month not in await months_of(connection, archived.name):
            raise UnavailableError("The month was archived again meanwhile. Try again.", code="archive-busy")
        raw: Any = (await connection.get_raw_connection()).driver_connection
        async for rows in _groups(archived, folder, file):
            await raw.copy_records_to_table(partition, records=rows, columns=archived.columns)
        await _take(connection)
        table = _partition(archived, partition)
        gone = await erased_keys(connection, archived)
        removed = (await connection.execute(delete(table).where(table.c[archived.key].in_(sorted(gone))))).rowcount
        names = {"table": archived.name, "month": month}
        await connection.execute(_DROP, names)
        await connection.execute(_HOLD, {**names, "until": until})
        await record_change(connection, actor_id, "archive.restore", f"archive/{archived.name}/{month}")
    await asyncio.to_thread((folder.parent / file.name).unlink, missing_ok=True)
    return file.rows - removed


async def erase_keys(database: AsyncEngine, archived: ArchivedTable, keys: Collection[str], actor_id: str) -> int:
    """Write each file that has rows of some keys again without them; how many files there were.

    When it returns, no file of ours has them, whoever left it. Raises UnavailableError as the others.
    """
    written = 0
    async with database.connect() as connection:
        months = [file.month for file in await list_files(connection, archived)]
    for month in months:
        async with _changing(database, archived) as (connection, folder):
            file = await _find(connection, archived, month)
            if file is None or not await asyncio.to_thread(read_keys, archived, folder.parent, file, sorted(keys)):
                continue
            made = await _write(archived, folder, month, _without(_groups(archived, folder, file), archived, keys))
            await _take(connection)
            if made is None:
                await connection.execute(_DROP, {"table": archived.name, "month": month})
            else:
                await _keep(connection, archived, made, actor_id)
        written += 1
    if archive_of(database) is not None:
        await sweep(database, archived)
    return written


async def sweep(database: AsyncEngine, archived: ArchivedTable) -> int:
    """Remove files that are part of nothing: what crashes left, and what was replaced; how many there were."""
    async with _changing(database, archived) as (connection, folder):
        named = [file.name for file in await list_files(connection, archived)]
        return await asyncio.to_thread(remove_strays, folder, named)


@asynccontextmanager
async def _changing(database: AsyncEngine, archived: ArchivedTable) -> AsyncGenerator[tuple[AsyncConnection, Path]]:
    """A transaction that is the only one to change what is archived, and the folder that new files go to."""
    async with database.begin() as connection:
        for _ in range(_TRIES):
            if await connection.scalar(_TRY_ALONE, {"key": _ALONE}):
                break
            await asyncio.sleep(_PAUSE)
        else:
            raise UnavailableError("Something else changes the archive. Try again.", code="archive-busy")
        place = place_of(connection, archived)
        yield connection, place / str(await connection.scalar(_FOLDER, {"table": archived.name}))


async def _take(connection: AsyncConnection, *partitions: str) -> None:
    """Have `archives`, and partitions, alone until the end of the transaction.

    Whoever comes while this waits, waits too: so it waits for moments only, again and again.
    """
    for _ in range(_TRIES):
        try:
            async with connection.begin_nested():
                await connection.execute(_BE_QUICK)
                await connection.execute(_LOCK_ARCHIVES)
                for partition in partitions:
                    await connection.execute(text(f"LOCK TABLE {partition} IN ACCESS EXCLUSIVE MODE"))
        except DBAPIError as error:
            if not is_lock_refused(error):
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return
    raise UnavailableError("Somebody reads the archive all the time. Try again later.", code="archive-busy")


async def _write(
    archived: ArchivedTable, folder: Path, month: str, rows: AsyncIterator[StoredRow]
) -> ArchiveFile | None:
    """A new file of rows that come in order; None when there are none."""
    writer = await asyncio.to_thread(FileWriter, archived, folder)
    try:
        held: list[StoredRow] = []
        async for row in rows:
            held.append(row)
            if len(held) == _CHUNK:
                await asyncio.to_thread(writer.add, held)
                held = []
        await asyncio.to_thread(writer.add, held)
        return await asyncio.to_thread(writer.finish, month) if writer.taken else None
    finally:
        await asyncio.to_thread(writer.discard)


async def _export(
    database: AsyncEngine, archived: ArchivedTable, folder: Path, month: str, old: ArchiveFile | None
) -> tuple[ArchiveFile | None, _State]:
    """A new file of the month's rows, None when there are none, and the state that the partition had at that moment."""
    table = _partition(archived, partition_of(archived.name, month))
    moment = database.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    async with moment.connect() as connection:
        state = await _state(connection, table)
        if state.rows == 0:
            return None, state
        rows = _in_order(connection, archived, table)
        if old is not None:
            rows = _merged(rows, _groups(archived, folder, old), archived)
        made = await _write(archived, folder, month, rows)
    if made is None or made.rows != state.rows + (0 if old is None else old.rows):
        raise OSError(f"{archived.name} {month}: not as many rows were written as there are")
    return made, state


async def _state(connection: AsyncConnection, table: Table) -> _State:
    """What two moments are compared by."""
    hashes = func.sum(func.hash_record_extended(table.table_valued(), 0))
    return _State(*(await connection.execute(select(func.count(), hashes).select_from(table))).one())


async def _in_order(connection: AsyncConnection, archived: ArchivedTable, table: Table) -> AsyncGenerator[StoredRow]:
    """Rows of a partition in the order of a file, a few at a time."""
    columns = [cast(one, Text) if isinstance(one.type, JSONB) else one for one in table.columns]
    order = [one.collate("C") if isinstance(one.type, String) else one for one in (table.c[n] for n in archived.order)]
    query = select(*columns).order_by(*order).execution_options(yield_per=_CHUNK)
    async for row in await connection.stream(query):
        yield tuple(row)


async def _groups(archived: ArchivedTable, folder: Path, file: ArchiveFile) -> AsyncGenerator[list[StoredRow]]:
    """Rows of a file, group by group, read in threads."""
    groups = read_groups(archived, folder.parent, file)
    while (group := await asyncio.to_thread(next, groups, None)) is not None:
        yield group


async def _merged(
    new: AsyncIterator[StoredRow], groups: AsyncIterator[list[StoredRow]], archived: ArchivedTable
) -> AsyncGenerator[StoredRow]:
    """Rows of a partition and of a file, both in order, in order."""
    place = itemgetter(*archived.places(archived.order))
    old = (row async for group in groups for row in group)
    waiting = await anext(old, None)
    async for row in new:
        while waiting is not None and place(waiting) <= place(row):
            yield waiting
            waiting = await anext(old, None)
        yield row
    while waiting is not None:
        yield waiting
        waiting = await anext(old, None)


async def _without(
    groups: AsyncIterator[list[StoredRow]], archived: ArchivedTable, keys: Collection[str]
) -> AsyncGenerator[StoredRow]:
    (place,) = archived.places([archived.key])
    async for group in groups:
        for row in group:
            if row[place] not in keys:
                yield row


async def _keep(connection: AsyncConnection, archived: ArchivedTable, file: ArchiveFile, actor_id: str) -> None:
    values = {"name": file.name, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
    await connection.execute(_KEEP, {"table": archived.name, "month": file.month, **values})
    target = f"archive/{archived.name}/{file.month}"
    await record_change(connection, actor_id, "archive.write", target, {"rows": file.rows, "sha256": file.sha256})


async def _find(connection: AsyncConnection, archived: ArchivedTable, month: str) -> ArchiveFile | None:
    return next((file for file in await list_files(connection, archived) if file.month == month), None)


async def _get(connection: AsyncConnection, archived: ArchivedTable, month: str) -> ArchiveFile:
    file = await _find(connection, archived, month)
    if file is None:
        raise NotFoundError(f"{month} is not archived.")
    return file


def _partition(archived: ArchivedTable, name: str) -> Table:
    return archived.table.to_metadata(MetaData(), name=name)
