import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic_core import to_json

from models.context import Analysis, LanguageStats
from services.reports.analysis.report import write_analysis_report
from services.reports.formats import CONTENT_SECURITY_POLICY
from services.reports.wording import visible
from tests.services.reports.report_examples import empty_analysis, example_analysis, understood_analysis
from tests.services.reports.report_readers import SVG, Page, charts, inline_tokens, markdown_tables
from tests.services.reports.report_strategies import HOSTILE, analyses

any_analysis = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
PAGE_ELEMENTS = Page(write_analysis_report(understood_analysis()).html).elements - {
    "script",
    "img",
    "iframe",
    "object",
    "form",
}
MARKDOWN_TOKENS = {"text", "text_special", "code_inline", "softbreak", "inline", "strong_open", "strong_close"}
MARKDOWN_BLOCKS = {"heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "bullet_list", "list_item"}
HEADLINE = "psf/requests at 1a2b3c4: 126 files, 25,208 lines, mostly Python; 6,408 commits by 780 people; 8 findings."


@any_analysis
@given(analyses)
def test_page_is_balanced_and_names_never_become_elements(analysis: Analysis) -> None:
    page = Page(write_analysis_report(analysis).html)
    assert page.elements <= PAGE_ELEMENTS
    assert not page.comments
    assert len(page.ids) == len(set(page.ids))


@any_analysis
@given(analyses)
def test_page_loads_nothing_and_runs_nothing(analysis: Analysis) -> None:
    page = Page(write_analysis_report(analysis).html)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"src", "srcset", "style"}]
    assert {value[:1] for name, value in page.attributes if name == "href"} == {"#"}
    assert ("content", CONTENT_SECURITY_POLICY) in page.attributes
    assert {value[1:] for name, value in page.attributes if name == "href"} <= set(page.ids)


@any_analysis
@given(analyses)
def test_charts_are_well_formed_and_described(analysis: Analysis) -> None:
    for chart in charts(write_analysis_report(analysis).html):
        title, desc = chart.findtext(f"{SVG}title"), chart.findtext(f"{SVG}desc")
        assert title
        assert desc
        _, _, width, height = (float(part) for part in chart.attrib["viewBox"].split())
        bars = list(chart.iter(f"{SVG}rect"))
        assert bars
        for bar in bars:
            assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
            assert 0 <= float(bar.attrib["y"]) <= float(bar.attrib["y"]) + float(bar.attrib["height"]) <= height


@any_analysis
@given(analyses)
def test_markdown_has_no_markup_that_the_template_does_not_have(analysis: Analysis) -> None:
    document = write_analysis_report(analysis).markdown
    allowed = MARKDOWN_TOKENS | {f"{block}_{end}" for block in MARKDOWN_BLOCKS for end in ("open", "close")}
    tokens = inline_tokens(document)
    assert {token.type for token in tokens} <= allowed
    assert not [
        token for token in tokens if token.type == "text" and ("://" in token.content or "@evil" in token.content)
    ]
    assert not set(document) & set("\0\r\x1b\x85\u2028\u2029\u202e")


@any_analysis
@given(analyses)
def test_rows_of_markdown_tables_say_what_the_analysis_says(analysis: Analysis) -> None:
    tables = {
        tuple(table[0]): [[cell.replace("\u2060", "") for cell in row] for row in table[1:]]
        for table in markdown_tables(write_analysis_report(analysis).markdown)
    }
    assert all(len(row) == len(head) for head, rows in tables.items() for row in rows)
    hot_files = tables.get(("File", "Commits", "Lines", "Highest complexity"), [])
    assert [row[:3] for row in hot_files] == [
        [visible(file.path), f"{file.commits:,}", f"{file.lines:,}"]
        for file in analysis.hot_files
        if any(other.commits > 1 for other in analysis.hot_files)
    ]
    findings = tables.get(("Severity", "Place", "Rule", "Message"), [])
    assert sorted(row[1:3] for row in findings) == sorted(
        [visible(f"{finding.path}:{finding.line}"), visible(finding.rule)] for finding in analysis.findings
    )


@any_analysis
@given(analyses)
def test_tables_of_the_page_say_what_the_analysis_says(analysis: Analysis) -> None:
    page = Page(write_analysis_report(analysis).html)
    assert [row[:3] for row in page.tables.get("Files and lines by language", [])[1:]] == [
        [visible(stats.language), f"{stats.files:,}", f"{stats.lines:,}"] for stats in analysis.languages[:20]
    ]
    assert [row[:2] for row in page.tables.get("Contributors with the most commits", [])[1:]] == [
        [visible(person.name), f"{person.commits:,}"] for person in analysis.contributors
    ]
    assert [row[1:] for row in page.tables.get("Most complex functions", [])[1:]] == [
        [f"{function.complexity:,}", f"{function.lines:,}"] for function in analysis.complex_functions
    ]
    years = page.tables.get("Commits by year", [[], []])
    assert sum(int(cell.replace(",", "")) for cell in years[1][1:]) == sum(entry.commits for entry in analysis.activity)


def _strings(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for pair in value.items() for part in pair for text in _strings(part)]
        case list():
            return [text for part in value for text in _strings(part)]
        case _:
            return []


