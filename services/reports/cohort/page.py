"""What only the HTML page on all learners has: charts, tiles and the way to its sections."""

from typing import Any

from models.reports import CohortFacts
from services.reports.charts import BarChart, ColumnChart, Datum, bar_chart, column_chart
from services.reports.cohort.figures import Figures
from services.reports.cohort.rules import VOICE
from services.reports.rules import Observation
from services.reports.wording import counted, decimal, duration, number, share


def page_context(facts: CohortFacts, figures: Figures, observations: tuple[Observation, ...]) -> dict[str, Any]:
    """Variables of `cohort.html.j2` beyond those of all documents."""
    return {
        "charts": {
            "active": _active(figures),
            "challenges": _challenges(figures),
            "badges": _badges(facts),
        },
        "tiles": _tiles(facts),
        "sections": _sections(facts, observations),
        "shade": shade,
    }


def shade(value: float) -> int:
    """Which of ten shades a share from 0 to 1 has; 0 only for none."""
    return 0 if value <= 0 else max(1, round(value * 9))


def _sections(facts: CohortFacts, observations: tuple[Observation, ...]) -> tuple[tuple[str, str], ...]:
    """Anchors and words of the sections that this report has, in the order of the page."""
    sections = (
        ("summary", VOICE.heading, observations),
        ("retention", "Retention", facts.metrics.learners),
        ("active", "Active learners", facts.metrics.learners),
        ("challenges", "Challenges", facts.metrics.challenges_completed),
        ("top", "Top performers", facts.by_engagement.items or facts.by_completed.items),
        ("badges", "Badges", facts.badges),
        ("method", "How to read this", True),
    )
    return tuple((anchor, words) for anchor, words, present in sections if present)


def _tiles(facts: CohortFacts) -> tuple[tuple[str, str, str], ...]:
    """Label, figure and what to know about it."""
    metrics, known = facts.metrics, facts.metrics.stickiness
    return (
        ("Learners", number(metrics.learners), "with any activity so far"),
        ("Active", number(metrics.active_users), "in the period"),
        ("Sessions", number(metrics.sessions), duration(metrics.session_seconds)),
        (
            "Challenges",
            number(metrics.challenges_completed),
            "—" if metrics.average_score is None else f"mean score {decimal(metrics.average_score)}",
        ),
        (
            "Stickiness",
            "—" if known.ratio is None else share(known.ratio),
            f"{number(known.daily)} today of {number(known.monthly)} in 30 days",
        ),
        ("Badges", number(sum(badge.awards for badge in facts.badges)), "awarded in the period"),
    )


def _active(figures: Figures) -> ColumnChart | None:
    if figures.unit == "day":
        data = [Datum(one.label, one.most_active, counted(one.most_active, "learner")) for one in figures.stretches]
        return column_chart("active-chart", "Active learners by day", data)
    data = [
        Datum(one.label, round(one.active_a_day), f"{decimal(one.active_a_day)} learners a day")
        for one in figures.stretches
    ]
    return column_chart("active-chart", f"Active learners a day, by {figures.unit}", data)


def _challenges(figures: Figures) -> ColumnChart | None:
    data = [Datum(one.label, one.challenges, counted(one.challenges, "challenge")) for one in figures.stretches]
    return column_chart("challenges-chart", f"Challenges by {figures.unit}", data)


def _badges(facts: CohortFacts) -> BarChart | None:
    data = [Datum(badge.name, badge.awards, counted(badge.awards, "award")) for badge in facts.badges]
    return bar_chart("badges-chart", "Badges awarded", data)
