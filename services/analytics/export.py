"""Everything that is known of a learner, for the learner."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.metrics import Export, ExportedEvent, Profile
from services.analytics.awards import list_achievements, list_awards
from services.analytics.history import read_stored
from services.analytics.learners import engagement_score, find_learner, progress_metrics

_PROFILE = text("SELECT id AS user_id, timezone, locale, listed FROM users WHERE id = :owner")
_EXPORTED = tuple(ExportedEvent.model_fields)


async def export_learner(connection: AsyncConnection, owner_id: str, now: datetime) -> Export:
    """A learner's data, in one transaction. Raises NotFoundError."""
    learner = await find_learner(connection, owner_id)
    profile = (await connection.execute(_PROFILE, {"owner": owner_id})).one()
    events = await read_stored(connection, [owner_id])
    return Export(
        profile=Profile.model_validate(profile._asdict()),
        engagement=engagement_score(learner, now),
        progress=progress_metrics(learner.known),
        awards=await list_awards(connection, owner_id),
        achievements=await list_achievements(connection, owner_id),
        events=tuple(ExportedEvent(**{name: getattr(event, name) for name in _EXPORTED}) for event in events),
    )
