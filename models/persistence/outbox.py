"""Writing events in the transaction of the change they report (CONTRACT 10, TRAPS 17)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.events import Event
from models.persistence.tables import outbox, outbox_subjects


@dataclass(frozen=True)
class NewEvent:
    """An event before it has its place in its subject's sequence."""

    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    source: str


async def append_events(connection: AsyncConnection, events: Sequence[NewEvent]) -> None:
    """Append in order. The subject's row is locked until commit, so its sequence has no gap and no late comer.

    Subjects are locked in sorted order: two writers with the same subjects cannot deadlock.
    """
    by_subject: dict[str, list[NewEvent]] = {}
    for event in events:
        by_subject.setdefault(event.subject, []).append(event)
    rows: list[dict[str, Any]] = []
    for subject in sorted(by_subject):
        news = by_subject[subject]
        counter = upsert(outbox_subjects).values(subject=subject, last_sequence=len(news))
        last = await connection.scalar(
            counter.on_conflict_do_update(
                index_elements=["subject"],
                set_={"last_sequence": outbox_subjects.c.last_sequence + counter.excluded.last_sequence},
            ).returning(outbox_subjects.c.last_sequence)
        )
        assert last is not None  # noqa: S101 - an upsert with RETURNING always returns its row
        for sequence, event in enumerate(news, last - len(news) + 1):
            rows.append({**vars(event), "sequence": sequence})
    if rows:
        await connection.execute(insert(outbox), rows)


async def events_after(connection: AsyncConnection, subject: str, sequence: int, limit: int = 500) -> list[Event]:
    """Events of one subject that follow `sequence`, in order."""
    rows = await connection.execute(
        select(outbox)
        .where(outbox.c.subject == subject, outbox.c.sequence > sequence)
        .order_by(outbox.c.sequence)
        .limit(limit)
    )
    return [Event(**row) for row in rows.mappings()]
