"""What analytics answers: metrics of a learner and of all (CONTRACT 5)."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from models.activity import Difficulty
from models.badges import Award
from models.contract import Contract


class StreakNow(Contract):
    """Active local days in a row as of today."""

    current: int
    longest: int
    frozen_days: int
    """Missed days that freezes have bridged in the current streak."""
    freezes_held: int


class DayMetrics(Contract):
    """One local day."""

    date: date
    sessions: int
    seconds: float
    challenges: int


class UserMetrics(Contract):
    """What a learner did in a timeframe. Days are the learner's local days; `from` and `to` are both included."""

    timeframe: str
    from_: date | None = Field(validation_alias="from_", serialization_alias="from")
    to: date | None
    sessions: int
    session_seconds: float
    average_session_seconds: float
    active_days: int
    activities: dict[str, int]
    """Events by kind."""
    challenges_completed: int
    consistency: float
    """Share of the timeframe's days, up to today, with any event."""
    streak: StreakNow
    percentile: float | None
    """Share of other learners with a strictly lower engagement score; null when alone, and without events."""
    by_day: tuple[DayMetrics, ...]
    """Every day of the timeframe, also those to come; of one of more than ten years only those with an event."""


class EngagementParts(Contract):
    """From 0 to 1."""

    recency: float
    frequency: float
    consistency: float
    performance: float


class EngagementScore(Contract):
    """From 0 to 100, as of the learner's today."""

    score: int
    parts: EngagementParts
    formula_version: int


class SkillMetrics(Contract):
    """Mastery of a topic, a language or all: the score to expect at a medium challenge, from 0 to 1."""

    name: str
    mastery: float
    level: str | None
    attempts: int
    last_at: datetime | None


class ProgressMetrics(Contract):
    """How far a learner has come."""

    challenges_completed: int
    by_difficulty: dict[Difficulty, int]
    mastery: float
    level: str | None
    """Null before the first completed challenge."""
    topics: tuple[SkillMetrics, ...]
    languages: tuple[SkillMetrics, ...]


class GlobalDay(Contract):
    """One day in UTC."""

    date: date
    active_users: int
    sessions: int
    seconds: float
    challenges: int


class Stickiness(Contract):
    """Learners active today, in the last 7 and in the last 30 days, and how many of the last are there today."""

    daily: int
    weekly: int
    monthly: int
    ratio: float | None


class GlobalMetrics(Contract):
    """What all learners did in a timeframe. Days are in UTC."""

    timeframe: str
    from_: date | None = Field(validation_alias="from_", serialization_alias="from")
    to: date | None
    learners: int
    active_users: int
    sessions: int
    session_seconds: float
    average_session_seconds: float
    challenges_completed: int
    events: int
    average_score: float | None
    stickiness: Stickiness
    by_day: tuple[GlobalDay, ...]
    """Every day of the timeframe, also those to come; of one of more than ten years only those with an event."""


class Performer(Contract):
    """A learner's place. Equal values share a rank; who is not listed still takes one."""

    rank: int
    user_id: str
    value: float


class TopPerformers(Contract):
    """The best, or those around the caller."""

    items: tuple[Performer, ...]
    next_cursor: None = None


class TrendDay(Contract):
    """The metric on one day."""

    date: date
    value: float | None
    """Null where there is nothing to take a mean of."""
    partial: bool
    """Whether the day is not over."""


class Trend(Contract):
    """A metric day by day, the last one today."""

    metric: str
    days: tuple[TrendDay, ...]
    slope: float | None
    """Change a day, by least squares over the days that are over; null with fewer than two values."""


class Cohort(Contract):
    """Learners who began in the same period, and the share of them that was active in each period since."""

    period: date
    learners: int
    retention: tuple[float | None, ...]
    """From the first period; null for those after today."""


class Cohorts(Contract):
    """Retention matrix: one row a cohort."""

    by: str
    items: tuple[Cohort, ...]
    next_cursor: None = None


class Achievement(Contract):
    """A milestone in a learner's history."""

    key: str
    name: str
    kind: str
    """`level`, `topic`, `badge` or `workflow`."""
    at: datetime


Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class NewProfile(Contract):
    """Body of `PUT /analytics/user/{id}/profile`. A change of zone leaves past days as they are."""

    timezone: Zone = Field(examples=["Europe/Berlin"])
    locale: Locale | None = Field(default=None, examples=["de"], description="Left out: as it is. Null: none.")
    listed: bool = Field(
        default=True, description="Whether leaderboards show the learner. Left out: as it is, true of a new user."
    )


class Profile(Contract):
    """A learner's profile."""

    user_id: str
    timezone: str | None
    locale: str | None
    listed: bool


class ExportedEvent(Contract):
    """An activity event as it is kept."""

    id: str
    source: str
    kind: str
    at: datetime
    utc_offset: int
    """Seconds from UTC to the learner's local time, which fixed the local day."""
    self_reported: bool
    data: dict[str, JsonValue]


class Export(Contract):
    """Everything that is known of a learner."""

    profile: Profile
    engagement: EngagementScore
    progress: ProgressMetrics
    awards: tuple[Award, ...]
    achievements: tuple[Achievement, ...]
    events: tuple[ExportedEvent, ...]


class Erasing(Contract):
    """Where data of a person who was erased from the database are still to be erased. It is tried until it is done."""

    left: tuple[Literal["temporal", "archive"], ...]
