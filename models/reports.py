"""What reports on learners are made of: figures as analytics reads them in one snapshot."""

from datetime import date, datetime

from models.badges import Award, Badge, BadgeProgress
from models.contract import Contract
from models.learning_path import LearningPath
from models.metrics import Cohorts, EngagementScore, GlobalMetrics, ProgressMetrics, TopPerformers, Trend, UserMetrics


class ScoredDay(Contract):
    """Challenges completed on one local day, and their scores added up."""

    date: date
    challenges: int
    score_total: float


class LearnerFacts(Contract):
    """One learner as of a moment."""

    user_id: str
    at: datetime
    today: date
    timezone: str | None
    utc_offset: int
    """Seconds from UTC to the learner's local time, of the last event; what counts without a zone."""
    metrics: UserMetrics
    scored_days: tuple[ScoredDay, ...]
    """Of the same period, those with a challenge."""
    engagement: EngagementScore
    progress: ProgressMetrics
    badges: tuple[Badge, ...]
    awards: tuple[Award, ...]
    badge_progress: tuple[BadgeProgress, ...]
    learning_path: LearningPath


class BadgeCount(Contract):
    """How often a badge was awarded in a period, revoked awards left out."""

    badge: str
    name: str
    awards: int


class CohortFacts(Contract):
    """All learners as of a moment. Names only those who let leaderboards show them."""

    at: datetime
    today: date
    cohorts: Cohorts
    metrics: GlobalMetrics
    active_users: Trend
    """Of 57 days, the last one today: four weeks and the four before."""
    challenges: Trend
    """Of the same days."""
    by_engagement: TopPerformers
    by_completed: TopPerformers
    badges: tuple[BadgeCount, ...]
    """Of the period, those that were awarded, the most frequent first."""
