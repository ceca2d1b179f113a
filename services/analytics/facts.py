"""What reports are made of. Whoever asks gives a connection of `history.snapshot`: all figures are of one moment."""

from datetime import UTC, date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.analytics import InPeriod, ReportOnCohort, ReportOnLearner
from models.badges import Badge
from models.reports import BadgeCount, CohortFacts, LearnerFacts, ScoredDay
from services.analytics.awards import all_badges, badge_progress, count_awards, list_awards
from services.analytics.custom_badges import load_rules
from services.analytics.everybody import read_cohorts, read_global_metrics, read_trend
from services.analytics.learners import engagement_score, find_learner, progress_metrics
from services.analytics.metrics import read_metrics
from services.analytics.standings import read_percentile, top_performers
from services.analytics.timeframes import Period, period
from services.analytics.timeline import HUNDREDTHS
from services.analytics.topics import read_learning_path

_TREND_DAYS = 57
"""Two times four weeks that are over, and today."""
_SCORED_DAYS = text("""
    SELECT day AS date, challenges, score FROM learner_days
    WHERE owner_id = :owner AND challenges > 0
      AND day BETWEEN coalesce(CAST(:first AS date), '-infinity') AND coalesce(CAST(:last AS date), 'infinity')
    ORDER BY day
""")


async def read_learner_facts(
    connection: AsyncConnection, owner_id: str, wanted: ReportOnLearner, now: datetime
) -> LearnerFacts:
    """Everything a report says about a learner. Raises NotFoundError.

    Scores have to be of today (`refresh_scores`).
    """
    learner = await find_learner(connection, owner_id)
    rules, awards = await load_rules(connection), await list_awards(connection, owner_id)
    days = _period(wanted, learner.today(now))
    share = await read_percentile(connection, learner, now)
    return LearnerFacts(
        user_id=owner_id,
        at=now,
        today=learner.today(now),
        timezone=learner.zone,
        utc_offset=learner.known.offset,
        metrics=await read_metrics(connection, learner, days, share, now),
        scored_days=await _scored_days(connection, owner_id, days),
        engagement=engagement_score(learner, now),
        progress=progress_metrics(learner.known),
        badges=all_badges(rules),
        awards=awards,
        badge_progress=badge_progress(learner, rules, awards),
        learning_path=await read_learning_path(connection, learner, now),
    )


async def read_cohort_facts(connection: AsyncConnection, wanted: ReportOnCohort, now: datetime) -> CohortFacts:
    """Everything a report says about all learners. Scores have to be of today (`refresh_scores`)."""
    today = now.astimezone(UTC).date()
    days, timeframe = _period(wanted, today), wanted.timeframe or "all"
    badges = all_badges(await load_rules(connection))
    return CohortFacts(
        at=now,
        today=today,
        cohorts=await read_cohorts(connection, wanted.by, wanted.periods, today),
        metrics=await read_global_metrics(connection, days, now),
        active_users=await read_trend(connection, "active_users", _TREND_DAYS, today),
        challenges=await read_trend(connection, "challenges", _TREND_DAYS, today),
        by_engagement=await top_performers(connection, "engagement", timeframe, wanted.top, now),
        by_completed=await top_performers(connection, "completed", timeframe, wanted.top, now),
        badges=await _badge_counts(connection, badges, days),
    )


def _period(wanted: InPeriod, today: date) -> Period:
    return period(wanted.timeframe, wanted.first, wanted.last, today)


async def _scored_days(connection: AsyncConnection, owner_id: str, days: Period) -> tuple[ScoredDay, ...]:
    rows = await connection.execute(_SCORED_DAYS, {"owner": owner_id, "first": days.first, "last": days.last})
    return tuple(
        ScoredDay(date=row.date, challenges=row.challenges, score_total=row.score / HUNDREDTHS) for row in rows
    )


async def _badge_counts(connection: AsyncConnection, badges: tuple[Badge, ...], days: Period) -> tuple[BadgeCount, ...]:
    counts = await count_awards(connection, days.first, days.last)
    found = [BadgeCount(badge=badge.id, name=badge.name, awards=counts.get(badge.id, 0)) for badge in badges]
    return tuple(sorted((one for one in found if one.awards), key=lambda one: -one.awards))
