"""Reading activity events back, in their order, also those of months that are archived.

In one transaction, which protects the files it reads (`models/persistence/archive.py`): no autocommit here.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic_core import from_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.persistence.archive import archived_keys, hold_archives, read_archived
from models.persistence.archive_files import ArchivedTable, StoredRow
from models.persistence.tables import activity_events
from services.analytics.activities import Activity, instant
from services.analytics.reading import EARLIEST, data_of

ARCHIVED = ArchivedTable(
    activity_events,
    key="owner_id",
    time="at",
    order=("owner_id", "at", "source", "id"),
    erased=text("SELECT owner_id FROM erasures WHERE in_archives"),
)
_OF_LEARNERS = text("""
    SELECT owner_id, at, source, id, kind, utc_offset, self_reported, data FROM activity_events
    WHERE owner_id = ANY(CAST(:owners AS text[]))
    ORDER BY owner_id, at, source COLLATE "C", id COLLATE "C"
""")
_OF_KINDS = text("""
    SELECT owner_id, at, source, id, kind, utc_offset, self_reported, data FROM activity_events
    WHERE owner_id = :owner AND kind = ANY(CAST(:kinds AS text[]))
    ORDER BY at, source COLLATE "C", id COLLATE "C"
""")
_TAILS = text("""
    SELECT owner_id, at, source, id, kind, utc_offset, self_reported, data
    FROM unnest(CAST(:owners AS text[]), CAST(:since AS timestamptz[])) AS wanted (owner, since)
    JOIN activity_events ON owner_id = owner AND at >= since
    ORDER BY owner_id, at, source COLLATE "C", id COLLATE "C"
""")
_ACTIVE = text("""
    SELECT count(*) FROM (
        SELECT owner_id FROM activity_events
        WHERE at >= coalesce(CAST(:first AS timestamptz), '-infinity')
          AND at < coalesce(CAST(:after AS timestamptz), 'infinity')
        UNION SELECT unnest(CAST(:archived AS text[]))
    ) AS active
""")
_ALL: Mapping[str, datetime] = MappingProxyType({})


class StoredEvent(NamedTuple):
    """An event as it is kept."""

    owner_id: str
    at: datetime
    source: str
    id: str
    kind: str
    utc_offset: int
    self_reported: bool
    data: dict[str, Any]


async def read_history(
    connection: AsyncConnection, owners: Iterable[str], since: Mapping[str, datetime] = _ALL
) -> dict[str, list[Activity]]:
    """All events of some learners, by learner, in their order; of those in `since`, only from that time on."""
    found: dict[str, list[Activity]] = {owner: [] for owner in owners}
    for row in await read_stored(connection, list(found), since):
        found[row.owner_id].append(
            Activity(
                owner_id=row.owner_id,
                source=row.source,
                id=row.id,
                kind=row.kind,
                at=instant(row.at),
                offset=row.utc_offset,
                data=data_of(row.kind, row.data),
                self_reported=row.self_reported,
            )
        )
    return found


async def read_stored(
    connection: AsyncConnection, owners: Sequence[str], since: Mapping[str, datetime] = _ALL
) -> Sequence[StoredEvent]:
    """The same, as they are kept."""
    files = await read_archived(connection, ARCHIVED, owners, since)
    query, parameters = _OF_LEARNERS, {"owners": list(owners)}
    if since:
        query, parameters = _TAILS, {**parameters, "since": [since.get(owner, EARLIEST) for owner in owners]}
    rows: Sequence[Any] = (await connection.execute(query, parameters)).all()
    archived = [event for event in _unpacked(files) if event.at >= since.get(event.owner_id, EARLIEST)]
    return _merged(archived, rows)


async def read_kinds(connection: AsyncConnection, owner_id: str, kinds: Sequence[str]) -> Sequence[StoredEvent]:
    """A learner's events of some kinds, in their order."""
    files = await read_archived(connection, ARCHIVED, [owner_id])
    rows: Sequence[Any] = (await connection.execute(_OF_KINDS, {"owner": owner_id, "kinds": list(kinds)})).all()
    return _merged([event for event in _unpacked(files) if event.kind in kinds], rows)


async def count_active(connection: AsyncConnection, first: datetime | None, after: datetime | None) -> int:
    """How many learners have an event from `first` on and before `after`."""
    archived = await archived_keys(connection, ARCHIVED, first, after)
    return await connection.scalar(_ACTIVE, {"first": first, "after": after, "archived": sorted(archived)}) or 0


@asynccontextmanager
async def snapshot(database: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Everything as of one moment, archived events included, whatever is written meanwhile."""
    async with database.execution_options(isolation_level="REPEATABLE READ").begin() as connection:
        await hold_archives(connection)
        yield connection


def _unpacked(files: Iterable[Iterable[StoredRow]]) -> Iterator[StoredEvent]:
    return (StoredEvent(*row[:-1], data=from_json(row[-1])) for file in files for row in file)


def _merged(archived: Sequence[StoredEvent], rows: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
    if not archived:
        return rows
    return sorted((*archived, *rows), key=lambda event: (event.owner_id, event.at, event.source, event.id))
