"""Activity events: what learners did, as it is reported (CONTRACT 5)."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from models.contract import Contract
from models.identity import UserId

MOST_EVENTS = 1_000
"""In one request."""
_NAME = r"^[^\x00-\x1f\x7f]{1,100}$"


def _same_name(text: str) -> str:
    """One spelling for names that people write differently: `Python ` and `python` are one language."""
    return text.strip().casefold()


Name = Annotated[str, StringConstraints(pattern=_NAME, strip_whitespace=True), AfterValidator(_same_name)]
"""Of a language, topic or provider."""
Id = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Duration = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
"""Seconds, at most a day."""
Kind = Annotated[
    str,
    StringConstraints(
        pattern=r"^(session\.heartbeat|challenge\.started|challenge\.completed|topic\.studied|provider\.used"
        r"|x-[a-z0-9][a-z0-9._-]{0,61})$"
    ),
]


class ActivityKind(StrEnum):
    """The kinds with a meaning. Any other starts with `x-`."""

    HEARTBEAT = "session.heartbeat"
    STARTED = "challenge.started"
    COMPLETED = "challenge.completed"
    STUDIED = "topic.studied"
    PROVIDER = "provider.used"


class Difficulty(StrEnum):
    """How hard a challenge or a topic is."""

    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
    EXPERT = "expert"


class Heartbeat(Contract):
    """The learner is at work on something."""

    activity: Id = Field(examples=["coding"])
    duration_seconds: Duration | None = None
    """How long before `at` it has lasted."""


class ChallengeStarted(Contract):
    """The learner has begun a challenge."""

    challenge_id: Id
    language: Name | None = None
    difficulty: Difficulty | None = None
    topics: tuple[Name, ...] = Field(default=(), max_length=20)


class ChallengeCompleted(Contract):
    """The learner has completed a challenge. `score` is from 0 to 100."""

    challenge_id: Id = Field(examples=["two-sum"])
    language: Name = Field(examples=["python"])
    difficulty: Difficulty = Field(examples=["easy"])
    topics: tuple[Name, ...] = Field(max_length=20, examples=[["arrays"]])
    score: float = Field(ge=0, le=100, allow_inf_nan=False, examples=[95])
    started_at: AwareDatetime
    provider: Name | None = None


class TopicStudied(Contract):
    """The learner has read or watched something on a topic."""

    topic: Name
    duration_seconds: Duration | None = None


class ProviderUsed(Contract):
    """The learner has asked an AI provider."""

    provider: Name


class ActivityEvent(Contract):
    """One activity event as it is posted. `source` and `id` name it: sent again, it changes nothing."""

    id: Id = Field(examples=["attempt-17"])
    source: Id = Field(default="api", examples=["grader"])
    user_id: UserId | None = Field(default=None, description="Left out: the caller.", examples=["ada"])
    kind: Kind = Field(examples=["challenge.completed"])
    at: AwareDatetime = Field(examples=["2026-11-25T10:00:00+01:00"])
    data: dict[str, Any] = Field(default_factory=dict[str, Any])


class Refused(Contract):
    """An event that was not taken, by its index in what was posted, and why."""

    index: int
    code: str
    message: str


class Ingested(Contract):
    """What became of the events that were posted."""

    accepted: int
    duplicate: int
    refused: tuple[Refused, ...] = ()


DATA: dict[str, type[BaseModel]] = {
    ActivityKind.HEARTBEAT: Heartbeat,
    ActivityKind.STARTED: ChallengeStarted,
    ActivityKind.COMPLETED: ChallengeCompleted,
    ActivityKind.STUDIED: TopicStudied,
    ActivityKind.PROVIDER: ProviderUsed,
}
"""What each kind carries. Kinds that start with `x-` carry anything small."""

Timeframe = Literal["day", "week", "month", "all"]
