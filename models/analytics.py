"""Contracts of the analytics actions. Who may do what is as in the routes: learners see and report themselves only."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from models.actions import ActionSpec, Timeout
from models.activity import Difficulty, Id, Name, Timeframe
from models.badges import Award, AwardByHand, BadgeId, Eligibility, Rule
from models.context import Analysis
from models.contract import Contract
from models.identity import Role, UserId
from models.metrics import Trend, UserMetrics

_ADMINS = frozenset({Role.ADMIN})
Month = Annotated[str, StringConstraints(pattern=r"^(old|[0-9]{4}-(0[1-9]|1[0-2]))$")]
"""Such as `2024-03`; `old` is everything before 2000."""
AnyText = Annotated[str, StringConstraints(pattern=r"^[^\x00]{1,200}$")]


class OfUser(Contract):
    """Something about one user."""

    user_id: UserId | None = None
    """Left out: whom the run acts as."""


class InPeriod(Contract):
    """A calendar period, or the days from `first` to `last`, both included; everything without either."""

    timeframe: Timeframe | None = None
    first: date | None = None
    """With `last`, in place of a timeframe."""
    last: date | None = None

    @model_validator(mode="after")
    def _one_period(self) -> Self:
        if self.timeframe is not None and (self.first or self.last):
            msg = "give either timeframe, or first and last"
            raise ValueError(msg)
        if self.first and self.last and self.last < self.first:
            msg = "last is before first"
            raise ValueError(msg)
        return self


class GetUserMetrics(OfUser, InPeriod):
    """Which metrics."""


class ReportOnLearner(GetUserMetrics):
    """What a learner did in a period of local days, and how the learner stands today."""


class ReportOnCohort(InPeriod):
    """What all learners did in a period of days in UTC, and who came back of those that began together."""

    by: Literal["week", "month"] = "week"
    """Learners who began in the same one are a cohort."""
    periods: int = Field(default=12, ge=1, le=60)
    """So many weeks or months, up to the current one."""
    top: int = Field(default=10, ge=0, le=200)
    """Rows of each leaderboard."""


_SUBJECTS = ("analysis", "learner", "cohort")


def _say_one_subject(schema: JsonDict) -> None:
    """Add to a JSON Schema that exactly one subject is there, and none of them null."""
    properties: Any = schema["properties"]
    for name in _SUBJECTS:
        given, _null = properties[name].pop("anyOf")
        properties[name] |= given
        del properties[name]["default"]
    schema["oneOf"] = [{"required": [name]} for name in _SUBJECTS]


class GenerateReport(Contract):
    """What to report on: exactly one of `analysis`, `learner` and `cohort`."""

    model_config = ConfigDict(json_schema_extra=_say_one_subject)

    analysis: Analysis | None = None
    """A repository, as `context.analyze` found it."""
    learner: ReportOnLearner | None = Field(default=None, examples=[{"timeframe": "month"}])
    cohort: ReportOnCohort | None = Field(default=None, examples=[{"by": "week", "periods": 12}])
    title: str | None = Field(default=None, max_length=200)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        named = [name for name in _SUBJECTS if getattr(self, name) is not None]
        if len(named) != 1:
            msg = f"name exactly one of analysis, learner and cohort; there is {' and '.join(named) or 'none'}"
            raise ValueError(msg)
        return self


class Report(Contract):
    """A stored report. Its documents are read at `GET /api/v1/reports/{id}`."""

    id: str
    title: str
    headline: str
    """One sentence with the figures that matter."""
    url: str
    """Path of the report on this platform's API."""
    formats: tuple[str, ...]
    created_at: datetime


class TrackEngagement(OfUser):
    """A learner was at work on something."""

    activity: Id
    duration_seconds: float | None = Field(default=None, ge=0, le=86_400, allow_inf_nan=False)
    at: AwareDatetime | None = None
    """Left out: now."""


class TrackProgress(OfUser):
    """A learner has completed a challenge, as a grader found."""

    challenge_id: Id
    language: Name
    difficulty: Difficulty
    topics: tuple[Name, ...] = Field(max_length=20)
    score: float = Field(ge=0, le=100, allow_inf_nan=False)
    started_at: AwareDatetime
    provider: Name | None = None
    at: AwareDatetime | None = None
    """Left out: now."""


class Tracked(Contract):
    """Whether the event was new: once for each step, however often it is tried."""

    event_id: str
    accepted: bool


class RecordAchievement(Contract):
    """A milestone of a learner."""

    user_id: UserId
    key: Name
    """Names it: recorded again, nothing changes."""
    name: AnyText


class Recorded(Contract):
    """Whether the milestone was new."""

    key: str
    new: bool


class GetTrends(Contract):
    """Which trend: of a user, or of all."""

    metric: Literal["sessions", "seconds", "active_users", "challenges", "score"] = "sessions"
    days: int = Field(default=30, ge=1, le=400)
    user_id: UserId | None = None
    """Left out: of all learners."""


class AwardBadge(AwardByHand):
    """Which badge, to whom."""

    user_id: UserId
    badge: BadgeId


class CheckEligibility(OfUser):
    """Which badge."""

    badge: BadgeId


class Recompute(Contract):
    """Whether to repair what differs, or only to tell."""

    repair: bool = True


class Recomputed(Contract):
    """What was compared with the events, and what differed."""

    learners: int
    events: int
    differences_total: int
    differences: tuple[str, ...]
    """The first hundred."""
    repaired: bool


class BeginDay(Contract):
    """Nothing to say."""


class DayBegun(Contract):
    """What was done for the day."""

    scores: int
    """Learners who got the score of their new day."""
    standings: int
    """Rows of periods that are over."""


