"""What is known of a busy learner, of an empty platform and of a busy one, for the tests of reports."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from models.badges import BADGES, Award, BadgeProgress
from models.learning_path import LearningPath, PathTopic
from models.metrics import (
    Cohort,
    Cohorts,
    DayMetrics,
    EngagementParts,
    EngagementScore,
    GlobalDay,
    GlobalMetrics,
    Performer,
    ProgressMetrics,
    SkillMetrics,
    Stickiness,
    StreakNow,
    TopPerformers,
    Trend,
    TrendDay,
    UserMetrics,
)
from models.reports import BadgeCount, CohortFacts, LearnerFacts, ScoredDay

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
TODAY = NOW.date()
FIRST = date(2026, 3, 1)


def days_of(first: date, count: int) -> list[date]:
    return [first + timedelta(days=number) for number in range(count)]


def learner_without_events() -> LearnerFacts:
    """What is read of a user who has done nothing yet."""
    return LearnerFacts(
        user_id="ada",
        at=NOW,
        today=TODAY,
        timezone=None,
        utc_offset=0,
        metrics=UserMetrics(
            timeframe="all",
            from_=None,
            to=None,
            sessions=0,
            session_seconds=0.0,
            average_session_seconds=0.0,
            active_days=0,
            activities={},
            challenges_completed=0,
            consistency=0.0,
            streak=StreakNow(current=0, longest=0, frozen_days=0, freezes_held=0),
            percentile=None,
            by_day=(),
        ),
        scored_days=(),
        engagement=EngagementScore(
            score=0,
            parts=EngagementParts(recency=0.0, frequency=0.0, consistency=0.0, performance=0.0),
            formula_version=1,
        ),
        progress=ProgressMetrics(
            challenges_completed=0, by_difficulty={}, mastery=0.0, level=None, topics=(), languages=()
        ),
        badges=BADGES,
        awards=(),
        badge_progress=tuple(
            BadgeProgress(badge=badge.id, current=0, target=1, ratio=0.0, earned=False, missing="1 more")
            for badge in BADGES
        ),
        learning_path=LearningPath(topics=(), next=None, reviews_due=()),
    )


def learner(**fields: Any) -> LearnerFacts:
    """A busy learner in March 2026, with `fields` changed."""
    days = tuple(
        DayMetrics(
            date=day,
            sessions=(day.day * 7) % 4,
            seconds=float((day.day * 7) % 4 * (1_500 + 40 * day.day)),
            challenges=(day.day * 5) % 4 if (day.day * 7) % 4 else 0,
        )
        for day in days_of(FIRST, 31)
    )
    scored = tuple(
        ScoredDay(
            date=day.date, challenges=day.challenges, score_total=float(day.challenges * (60 + day.date.day * 11 % 40))
        )
        for day in days
        if day.challenges
    )
    completed = sum(day.challenges for day in days)
    active = sum(1 for day in days if day.sessions)
    sessions, seconds = sum(day.sessions for day in days), sum(day.seconds for day in days)
    held = {"first-challenge": 2, "speed-demon": 9, "night-owl": 14, "challenge-streak-7": 21}
    known = {
        "timezone": "Europe/Berlin",
        "metrics": UserMetrics(
            timeframe="month",
            from_=FIRST,
            to=TODAY,
            sessions=sessions,
            session_seconds=seconds,
            average_session_seconds=round(seconds / sessions, 3),
            active_days=active,
            activities={"challenge.completed": completed, "session.heartbeat": 120},
            challenges_completed=completed,
            consistency=round(active / 31, 4),
            streak=StreakNow(current=9, longest=17, frozen_days=1, freezes_held=1),
            percentile=0.8125,
            by_day=days,
        ),
        "scored_days": scored,
        "engagement": EngagementScore(
            score=78,
            parts=EngagementParts(recency=1.0, frequency=1.0, consistency=0.625, performance=0.8125),
            formula_version=1,
        ),
        "progress": ProgressMetrics(
            challenges_completed=completed + 12,
            by_difficulty={"easy": 20, "medium": completed - 11, "hard": 3},  # type: ignore[dict-item] # read as such
            mastery=0.71,
            level="intermediate",
            topics=tuple(
                skill(name, mastery, attempts)
                for name, mastery, attempts in (
                    ("arrays", 0.91, 14),
                    ("loops", 0.86, 11),
                    ("recursion", 0.62, 7),
                    ("dynamic programming on trees and other graphs", 0.44, 3),
                    ("グラフ", 0.5, 1),
                )
            ),
            languages=(skill("python", 0.78, 30), skill("go", 0.55, 6)),
        ),
        "awards": tuple(
            award(badge, datetime(2026, 3, day, 23, 30, tzinfo=UTC), number)
            for number, (badge, day) in enumerate(held.items())
        ),
        "badge_progress": tuple(
            BadgeProgress(
                badge=badge.id,
                current=ratio * 10,
                target=10,
                ratio=1.0 if badge.id in held else ratio,
                earned=badge.id in held,
                missing="" if badge.id in held else f"{round(10 - ratio * 10)} more",
            )
            for badge, ratio in zip(BADGES, (1, 1, 0.3, 0.34, 1, 0.8, 0.4, 0, 1, 0, 0.2, 0.3), strict=True)
        ),
        "learning_path": LearningPath(
            topics=(
                path_topic("arrays", "Arrays", "done", 0.91, due=datetime(2026, 4, 20, tzinfo=UTC)),
                path_topic("loops", "Loops", "done", 0.86, due=datetime(2026, 3, 29, tzinfo=UTC)),
                path_topic("recursion", "Recursion", "ready", 0.62, due=datetime(2026, 3, 27, tzinfo=UTC)),
                path_topic("sorting", "Sorting", "ready", 0.5),
                path_topic("graphs", "Graphs", "locked", 0.5),
            ),
            next="recursion",
            reviews_due=("recursion", "loops"),
        ),
    }
    return learner_without_events().model_copy(update=known | fields)


def skill(name: str, mastery: float, attempts: int) -> SkillMetrics:
    level = "advanced" if mastery >= 0.75 else "intermediate" if mastery >= 0.6 else "beginner"
    return SkillMetrics(name=name, mastery=mastery, level=level, attempts=attempts, last_at=NOW)


def award(badge: str, at: datetime, number: int, **fields: Any) -> Award:
    return Award(award_id=f"a{number}", badge=badge, awarded_at=at, event_id=f"e{number}").model_copy(update=fields)


def path_topic(topic: str, name: str, state: Any, mastery: float, due: datetime | None = None) -> PathTopic:
    return PathTopic(
        topic=topic,
        name=name,
        state=state,
        difficulty="medium",  # type: ignore[arg-type] # read as such
        mastery=mastery,
        level=None,
        attempts=0 if due is None else 4,
        prerequisites=(),
        predicted_success=mastery,
        review_due_at=due,
    )


def nobody() -> CohortFacts:
    """What is read of a platform without events."""
    return CohortFacts(
        at=NOW,
        today=TODAY,
        cohorts=Cohorts(by="week", items=()),
        metrics=GlobalMetrics(
            timeframe="all",
            from_=None,
            to=None,
            learners=0,
            active_users=0,
            sessions=0,
            session_seconds=0.0,
            average_session_seconds=0.0,
            challenges_completed=0,
            events=0,
            average_score=None,
            stickiness=Stickiness(daily=0, weekly=0, monthly=0, ratio=None),
            by_day=(),
        ),
        active_users=trend("active_users", [0.0] * 57),
        challenges=trend("challenges", [0.0] * 57),
        by_engagement=TopPerformers(items=()),
        by_completed=TopPerformers(items=()),
        badges=(),
    )


def everybody(**fields: Any) -> CohortFacts:
    """A busy platform in March 2026, with `fields` changed."""
    days = tuple(
        GlobalDay(
            date=day,
            active_users=20 + (day.day * 13) % 17,
            sessions=31 + (day.day * 19) % 23,
            seconds=90_000.0 + day.day * 700,
            challenges=18 + (day.day * 11) % 29,
        )
        for day in days_of(FIRST, 31)
    )
    sessions, seconds = sum(day.sessions for day in days), sum(day.seconds for day in days)
    shares = (1.0, 0.52, 0.44, 0.38, 0.31, 0.33, 0.26, 0.2, 0.0)
    monday = date(2026, 3, 30)
    known = {
        "cohorts": Cohorts(
            by="week",
            items=tuple(
                Cohort(
                    period=monday - timedelta(weeks=weeks),
                    learners=12 + weeks * 5 % 9,
                    retention=(*shares[: weeks + 1], *[None] * (9 - weeks - 1)),
                )
                for weeks in range(8, -1, -1)
            ),
        ),
        "metrics": GlobalMetrics(
            timeframe="month",
            from_=FIRST,
            to=TODAY,
            learners=412,
            active_users=187,
            sessions=sessions,
            session_seconds=seconds,
            average_session_seconds=round(seconds / sessions, 3),
            challenges_completed=sum(day.challenges for day in days),
            events=5_120,
            average_score=76.4312,
            stickiness=Stickiness(daily=31, weekly=96, monthly=187, ratio=0.1658),
            by_day=days,
        ),
        "active_users": trend("active_users", [20.0] * 28 + [26.0] * 28 + [31.0]),
        "challenges": trend("challenges", [30.0] * 28 + [24.0] * 28 + [3.0]),
        "by_engagement": board(("dia", 96), ("ada", 78), ("ben", 78), rank_after=4),
        "by_completed": board(("ada", 54), ("cem", 41)),
        "badges": (
            BadgeCount(badge="first-challenge", name="First challenge", awards=41),
            BadgeCount(badge="night-owl", name="Night owl", awards=17),
            BadgeCount(badge="bug-hunter", name="Bug <hunter>", awards=3),
        ),
    }
    return nobody().model_copy(update=known | fields)


def trend(metric: str, values: Sequence[float]) -> Trend:
    first = TODAY - timedelta(days=len(values) - 1)
    days = tuple(
        TrendDay(date=day, value=value, partial=day == TODAY)
        for day, value in zip(days_of(first, len(values)), values, strict=True)
    )
    return Trend(metric=metric, days=days, slope=0.0)


def board(*places: tuple[str, float], rank_after: int = 0) -> TopPerformers:
    return TopPerformers(
        items=tuple(
            Performer(rank=place + 1 if place < 2 or not rank_after else rank_after, user_id=user, value=float(value))
            for place, (user, value) in enumerate(places)
        )
    )
