"""Writing events in the transaction of the change they report (CONTRACT 10, TRAPS 17)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.events import Event
from models.persistence.tables import outbox


@dataclass(frozen=True)
class NewEvent:
    """An event before it has its place in its subject's sequence."""

    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    source: str


_COUNT = text("""
    INSERT INTO outbox_subjects AS counters (subject, last_sequence)
    SELECT subject, count FROM unnest(CAST(:subjects AS text[]), CAST(:counts AS bigint[])) AS new (subject, count)
    ORDER BY subject
    ON CONFLICT (subject) DO UPDATE SET last_sequence = counters.last_sequence + excluded.last_sequence
    RETURNING subject, last_sequence
""")
_APPEND = text("""
    INSERT INTO outbox (subject, sequence, type, source, time, data)
    SELECT * FROM unnest(CAST(:subject AS text[]), CAST(:sequence AS bigint[]), CAST(:type AS text[]),
                         CAST(:source AS text[]), CAST(:time AS timestamptz[]), CAST(:data AS jsonb[]))
""")


async def append_events(connection: AsyncConnection, events: Sequence[NewEvent]) -> None:
    """Append in order. The subject's row is locked until commit, so its sequence has no gap and no late comer.

    Subjects are locked in sorted order: two writers with the same subjects cannot deadlock.
    """
    if not events:
        return
    by_subject: dict[str, list[NewEvent]] = {}
    for event in events:
        by_subject.setdefault(event.subject, []).append(event)
    counts = {"subjects": list(by_subject), "counts": [len(news) for news in by_subject.values()]}
    rows: list[tuple[Any, ...]] = []
    for subject, last in (await connection.execute(_COUNT, counts)).all():
        news = by_subject[subject]
        for sequence, event in enumerate(news, last - len(news) + 1):
            data = to_json(event.data).decode()
            rows.append((subject, sequence, str(event.type), event.source, event.time, data))
    names = ("subject", "sequence", "type", "source", "time", "data")
    await connection.execute(_APPEND, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


async def events_after(connection: AsyncConnection, subject: str, sequence: int, limit: int = 500) -> list[Event]:
    """Events of one subject that follow `sequence`, in order."""
    rows = await connection.execute(
        select(outbox)
        .where(outbox.c.subject == subject, outbox.c.sequence > sequence)
        .order_by(outbox.c.sequence)
        .limit(limit)
    )
    return [Event(**row) for row in rows.mappings()]