class BackFillBadges(Contract):
    """Nothing to say: every badge that has not looked at a learner yet does."""


class BackFilled(Contract):
    """How many learners were looked at, and how many awards were new. Nobody was told."""

    learners: int
    awards: int


class TryBadge(Contract):
    """The rule of a badge that is thought of."""

    rule: Rule


class WouldEarn(Contract):
    """Who would earn the badge now, and since when."""

    learners: int
    would_earn: int
    examples: dict[str, datetime]
    """The first hundred by user."""


class ArchiveEvents(Contract):
    """Nothing to say: every month that is old enough becomes a file."""


class EventsArchived(Contract):
    """Months that became files, each with the events its file has."""

    months: dict[str, int]


class RestoreArchive(Contract):
    """Which month to put back."""

    month: Month


class ArchiveRestored(Contract):
    """How many events are back in the table, and until when they stay there."""

    month: str
    rows: int
    until: datetime


class ArchivedMonth(Contract):
    """A month of activity events that is a file in the archive's folder."""

    month: str
    file: str
    rows: int
    bytes: int
    sha256: str
    created_at: datetime


class FinishErasures(Contract):
    """Nothing to say: every erasure that is not finished is tried."""


class ErasuresFinished(Contract):
    """How many are finished, and how many still are not."""

    finished: int
    left: int


GENERATE_REPORT = ActionSpec(
    service="analytics",
    name="generate-report",
    summary="Write and store a report on a code analysis, a learner or all learners, as Markdown, HTML and JSON",
    input=GenerateReport,
    result=Report,
    timeout=Timeout(start_to_close=120.0),
)
TRACK_ENGAGEMENT = ActionSpec(
    service="analytics",
    name="track-engagement",
    summary="Report that a learner was at work on something",
    input=TrackEngagement,
    result=Tracked,
)
TRACK_PROGRESS = ActionSpec(
    service="analytics",
    name="track-progress",
    summary="Report that a learner has completed a challenge",
    input=TrackProgress,
    result=Tracked,
    roles=_ADMINS,
)
RECORD_ACHIEVEMENT = ActionSpec(
    service="analytics",
    name="record-achievement",
    summary="Record a milestone of a learner",
    input=RecordAchievement,
    result=Recorded,
    roles=_ADMINS,
)
GET_USER_METRICS = ActionSpec(
    service="analytics",
    name="get-user-metrics",
    summary="Read what a learner did in a timeframe",
    input=GetUserMetrics,
    result=UserMetrics,
    touches_nothing=True,
)
GET_TRENDS = ActionSpec(
    service="analytics",
    name="get-trends",
    summary="Read a metric day by day, of a learner or of all",
    input=GetTrends,
    result=Trend,
    touches_nothing=True,
)
AWARD_BADGE = ActionSpec(
    service="analytics",
    name="award-badge",
    summary="Award a badge by hand",
    input=AwardBadge,
    result=Award,
    roles=_ADMINS,
)
CHECK_ELIGIBILITY = ActionSpec(
    service="analytics",
    name="check-eligibility",
    summary="Check whether what a learner has done qualifies for a badge",
    input=CheckEligibility,
    result=Eligibility,
    touches_nothing=True,
)
RECOMPUTE = ActionSpec(
    service="analytics",
    name="recompute",
    summary="Compare all metrics with the events they follow from, and repair them",
    input=Recompute,
    result=Recomputed,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=6 * 3_600.0, heartbeat=60.0),
)
BEGIN_DAY = ActionSpec(
    service="analytics",
    name="begin-day",
    summary="Make partitions ahead, bring scores to the day and drop standings of periods that are over",
    input=BeginDay,
    result=DayBegun,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=3_600.0),
)
BACK_FILL_BADGES = ActionSpec(
    service="analytics",
    name="back-fill-badges",
    summary="Let new badges look at what learners have done before, telling nobody",
    input=BackFillBadges,
    result=BackFilled,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=6 * 3_600.0, heartbeat=60.0),
)
TRY_BADGE = ActionSpec(
    service="analytics",
    name="try-badge",
    summary="Find out who would earn a badge, without making it",
    input=TryBadge,
    result=WouldEarn,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=3_600.0, heartbeat=60.0),
    touches_nothing=True,
)

ARCHIVE = ActionSpec(
    service="analytics",
    name="archive",
    summary="Make files of months of events that are old enough",
    input=ArchiveEvents,
    result=EventsArchived,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=6 * 3_600.0, heartbeat=60.0),
)
RESTORE_ARCHIVE = ActionSpec(
    service="analytics",
    name="restore-archive",
    summary="Put an archived month of events back into the database",
    input=RestoreArchive,
    result=ArchiveRestored,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=3_600.0, heartbeat=60.0),
)
FINISH_ERASURES = ActionSpec(
    service="analytics",
    name="finish-erasures",
    summary="Erase people who are erased from the database also from Temporal and the archive",
    input=FinishErasures,
    result=ErasuresFinished,
    roles=_ADMINS,
    timeout=Timeout(start_to_close=3_600.0, heartbeat=60.0),
)

ACTIONS = (
    GENERATE_REPORT,
    TRACK_ENGAGEMENT,
    TRACK_PROGRESS,
    RECORD_ACHIEVEMENT,
    GET_USER_METRICS,
    GET_TRENDS,
    AWARD_BADGE,
    CHECK_ELIGIBILITY,
    RECOMPUTE,
    BEGIN_DAY,
    BACK_FILL_BADGES,
    TRY_BADGE,
    ARCHIVE,
    RESTORE_ARCHIVE,
    FINISH_ERASURES,
)
