"""Reading activity events back, in their order."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.analytics.activities import Activity, instant
from services.analytics.reading import data_of

_OF_LEARNERS = text("""
    SELECT owner_id, source, id, kind, at, utc_offset, data, self_reported FROM activity_events
    WHERE owner_id = ANY(CAST(:owners AS text[]))
    ORDER BY owner_id, at, source COLLATE "C", id COLLATE "C"
""")


async def read_history(connection: AsyncConnection, owners: Iterable[str]) -> dict[str, list[Activity]]:
    """All events of some learners, by learner, in their order."""
    found: dict[str, list[Activity]] = {owner: [] for owner in owners}
    for row in await connection.execute(_OF_LEARNERS, {"owners": list(found)}):
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
