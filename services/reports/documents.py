"""From a subject's figures to documents: one look, one way of escaping, whatever the report is about. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from pydantic_core import to_jsonable_python

from services.reports import wording
from services.reports.formats import CONTENT_SECURITY_POLICY
from services.reports.rules import Observation, Rule, Voice
from services.reports.wording import visible

DATA_VERSION = 1
"""Shape of the JSON data; raised when a key changes its meaning."""


@dataclass(frozen=True)
class Documents:
    """A report before it is stored."""

    title: str
    headline: str
    markdown: str
    html: str
    data: dict[str, Any]
    """`version`, `title`, `headline`, `observations`, and what the subject adds; storable as JSONB."""


def render(
    subject: str,
    *,
    title: str,
    headline: str,
    observations: tuple[Observation, ...],
    rules: Sequence[Rule[Any, Any]],
    voice: Voice,
    context: Mapping[str, Any],
    page: Mapping[str, Any],
    data: Mapping[str, Any],
) -> Documents:
    """Documents of `<subject>.md.j2` and `<subject>.html.j2`.

    Args:
        subject: Names the templates.
        title: As it was given, or made; shown as one line of printable text.
        headline: One sentence with the figures that matter.
        observations: What the rules found.
        rules: All rules, stated at the end of the documents.
        voice: What the observations are called.
        context: Variables of both templates.
        page: Variables that only the page has, `tiles` and `sections` among them.
        data: What the JSON document has of the subject.
    """
    shown_title = visible(title)
    every = {
        **context,
        "title": shown_title,
        "headline": headline,
        "observations": observations,
        "rules": [rule.words for rule in rules],
        "voice": voice,
    }
    head = {"version": DATA_VERSION, "title": shown_title, "headline": headline}
    return Documents(
        title=shown_title,
        headline=headline,
        markdown=_markdown().get_template(f"{subject}.md.j2").render(every),
        html=_html().get_template(f"{subject}.html.j2").render(every, **page, policy=CONTENT_SECURITY_POLICY),
        data=_storable({**head, **data, "observations": to_jsonable_python(observations)}),
    )


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
    names = ("number", "counted", "share", "decimal", "duration", "size")
    every = {"bar": wording.text_bar, **{name: getattr(wording, name) for name in names}}
    known = cast("dict[str, Callable[..., Any]]", environment.filters)  # Jinja's own type lists only its own filters
    known.update(every | filters)
    return environment
