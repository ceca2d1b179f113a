"""Figures derived from what is known of all learners. Pure."""

from dataclasses import dataclass
from datetime import date, timedelta

from models.metrics import GlobalDay, Trend
from models.reports import CohortFacts
from services.reports.timelines import Unit, put_together

HALF_DAYS = 28
"""Days compared with as many before."""


@dataclass(frozen=True)
class Stretch:
    """A day, week or month, as far as it has begun."""

    label: str
    days: int
    """Days in it up to today; 0 for what is to come."""
    most_active: int
    """Active learners on its best day."""
    active_a_day: float
    """Active learners on the mean of its days."""
    sessions: int
    challenges: int


@dataclass(frozen=True)
class Change:
    """The mean of the last 28 days that are over, after the mean of the 28 before."""

    before: float
    after: float


@dataclass(frozen=True)
class Return:
    """Learners who began in one period, and the share of them that was active in the next one, which is over."""

    period: date
    learners: int
    share: float


@dataclass(frozen=True)
class Figures:
    """What the documents say beyond the facts themselves. Stored with the report as `figures`."""

    unit: Unit
    stretches: tuple[Stretch, ...]
    active_users: Change
    challenges: Change
    returns: tuple[Return, ...]
    """The latest first."""


def derive(facts: CohortFacts) -> Figures:
    """All figures."""
    unit, days = put_together(facts.metrics.by_day)
    return Figures(
        unit=unit,
        stretches=tuple(_stretch(label, found, facts.today) for label, found in days.items()),
        active_users=_change(facts.active_users),
        challenges=_change(facts.challenges),
        returns=_returns(facts),
    )


def _stretch(label: str, days: list[GlobalDay], today: date) -> Stretch:
    begun = sum(1 for day in days if day.date <= today)
    active = [day.active_users for day in days]
    return Stretch(
        label=label,
        days=begun,
        most_active=max(active, default=0),
        active_a_day=sum(active) / begun if begun else 0.0,
        sessions=sum(day.sessions for day in days),
        challenges=sum(day.challenges for day in days),
    )


def _change(trend: Trend) -> Change:
    values = [day.value or 0.0 for day in trend.days if not day.partial][-2 * HALF_DAYS :]
    before, after = values[:-HALF_DAYS], values[-HALF_DAYS:]
    return Change(*(sum(half) / len(half) if half else 0.0 for half in (before, after)))


def _returns(facts: CohortFacts) -> tuple[Return, ...]:
    """Of the cohorts whose second period is over."""
    current = _start(facts.cohorts.by, facts.today)
    return tuple(
        Return(cohort.period, cohort.learners, share)
        for cohort in reversed(facts.cohorts.items)
        if len(cohort.retention) > 1
        and (share := cohort.retention[1]) is not None
        and _next(facts.cohorts.by, cohort.period) < current
    )


def _start(by: str, day: date) -> date:
    return day.replace(day=1) if by == "month" else day - timedelta(days=day.weekday())


def _next(by: str, start: date) -> date:
    return _start(by, start + timedelta(days=32)) if by == "month" else start + timedelta(days=7)
