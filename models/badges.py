"""Badges by data: a rule is a row of this table, or of the one that admins fill."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from models.activity import ActivityKind, Kind
from models.contract import Contract

BadgeId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
PROGRESS = "progress"
"""The one badge id that a path takes."""


class Aggregate(StrEnum):
    """How matching events count."""

    COUNT = "count"
    """Matching events."""
    DISTINCT = "distinct"
    """Different values of `field` among them."""
    MAX = "max"
    """The largest value of `field`."""
    STREAK = "streak"
    """Consecutive local days with one; freezes do not count."""
    SLIDING = "sliding"
    """The most within any `window_seconds`, both ends included."""
    FIRST = "first"
    """Whether there is one."""


class Operator(StrEnum):
    """How a filter compares."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    BETWEEN = "between"
    """From the first value to before the second; of times of day, also over midnight."""


Field_ = Annotated[
    str, StringConstraints(pattern=r"^(data\.[A-Za-z0-9_-]{1,64}|elapsed_seconds|local_time|local_date|weekday)$")
]


class Filter(Contract):
    """What an event must be to match.

    Fields: `data.<name>`, `elapsed_seconds` (`at` minus `data.started_at`), `local_time` (`HH:MM:SS`), `local_date`
    (`YYYY-MM-DD`), `weekday` (1 is Monday).
    """

    field: Field_ = Field(examples=["data.score"])
    op: Operator = Field(examples=["ge"])
    value: JsonValue = Field(examples=[90])

    @model_validator(mode="after")
    def _value_fits(self) -> "Filter":
        many = self.op in {Operator.IN, Operator.BETWEEN}
        if many != isinstance(self.value, list):
            raise ValueError(f"{self.op} takes {'a list' if many else 'a single value'}")
        values: Any = self.value if isinstance(self.value, list) else [self.value]
        if self.op is Operator.BETWEEN and len(values) != 2:  # noqa: PLR2004 - from and to
            raise ValueError("between takes two values: from, and before")
        if any(isinstance(value, (list, dict)) or value is None for value in values):
            raise ValueError("a filter compares with strings, numbers or booleans")
        if len(values) > 100:  # noqa: PLR2004 - as many as anybody lists
            raise ValueError("a filter takes up to 100 values")
        return self


class Rule(Contract):
    """When a badge is earned."""

    kinds: tuple[Kind, ...] = Field(default=(), max_length=20, description="Kinds of events; empty: all.")
    where: tuple[Filter, ...] = Field(default=(), max_length=10)
    aggregate: Aggregate
    field: Field_ | None = Field(default=None, description="Of distinct and max.")
    threshold: float = Field(default=1, gt=0, le=100_000, allow_inf_nan=False)
    window_seconds: float | None = Field(default=None, gt=0, le=366 * 86_400, description="Of sliding.")

    @model_validator(mode="after")
    def _parts_fit(self) -> "Rule":
        needs_field = self.aggregate in {Aggregate.DISTINCT, Aggregate.MAX}
        if needs_field != (self.field is not None):
            raise ValueError(f"{self.aggregate} {'needs a' if needs_field else 'takes no'} field")
        is_sliding = self.aggregate is Aggregate.SLIDING
        if is_sliding != (self.window_seconds is not None):
            raise ValueError(f"{self.aggregate} {'needs' if is_sliding else 'takes no'} window_seconds")
        if self.aggregate is not Aggregate.MAX and self.threshold != int(self.threshold):
            raise ValueError(f"the threshold of {self.aggregate} is a whole number")
        if self.aggregate is Aggregate.FIRST and self.threshold != 1:
            raise ValueError("the threshold of first is 1")
        if self.aggregate in {Aggregate.DISTINCT, Aggregate.SLIDING, Aggregate.STREAK} and self.threshold > 1_000:  # noqa: PLR2004 - what a learner's state holds
            raise ValueError(f"the threshold of {self.aggregate} is at most 1,000")
        return self


class NewBadge(Contract):
    """Body of `POST /analytics/badges`. `analytics.try-badge` says beforehand who would earn it."""

    id: BadgeId = Field(examples=["bug-hunter"])
    name: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["Bug hunter"])
    description: str = Field(
        default="", max_length=500, pattern=r"^[^\x00]*$", examples=["Complete ten debugging challenges."]
    )
    rule: Rule
    repeatable: bool = False


