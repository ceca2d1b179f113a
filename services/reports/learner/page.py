"""What only the HTML page of a learner has: charts, tiles and the way to its sections."""

from collections.abc import Sequence
from typing import Any

from models.metrics import SkillMetrics
from models.reports import LearnerFacts
from services.reports.charts import BarChart, ColumnChart, Datum, bar_chart, column_chart
from services.reports.learner.figures import Figures
from services.reports.learner.rules import VOICE
from services.reports.rules import Observation
from services.reports.wording import counted, decimal, duration, number, share, visible

SKILL_ROWS = 20
_FULL_SHARE = 1_000
"""Shares are drawn in thousandths."""
_FULL_SCORE = 100
PARTS = {
    "recency": "how lately the learner was active; halves every 7 days",
    "frequency": "active days among the last 28, of 20",
    "consistency": "weeks with activity among the last 8",
    "performance": "mean score of the last 20 challenges",
}
"""Of the engagement score, and what each measures."""


def page_context(facts: LearnerFacts, figures: Figures, observations: tuple[Observation, ...]) -> dict[str, Any]:
    """Variables of `learner.html.j2` beyond those of all documents."""
    return {
        "charts": {
            "engagement": _engagement(facts, figures),
            "time": _time(figures),
            "challenges": _challenges(figures),
            "scores": _scores(figures),
            "topics": _skills("topics-chart", "Mastery by topic", facts.progress.topics),
            "languages": _skills("languages-chart", "Mastery by language", facts.progress.languages),
            "nearing": _nearing(figures),
        },
        "tiles": _tiles(facts, figures),
        "sections": _sections(facts, figures, observations),
    }


def strongest(skills: Sequence[SkillMetrics]) -> list[SkillMetrics]:
    """Skills as they are shown: the strongest first, the one with more attempts first of equals."""
    return sorted(skills, key=lambda skill: (-skill.mastery, -skill.attempts, skill.name))[:SKILL_ROWS]


def _sections(
    facts: LearnerFacts, figures: Figures, observations: tuple[Observation, ...]
) -> tuple[tuple[str, str], ...]:
    """Anchors and words of the sections that this report has, in the order of the page."""
    sections = (
        ("summary", VOICE.heading, observations),
        ("engagement", "Engagement", figures.ever_active),
        ("activity", "Activity", figures.ever_active),
        ("challenges", "Challenges", facts.metrics.challenges_completed),
        ("mastery", "Mastery", facts.progress.topics or facts.progress.languages),
        ("badges", "Badges", figures.earned or figures.nearing),
        ("path", "Learning path", facts.learning_path.topics),
        ("method", "How to read this", True),
    )
    return tuple((anchor, words) for anchor, words, present in sections if present)


def _tiles(facts: LearnerFacts, figures: Figures) -> tuple[tuple[str, str, str], ...]:
    """Label, figure and what to know about it."""
    metrics, streak = facts.metrics, facts.metrics.streak
    peers = "—" if metrics.percentile is None else f"above {share(metrics.percentile)} of the others"
    freezes = f"; {counted(streak.freezes_held, 'freeze')} held" if streak.freezes_held else ""
    return (
        ("Engagement", number(facts.engagement.score), peers),
        ("Streak", counted(streak.current, "day") if streak.current else "0", f"longest {streak.longest:,}{freezes}"),
        ("Active days", number(metrics.active_days), f"{share(metrics.consistency)} of the days"),
        ("Sessions", number(metrics.sessions), duration(metrics.session_seconds)),
        (
            "Challenges",
            number(metrics.challenges_completed),
            "—" if figures.mean_score is None else f"mean score {decimal(figures.mean_score)}",
        ),
        (
            "Mastery",
            share(facts.progress.mastery) if facts.progress.level else "—",
            visible(facts.progress.level) if facts.progress.level else "—",
        ),
        ("Badges", number(len(figures.earned)), f"of {number(len(facts.badges))}"),
    )


def _engagement(facts: LearnerFacts, figures: Figures) -> BarChart | None:
    if not figures.ever_active:
        return None
    parts = facts.engagement.parts.model_dump()
    return bar_chart(
        "engagement-chart",
        "Parts of the engagement score",
        [_share(name.capitalize(), parts[name], share(parts[name])) for name in PARTS],
        full=_FULL_SHARE,
    )


def _time(figures: Figures) -> ColumnChart | None:
    """Time at work; sessions where all of them are of a moment."""
    if any(stretch.seconds >= 60 for stretch in figures.stretches):  # noqa: PLR2004 - a minute
        title, data = (
            "Minutes in sessions",
            [
                Datum(
                    one.label, int(one.seconds) // 60, f"{duration(one.seconds)} in {counted(one.sessions, 'session')}"
                )
                for one in figures.stretches
            ],
        )
    else:
        title, data = (
            "Sessions",
            [Datum(one.label, one.sessions, counted(one.sessions, "session")) for one in figures.stretches],
        )
    return column_chart("time-chart", f"{title} by {figures.unit}", data)


def _challenges(figures: Figures) -> ColumnChart | None:
    data = [Datum(one.label, one.challenges, counted(one.challenges, "challenge")) for one in figures.stretches]
    return column_chart("challenges-chart", f"Challenges by {figures.unit}", data)


def _scores(figures: Figures) -> ColumnChart | None:
    data = [
        Datum(one.label, 0, "no challenge")
        if one.mean_score is None
        else Datum(one.label, round(one.mean_score), f"mean score {decimal(one.mean_score)}")
        for one in figures.stretches
    ]
    return column_chart("scores-chart", f"Mean score by {figures.unit}", data, full=_FULL_SCORE)


def _skills(chart_id: str, title: str, skills: Sequence[SkillMetrics]) -> BarChart | None:
    data = [
        _share(skill.name, skill.mastery, f"{share(skill.mastery)} after {counted(skill.attempts, 'attempt')}")
        for skill in strongest(skills)
    ]
    return bar_chart(chart_id, title, data, full=_FULL_SHARE)


def _nearing(figures: Figures) -> BarChart | None:
    data = [_share(badge.name, badge.ratio, share(badge.ratio)) for badge in figures.nearing]
    return bar_chart("nearing-chart", "Progress toward badges", data, full=_FULL_SHARE)


def _share(label: str, value: float, detail: str) -> Datum:
    return Datum(label, round(value * _FULL_SHARE), detail, shown=share(value))
