"""What was known of learners after some of their events, so that a late one costs what follows it, and not all.

They are dense behind the last event, where late events mostly belong, and sparse before. Like a learner's row, they
are changed by whoever holds its lock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.analytics.activities import moment
from services.analytics.changes import LearnerChange
from services.analytics.timeline import Known, from_state

_SPARSE = 400
"""Events from one to the next, of those that are kept for ever."""
_DENSE = 100
"""Events behind the last one within which all are kept."""
_LATEST = text("""
    SELECT late.owner, kept.state FROM unnest(CAST(:owners AS text[]), CAST(:ats AS timestamptz[])) AS late (owner, at)
    JOIN LATERAL (
        SELECT state FROM learner_checkpoints WHERE owner_id = late.owner AND at < late.at
        ORDER BY events DESC LIMIT 1
    ) AS kept ON true
""")
_DROP = text("""
    DELETE FROM learner_checkpoints
    USING unnest(CAST(:owners AS text[]), CAST(:events AS bigint[])) AS refolded (owner, base)
    WHERE owner_id = owner AND events > base
""")
_KEEP = text("""
    INSERT INTO learner_checkpoints (owner_id, events, at, state)
    SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:events AS bigint[]), CAST(:ats AS timestamptz[]),
                         CAST(:states AS text[]))
""")
_THIN = text("""
    DELETE FROM learner_checkpoints
    USING unnest(CAST(:owners AS text[]), CAST(:events AS bigint[])) AS newest (owner, last)
    WHERE owner_id = owner AND events < last - :dense AND events % :sparse <> 0
""")


async def known_before(connection: AsyncConnection, times: Mapping[str, datetime]) -> dict[str, Known]:
    """What was known at the last checkpoint before a time, of learners who have one."""
    parameters = {"owners": list(times), "ats": list(times.values())}
    return {row.owner: from_state(row.state) for row in await connection.execute(_LATEST, parameters)}


async def keep_checkpoints(connection: AsyncConnection, changes: Sequence[LearnerChange]) -> None:
    """Drop those that an event now comes before, and keep the new ones."""
    refolded = [change for change in changes if change.refolded]
    if refolded:
        await connection.execute(_DROP, _counted((change.owner_id, change.base) for change in refolded))
    new = [(change.owner_id, one) for change in changes for one in change.checkpoints]
    if new:
        kept = {
            "owners": [owner for owner, _ in new],
            "events": [one.events for _, one in new],
            "ats": [moment(one.at) for _, one in new],
            "states": [one.state for _, one in new],
        }
        await connection.execute(_KEEP, kept)
        newest = _counted((change.owner_id, change.known.events) for change in changes if change.checkpoints)
        await connection.execute(_THIN, {**newest, "dense": _DENSE, "sparse": _SPARSE})


def _counted(counts: Iterable[tuple[str, int]]) -> dict[str, list[str] | list[int]]:
    listed = list(counts)
    return {"owners": [owner for owner, _ in listed], "events": [count for _, count in listed]}
