"""What others are told of a learner: events of the outbox, in the transaction that caused them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from models.activity import ActivityKind
from models.events import ANALYTICS_SOURCE, EventType, user_subject
from models.persistence.outbox import NewEvent, append_events
from services.analytics.activities import moment
from services.analytics.badge_rules import Rules
from services.analytics.changes import LearnerChange
from services.analytics.mastery import level, mastery
from services.analytics.timeline import progress


@dataclass(frozen=True)
class Notice:
    """One event to be."""

    type: EventType
    owner_id: str
    data: dict[str, Any]


def notices_of(change: LearnerChange, rules: Rules) -> Iterator[Notice]:
    """What is told of new activity: that there was some, progress, and badges that have come nearer."""
    kinds: dict[str, int] = {}
    for event in change.events:
        kinds[event.kind] = kinds.get(event.kind, 0) + 1
    last = change.events[-1]
    yield Notice(
        EventType.ENGAGEMENT_TRACKED,
        change.owner_id,
        {"events": len(change.events), "activities": kinds, "last_at": moment(last.at).isoformat()},
    )
    if ActivityKind.COMPLETED in kinds:
        overall = change.known.overall
        data = {
            "challenges_completed": change.known.challenges,
            "mastery": round(mastery(overall.rating), 4),
            "level": level(overall.rating, overall.attempts),
        }
        yield Notice(EventType.PROGRESS_UPDATED, change.owner_id, data)
    for name, before in change.moved.items():
        rule = rules.by_id[name]
        now = progress(change.known, rule)
        if int(10 * now / rule.target) > int(10 * before / rule.target):
            data = {"badge": name, "current": now, "target": rule.target, "ratio": round(now / rule.target, 4)}
            yield Notice(EventType.BADGE_PROGRESS, change.owner_id, data)


async def send(connection: AsyncConnection, notices: Sequence[Notice], now: datetime) -> None:
    """Append to the outbox."""
    await append_events(
        connection,
        [NewEvent(one.type, user_subject(one.owner_id), now, one.data, ANALYTICS_SOURCE) for one in notices],
    )
