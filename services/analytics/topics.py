"""The topics there are, and a learner's way through them."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.activity import ActivityKind
from models.errors import InvalidInputError
from models.learning_path import LearningPath, NewTopics, Topic, Topics
from models.persistence.audit import record_change
from services.analytics.activities import instant
from services.analytics.history import read_kinds
from services.analytics.learners import Learner
from services.analytics.learning_path import check_topics, in_order, learning_path, reviews

_LOCK = text("LOCK TABLE topics IN EXCLUSIVE MODE")
_CLEAR = text("DELETE FROM topics")
_INSERT = text("""
    INSERT INTO topics (id, name, difficulty, prerequisites)
    VALUES (:id, :name, :difficulty, CAST(:prerequisites AS text[]))
""")
_ALL = text("SELECT id, name, difficulty, prerequisites FROM topics")
_ATTEMPTS = (ActivityKind.COMPLETED, ActivityKind.STUDIED)


async def replace_topics(connection: AsyncConnection, new: NewTopics, actor_id: str) -> Topics:
    """Replace all topics. Raises InvalidInputError with every problem: duplicates, unknown prerequisites, cycles."""
    problems = check_topics(new.topics)
    if problems:
        raise InvalidInputError("These topics cannot be learnt in any order.", problems=problems)
    await connection.execute(_LOCK)
    await connection.execute(_CLEAR)
    if new.topics:
        rows = [{**topic.model_dump(mode="json"), "prerequisites": list(topic.prerequisites)} for topic in new.topics]
        await connection.execute(_INSERT, rows)
    await record_change(connection, actor_id, "topics.replace", "topics", {"topics": len(new.topics)})
    return Topics(items=tuple(in_order(new.topics)))


async def list_topics(connection: AsyncConnection) -> tuple[Topic, ...]:
    """All topics in the order of their prerequisites."""
    rows = await connection.execute(_ALL)
    return tuple(in_order([Topic.model_validate(row._asdict()) for row in rows]))


async def read_learning_path(connection: AsyncConnection, learner: Learner, now: datetime) -> LearningPath:
    """A learner's way through all topics, as of now, in one transaction."""
    attempts: list[tuple[str, int, float | None]] = []
    for row in await read_kinds(connection, learner.owner_id, _ATTEMPTS):
        if row.kind == ActivityKind.COMPLETED:
            attempts += [(topic, instant(row.at), row.data["score"]) for topic in dict.fromkeys(row.data["topics"])]
        else:
            attempts.append((row.data["topic"], instant(row.at), None))
    return learning_path(await list_topics(connection), learner.known.topics, reviews(attempts), now)
