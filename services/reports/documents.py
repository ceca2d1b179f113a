"""An analysis as three documents. Pure: the same analysis and title give the same bytes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic_core import to_jsonable_python

from models.context import Analysis
from services.reports import wording
from services.reports.figures import COMPLEX, SEVERITIES, TABLE_ROWS, Figures, derive
from services.reports.formats import CONTENT_SECURITY_POLICY
from services.reports.observations import RULES, observe
from services.reports.page import page_context
from services.reports.wording import counted, visible

DATA_VERSION = 1
"""Shape of the JSON data; raised when a key changes its meaning."""
FINDING_ROWS = 100
MANIFEST_ROWS = 50


@dataclass(frozen=True)
class Documents:
    """A report before it is stored."""

    title: str
    headline: str
    markdown: str
    html: str
    data: dict[str, Any]
    """`version`, `title`, `headline`, `analysis`, `figures`, `observations`; storable as JSONB."""


def write_documents(analysis: Analysis, title: str | None = None) -> Documents:
    """Render all documents. The title defaults to the repository's name. Takes some 10 ms, and 100 the first time."""
    figures = derive(analysis)
    shown_title = visible(title) if title and title.strip() else f"Code review of {visible(analysis.repo.name)}"
    headline = write_headline(analysis, figures)
    observations = observe(analysis, figures)
    context = {
        "title": shown_title,
        "headline": headline,
        "analysis": analysis,
        "figures": figures,
        "observations": observations,
        "rules": [rule.words for rule in RULES],
        "findings": _findings_by_severity(analysis, figures),
        "percent": wording.percent,
        "complex": COMPLEX,
        "rows": TABLE_ROWS,
        "manifest_rows": MANIFEST_ROWS,
        "severities": SEVERITIES,
        "findings_listed": min(FINDING_ROWS, len(analysis.findings)),
        "busiest_year": max((year.commits for year in figures.by_year), default=0),
    }
    data = {
        "version": DATA_VERSION,
        "title": shown_title,
        "headline": headline,
        "analysis": analysis.model_dump(mode="json"),
        "figures": to_jsonable_python(figures),
        "observations": to_jsonable_python(observations),
    }
    return Documents(
        title=shown_title,
        headline=headline,
        markdown=_markdown().get_template("report.md.j2").render(context),
        html=_html()
        .get_template("report.html.j2")
        .render(context, **page_context(analysis, figures, observations), policy=CONTENT_SECURITY_POLICY),
        data=_storable(data),
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
    place = visible(analysis.repo.name)
    if analysis.repo.commit:
        place += f" at {visible(analysis.repo.commit[:7])}"
    return f"{place}: {content}; {history}; {findings}."


def _findings_by_severity(analysis: Analysis, figures: Figures) -> dict[str, list[Any]]:
    listed = analysis.findings[:FINDING_ROWS]
    groups = {name: [finding for finding in listed if finding.severity == name] for name in figures.severities}
    return {name: group for name, group in groups.items() if group}


def _storable(value: Any) -> Any:
    """JSON as PostgreSQL takes it: no NUL in any text, no infinite number."""
    match value:
        case str():
            return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
        case _:
            return value


@cache
def _html() -> Environment:
    return _environment({"visible": visible})


@cache
def _markdown() -> Environment:
    return _environment({"code": wording.markdown_code}, finalize=_finalize_markdown)


def _finalize_markdown(value: Any) -> Any:
    """Escapes every expression of the template that is not Markdown already, as autoescape does for HTML."""
    is_plain = isinstance(value, str) and not isinstance(value, wording.MarkdownText)
    return wording.markdown(value) if is_plain and value else value


def _environment(
    filters: dict[str, Callable[..., Any]],
    finalize: Callable[[Any], Any] | None = None,
) -> Environment:
    environment = Environment(
        loader=PackageLoader("services.reports"),
        autoescape=select_autoescape(("html.j2",)),  # Markdown is escaped by its finalize
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    every = {"number": wording.number, "counted": wording.counted, "size": wording.size, "bar": wording.text_bar}
    known = cast("dict[str, Callable[..., Any]]", environment.filters)  # Jinja's own type lists only its own filters
    known.update(every | filters)
    return environment
