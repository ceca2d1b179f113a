"""What is known of a learner as three documents. Pure: the same facts and title give the same bytes."""

from pydantic_core import to_jsonable_python

from models.reports import LearnerFacts
from services.reports.documents import Documents, render
from services.reports.learner.figures import Figures, derive
from services.reports.learner.page import PARTS, page_context, strongest
from services.reports.learner.rules import RULES, VOICE, observe
from services.reports.timelines import period_words
from services.reports.wording import counted, decimal, duration, share

ROWS = 20


def write_learner_report(facts: LearnerFacts, title: str | None = None) -> Documents:
    """Render all documents. The title defaults to the learner's id."""
    figures = derive(facts)
    observations = observe(facts, figures)
    parts = facts.engagement.parts.model_dump()
    return render(
        "learner",
        title=title if title and title.strip() else f"Progress of {facts.user_id}",
        headline=write_headline(facts, figures),
        observations=observations,
        rules=RULES,
        voice=VOICE,
        context={
            "facts": facts,
            "metrics": facts.metrics,
            "figures": figures,
            "period": period_words(facts.metrics),
            "parts_of_score": [(name, parts[name], words) for name, words in PARTS.items()],
            "active": [one for one in figures.stretches if one.sessions or one.seconds or one.challenges],
            "topics": strongest(facts.progress.topics),
            "languages": strongest(facts.progress.languages),
            "rows": ROWS,
        },
        page=page_context(facts, figures, observations),
        data={"learner": facts.model_dump(mode="json", by_alias=True), "figures": to_jsonable_python(figures)},
    )


def write_headline(facts: LearnerFacts, figures: Figures) -> str:
    """One sentence: `ada, 2026-03-01 to 2026-03-31: 14 active days, 12 h 05 min; 18 challenges, …; engagement 59`."""
    if not figures.ever_active:
        return f"{facts.user_id}: no activity yet."
    metrics = facts.metrics
    happened = f"{counted(metrics.active_days, 'active day')}, {duration(metrics.session_seconds)} in sessions"
    challenges = counted(metrics.challenges_completed, "challenge")
    if figures.mean_score is not None:
        challenges += f" with a mean score of {decimal(figures.mean_score)}"
    today = f"engagement {facts.engagement.score} of 100"
    if metrics.percentile is not None:
        today += f", above {share(metrics.percentile)} of the other learners"
    return f"{facts.user_id}, {period_words(facts.metrics)}: {happened}; {challenges}; {today}."
