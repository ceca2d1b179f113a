"""Figures derived from what is known of a learner. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from models.learning_path import PathTopic
from models.metrics import DayMetrics
from models.reports import LearnerFacts, ScoredDay
from services.reports.timelines import Unit, label, put_together

NEARING = 5
"""Badges shown that are not earned yet."""


@dataclass(frozen=True)
class Stretch:
    """A day, week or month."""

    label: str
    """`2024-03-05` of a day, the Monday of a week, `2024-03` of a month."""
    sessions: int
    seconds: float
    challenges: int
    mean_score: float | None


@dataclass(frozen=True)
class EarnedBadge:
    """A badge that the learner holds."""

    name: str
    on: date
    """The learner's local day."""
    by_hand: bool


@dataclass(frozen=True)
class NearingBadge:
    """A badge that is begun and not earned."""

    name: str
    ratio: float
    missing: str


@dataclass(frozen=True)
class DueTopic:
    """A topic to be repeated."""

    name: str
    since: date


@dataclass(frozen=True)
class Figures:
    """What the documents say beyond the facts themselves. Stored with the report as `figures`."""

    ever_active: bool
    unit: Unit
    stretches: tuple[Stretch, ...]
    mean_score: float | None
    """Of the challenges of the period."""
    earned: tuple[EarnedBadge, ...]
    nearing: tuple[NearingBadge, ...]
    """The nearest first."""
    next: PathTopic | None
    due: tuple[DueTopic, ...]
    """The longest overdue first."""
    ready: tuple[PathTopic, ...]
    done: tuple[PathTopic, ...]


def derive(facts: LearnerFacts) -> Figures:
    """All figures."""
    path = facts.learning_path
    topics = {topic.topic: topic for topic in path.topics}
    zone = _zone(facts)
    unit, days = put_together(facts.metrics.by_day)
    names = {badge.id: badge.name for badge in facts.badges}
    begun = [one for one in facts.badge_progress if one.ratio > 0 and not one.earned]
    return Figures(
        ever_active=facts.metrics.streak.longest > 0,
        unit=unit,
        stretches=_stretches(unit, days, facts.scored_days),
        mean_score=_mean(facts.scored_days),
        earned=tuple(
            EarnedBadge(
                names.get(award.badge, award.badge), _day(award.awarded_at, zone), by_hand=award.event_id is None
            )
            for award in facts.awards
            if not award.revoked
        ),
        nearing=tuple(
            NearingBadge(names.get(one.badge, one.badge), one.ratio, one.missing)
            for one in sorted(begun, key=lambda one: -one.ratio)[:NEARING]
        ),
        next=topics.get(path.next or ""),
        due=tuple(
            DueTopic(topics[topic].name, _day(at, zone))
            for topic in path.reviews_due
            if (at := topics[topic].review_due_at) is not None
        ),
        ready=tuple(topic for topic in path.topics if topic.state == "ready"),
        done=tuple(topic for topic in path.topics if topic.state == "done"),
    )


def _stretches(unit: Unit, days: dict[str, list[DayMetrics]], scored: tuple[ScoredDay, ...]) -> tuple[Stretch, ...]:
    scores: dict[str, list[ScoredDay]] = {}
    for day in scored:
        scores.setdefault(label(unit, day.date), []).append(day)
    return tuple(
        Stretch(
            label=name,
            sessions=sum(day.sessions for day in found),
            seconds=sum(day.seconds for day in found),
            challenges=sum(day.challenges for day in found),
            mean_score=_mean(scores.get(name, ())),
        )
        for name, found in days.items()
    )


def _mean(days: Sequence[ScoredDay]) -> float | None:
    challenges = sum(day.challenges for day in days)
    return sum(day.score_total for day in days) / challenges if challenges else None


def _zone(facts: LearnerFacts) -> tzinfo:
    return ZoneInfo(facts.timezone) if facts.timezone else timezone(timedelta(seconds=facts.utc_offset))


def _day(at: datetime, zone: tzinfo) -> date:
    return at.astimezone(zone).date()