@any_analysis
@given(analyses)
def test_data_is_json_that_postgresql_takes_and_nothing_is_lost(analysis: Analysis) -> None:
    data = write_analysis_report(analysis).data
    read = json.loads(to_json(data, inf_nan_mode="constants"), parse_constant=pytest.fail)
    assert read == data
    assert not [text for text in _strings(read) if "\0" in text]
    assert data["analysis"]["files"] == analysis.files
    assert len(data["analysis"]["findings"]) == len(analysis.findings)


@any_analysis
@given(analyses)
def test_the_same_analysis_gives_the_same_bytes(analysis: Analysis) -> None:
    again = analysis.model_copy(deep=True)
    assert write_analysis_report(analysis) == write_analysis_report(again)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_title_stays_text(text: str) -> None:
    documents = write_analysis_report(example_analysis(), title=text)
    expected = visible(text) if text.strip() else "Code review of psf/requests"
    page = Page(documents.html)
    assert documents.title == expected
    assert expected in page.text
    assert page.elements <= PAGE_ELEMENTS
    heading = inline_tokens(documents.markdown)[1]
    shown = "".join(token.content for token in heading.children or ())
    assert shown.replace("\u2060", "") == expected


def test_headline_has_the_figures() -> None:
    documents = write_analysis_report(example_analysis())
    assert documents.headline == HEADLINE
    assert documents.data["headline"] == HEADLINE
    assert HEADLINE in documents.markdown
    assert HEADLINE in Page(documents.html).text


def _changed(**fields: Any) -> Analysis:
    return example_analysis().model_copy(update=fields)


@pytest.mark.parametrize(
    ("analysis", "headline"),
    [
        (empty_analysis(), "ada/new at 0000000: no files; no commits; no findings."),
        (
            _changed(files=1, lines=1, commits=1, contributor_count=1, findings_total=1),
            "psf/requests at 1a2b3c4: 1 file, 1 line, mostly Python; 1 commit by 1 person; 1 finding.",
        ),
        (
            _changed(
                languages=tuple(
                    LanguageStats(language=name, files=1, lines=lines, bytes=1)
                    for name, lines in (("C", 40), ("Python", 35), ("Go", 25))
                )
            ),
            HEADLINE.replace("mostly Python", "C and Python first"),
        ),
    ],
)
def test_headline_counts_in_good_english(analysis: Analysis, headline: str) -> None:
    assert write_analysis_report(analysis).headline == headline


def test_empty_repository_has_no_empty_chart_and_no_empty_table() -> None:
    documents = write_analysis_report(empty_analysis())
    page = Page(documents.html)
    assert not charts(documents.html)
    assert not page.tables
    assert "No findings." in page.text
    assert not markdown_tables(documents.markdown)
    assert documents.data["observations"] == []


def test_every_chart_of_a_full_report_is_drawn_beside_its_table() -> None:
    html = write_analysis_report(example_analysis()).html
    assert [chart.findtext(f"{SVG}title") for chart in charts(html)] == [
        "Lines by language",
        "Commits over time",
        "Commits by contributor",
        "Most changed files",
        "Most complex functions",
    ]
    assert list(Page(html).tables) == [
        "Files and lines by language",
        "Commits by year",
        "Contributors with the most commits",
        "Most changed files",
        "Hot spots",
        "Most complex functions",
        "Files with the most lines",
        "Findings of severity error",
        "Findings of severity warning",
        "Findings of severity info",
    ]


def test_first_commit_has_no_chart_of_one_bar_and_no_ranking_of_changes() -> None:
    example = example_analysis()
    documents = write_analysis_report(
        _changed(
            commits=1,
            activity=example.activity[-1:],
            hot_files=tuple(file.model_copy(update={"commits": 1}) for file in example.hot_files),
            contributors=example.contributors[:1],
            languages=example.languages[:1],
            first_commit_at=example.last_commit_at,
        )
    )
    page = Page(documents.html)
    assert [chart.findtext(f"{SVG}title") for chart in charts(documents.html)] == ["Most complex functions"]
    assert "Commits by year" in page.tables
    assert not {"Most changed files", "Hot spots"} & set(page.tables)
    assert "1 commit on 2025-12-29" in page.text


def test_more_findings_than_listed_is_said() -> None:
    documents = write_analysis_report(_changed(findings_total=340))
    assert "The gravest 8 of 340." in documents.markdown
    assert "The gravest 8 of 340." in Page(documents.html).text


def test_what_is_understood_is_told_in_sections_of_its_own() -> None:
    report = write_analysis_report(understood_analysis())
    assert {"ownership", "duplication", "licenses"} <= set(Page(report.html).ids)
    for text in (report.markdown, report.html):
        assert "310 lines of code, 2% of 15,500, belong to blocks of 10 lines or more" in text
        assert "Of 80 files changed three times or more, 7 never had another author." in text
        assert "4,000 lines of tests in 29 files to 10,000 lines of other code in 40 files: 40%." in text
        assert "2 dependencies declared: 1 dev, 1 runtime (1 npm, 1 python)" in text
        assert "not recognized" in text
        assert "98% of its words" in text
        assert "docs/gone" in text
        assert "3.1 MB" in text
        assert "and 2 more" in text
    assert "| `src/` | Ada | 75% | 1,200 | 4 |" in report.markdown
    assert "bus factor 3" in report.markdown
    assert "src/knot.py:7" in report.markdown
    assert "src/simple.py" not in report.markdown  # changes often and is simple: no hot spot
    assert ["Dependency", "Constraint", "Scope", "Manifest"] in [table[0] for table in markdown_tables(report.markdown)]