class Badge(Contract):
    """A badge as it is listed."""

    id: str
    name: str
    description: str
    rule: Rule
    repeatable: bool = False
    custom: bool = False
    version: int = 0
    """0 for the platform's own; custom ones are numbered as they are made."""


class Award(Contract):
    """A badge that a learner holds, or has held."""

    award_id: str
    badge: str
    awarded_at: datetime
    """When the event happened that earned it."""
    event_id: str | None
    """None when it was awarded by hand."""
    revoked: bool = False
    revoked_at: datetime | None = None
    reason: str | None = None
    """Why it was revoked, or awarded by hand."""


class BadgeProgress(Contract):
    """How far a learner is toward a badge."""

    badge: str
    current: float
    target: float
    ratio: float
    earned: bool
    missing: str
    """What is missing, in words; empty when it is earned."""


class Eligibility(Contract):
    """Whether a learner has done what a badge asks for."""

    badge: str
    eligible: bool
    """Whether the events qualify, also when it is awarded already."""
    awarded: bool
    current: float
    target: float
    ratio: float
    missing: str


class AwardByHand(Contract):
    """Body of `POST …/user/{id}/badges/{badge}`."""

    reason: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$", examples=["Helped three others."])
    at: AwareDatetime | None = None


class Revocation(Contract):
    """Body of `DELETE /analytics/awards/{award_id}`."""

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$", examples=["The code was copied."])


def _completed(aggregate: Aggregate, threshold: float = 1, **parts: Any) -> Rule:
    return Rule(kinds=(ActivityKind.COMPLETED,), aggregate=aggregate, threshold=threshold, **parts)


def _where(field: str, op: Operator, value: JsonValue) -> tuple[Filter, ...]:
    return (Filter(field=field, op=op, value=value),)


def _badge(badge_id: str, name: str, description: str, rule: Rule) -> Badge:
    return Badge(id=badge_id, name=name, description=description, rule=rule)


BADGES: tuple[Badge, ...] = (
    _badge("first-challenge", "First challenge", "Complete a challenge.", _completed(Aggregate.FIRST)),
    _badge(
        "challenge-streak-7",
        "Seven days",
        "Complete a challenge on 7 days in a row.",
        _completed(Aggregate.STREAK, 7),
    ),
    _badge(
        "challenge-streak-30",
        "Thirty days",
        "Complete a challenge on 30 days in a row.",
        _completed(Aggregate.STREAK, 30),
    ),
    _badge(
        "code-master",
        "Code master",
        "Complete 100 different challenges.",
        _completed(Aggregate.DISTINCT, 100, field="data.challenge_id"),
    ),
    _badge(
        "speed-demon",
        "Speed demon",
        "Complete a challenge in less than two minutes.",
        _completed(Aggregate.FIRST, where=_where("elapsed_seconds", Operator.LT, 120)),
    ),
    _badge(
        "quality-focus",
        "Quality focus",
        "Score 90 or more on 5 different challenges.",
        _completed(Aggregate.DISTINCT, 5, field="data.challenge_id", where=_where("data.score", Operator.GE, 90)),
    ),
    _badge(
        "language-polyglot",
        "Polyglot",
        "Complete challenges in 5 languages.",
        _completed(Aggregate.DISTINCT, 5, field="data.language"),
    ),
    _badge(
        "provider-switcher",
        "Provider switcher",
        "Use 3 AI providers.",
        Rule(
            kinds=(ActivityKind.PROVIDER, ActivityKind.COMPLETED),
            aggregate=Aggregate.DISTINCT,
            threshold=3,
            field="data.provider",
        ),
    ),
    _badge(
        "night-owl",
        "Night owl",
        "Complete a challenge between 20:00 and 06:00.",
        _completed(Aggregate.FIRST, where=_where("local_time", Operator.BETWEEN, ["20:00:00", "06:00:00"])),
    ),
    _badge(
        "early-bird",
        "Early bird",
        "Complete a challenge before 08:00.",
        _completed(Aggregate.FIRST, where=_where("local_time", Operator.LT, "08:00:00")),
    ),
    _badge(
        "power-hour",
        "Power hour",
        "Complete 10 challenges within 60 minutes.",
        _completed(Aggregate.SLIDING, 10, window_seconds=3_600),
    ),
    _badge(
        "consistency-king",
        "Consistency king",
        "Be active on 30 days in a row.",
        Rule(aggregate=Aggregate.STREAK, threshold=30),
    ),
)
"""The twelve of CONTRACT 5. Times are local to the learner."""
