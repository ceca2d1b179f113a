"""What is known of all learners as three documents. Pure: the same facts and title give the same bytes."""

from pydantic_core import to_jsonable_python

from models.reports import CohortFacts
from services.reports.cohort.figures import derive
from services.reports.cohort.page import page_context
from services.reports.cohort.rules import RULES, VOICE, observe
from services.reports.documents import Documents, render
from services.reports.timelines import period_words
from services.reports.wording import counted, decimal, number


def write_cohort_report(facts: CohortFacts, title: str | None = None) -> Documents:
    """Render all documents. The title defaults to the period."""
    figures = derive(facts)
    observations = observe(facts, figures)
    return render(
        "cohort",
        title=title if title and title.strip() else f"All learners by {facts.cohorts.by}",
        headline=write_headline(facts),
        observations=observations,
        rules=RULES,
        voice=VOICE,
        context={
            "facts": facts,
            "metrics": facts.metrics,
            "figures": figures,
            "period": period_words(facts.metrics),
            "periods": max((len(cohort.retention) for cohort in facts.cohorts.items), default=0),
            "active": [one for one in figures.stretches if one.most_active or one.sessions],
            "boards": (("engagement", facts.by_engagement.items), ("completed challenges", facts.by_completed.items)),
        },
        page=page_context(facts, figures, observations),
        data={"cohort": facts.model_dump(mode="json", by_alias=True), "figures": to_jsonable_python(figures)},
    )


def write_headline(facts: CohortFacts) -> str:
    """One sentence: `2026-03-01 to 2026-03-31: 120 of 340 learners active; 902 sessions; 1,204 challenges …`."""
    metrics = facts.metrics
    if not metrics.learners:
        return "No learner has done anything yet."
    active = f"{number(metrics.active_users)} of {counted(metrics.learners, 'learner')} active"
    challenges = counted(metrics.challenges_completed, "challenge")
    if metrics.average_score is not None:
        challenges += f" with a mean score of {decimal(metrics.average_score)}"
    return f"{period_words(metrics)}: {active}; {counted(metrics.sessions, 'session')}; {challenges}."
