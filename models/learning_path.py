"""Topics with their prerequisites, and a learner's way through them (CONTRACT 5)."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from models.activity import Difficulty, Name
from models.contract import Contract

MOST_TOPICS = 1_000
MOST_PREREQUISITES = 20
"""Of one topic."""

TopicState = Literal["done", "ready", "locked"]


class Topic(Contract):
    """Something to learn, and what has to be mastered before."""

    id: Name = Field(description="As events name it.", examples=["recursion"])
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["Recursion"])
    difficulty: Difficulty = Difficulty.MEDIUM
    prerequisites: tuple[Name, ...] = Field(default=(), max_length=MOST_PREREQUISITES, examples=[["functions"]])


class NewTopics(Contract):
    """All topics there are from now on."""

    topics: list[Topic] = Field(max_length=MOST_TOPICS)


class Topics(Contract):
    """All topics."""

    items: tuple[Topic, ...]
    next_cursor: None = None


class PathTopic(Contract):
    """A topic as one learner stands to it."""

    topic: str
    name: str
    state: TopicState
    difficulty: Difficulty
    mastery: float
    """From 0 to 1: the score to expect at a medium challenge."""
    level: str | None
    attempts: int
    prerequisites: tuple[str, ...]
    predicted_success: float
    """From 0 to 1: the score to expect at the topic's difficulty."""
    review_due_at: datetime | None
    """Null before the learner first meets the topic."""


class LearningPath(Contract):
    """All topics in the order to learn them, what to learn next and what to repeat."""

    topics: tuple[PathTopic, ...]
    next: str | None
    """The ready topic whose predicted success is nearest 0.7; null when none is ready."""
    reviews_due: tuple[str, ...]
    """The longest overdue first."""
