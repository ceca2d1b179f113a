"""An analysis as three documents. Pure: the same analysis and title give the same bytes."""

from typing import Any

from pydantic_core import to_jsonable_python

from models.context import Analysis
from services.reports.analysis.figures import COMPLEX, SEVERITIES, TABLE_ROWS, Figures, derive
from services.reports.analysis.page import page_context
from services.reports.analysis.rules import RULES, VOICE, observe
from services.reports.documents import Documents, render
from services.reports.wording import counted, percent, share, visible

FINDING_ROWS = 100
MANIFEST_ROWS = 50
DEPENDENCY_ROWS = 100
PLACES = 3
"""Of a duplicated block that are named."""


def write_analysis_report(analysis: Analysis, title: str | None = None) -> Documents:
    """Render all documents. The title defaults to the repository's name. Takes some 10 ms, and 100 the first time."""
    figures = derive(analysis)
    observations = observe(analysis, figures)
    context = {
        "analysis": analysis,
        "figures": figures,
        "findings": _findings_by_severity(analysis, figures),
        "percent": percent,
        "complex": COMPLEX,
        "rows": TABLE_ROWS,
        "manifest_rows": MANIFEST_ROWS,
        "dependency_rows": DEPENDENCY_ROWS,
        "places": PLACES,
        "share": share,
        "severities": SEVERITIES,
        "findings_listed": min(FINDING_ROWS, len(analysis.findings)),
        "busiest_year": max((year.commits for year in figures.by_year), default=0),
    }
    return render(
        "analysis",
        title=title if title and title.strip() else f"Code review of {visible(analysis.repo.name)}",
        headline=write_headline(analysis, figures),
        observations=observations,
        rules=RULES,
        voice=VOICE,
        context=context,
        page=page_context(analysis, figures, observations),
        data={"analysis": analysis.model_dump(mode="json"), "figures": to_jsonable_python(figures)},
    )


def write_headline(analysis: Analysis, figures: Figures) -> str:
    """One sentence: `psf/requests at 1a2b3c4: 36 files, 11,208 lines, mostly Python; 6,245 commits …; 12 findings`."""
    content = counted(analysis.files, "file")
    if analysis.files:
        content += f", {counted(analysis.lines, 'line')}"
    if len(figures.main_languages) == 1:
        content += f", mostly {visible(figures.main_languages[0])}"
    elif figures.main_languages:
        content += f", {' and '.join(visible(language) for language in figures.main_languages)} first"
    history = counted(analysis.commits, "commit")
    if analysis.commits:
        history += f" by {counted(analysis.contributor_count, 'person', 'people')}"
    findings = counted(analysis.findings_total, "finding")
    place = f"{visible(analysis.repo.name)} at {analysis.repo.commit[:7]}"
    return f"{place}: {content}; {history}; {findings}."


def _findings_by_severity(analysis: Analysis, figures: Figures) -> dict[str, list[Any]]:
    listed = analysis.findings[:FINDING_ROWS]
    groups = {name: [finding for finding in listed if finding.severity == name] for name in figures.severities}
    return {name: group for name, group in groups.items() if group}
