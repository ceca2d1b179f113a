"""What only the HTML page has: charts, tiles and the way to its sections."""

from typing import Any

from models.context import Analysis
from services.reports.analysis.figures import TABLE_ROWS, Figures, periods
from services.reports.analysis.rules import VERY_COMPLEX, VOICE
from services.reports.charts import BarChart, ColumnChart, Datum, bar_chart, column_chart
from services.reports.rules import Observation
from services.reports.wording import counted, number, percent, size, visible


def page_context(analysis: Analysis, figures: Figures, observations: tuple[Observation, ...]) -> dict[str, Any]:
    """Variables of `analysis.html.j2` beyond those of all documents."""
    return {
        "charts": {
            "languages": _languages(analysis),
            "activity": _activity(analysis),
            "contributors": _contributors(analysis),
            "hot_files": _hot_files(analysis, figures),
            "complexity": _complexity(analysis),
        },
        "tiles": _tiles(analysis, figures),
        "sections": _sections(analysis, figures, observations),
        "very_complex": VERY_COMPLEX,
    }


def _sections(
    analysis: Analysis, figures: Figures, observations: tuple[Observation, ...]
) -> tuple[tuple[str, str], ...]:
    """Anchors and words of the sections that this report has, in the order of the page."""
    sections = (
        ("summary", VOICE.heading, observations),
        ("languages", "Languages", analysis.languages),
        ("history", "History", figures.by_year),
        ("contributors", "Contributors", analysis.contributors),
        ("ownership", "Ownership", analysis.ownership and analysis.ownership.files),
        ("hot-files", "Most changed files", figures.changing),
        ("complexity", "Complexity", analysis.complex_functions),
        ("duplication", "Duplication", analysis.duplication.compared_lines),
        ("largest-files", "Largest files", analysis.largest_files),
        ("findings", "Findings", True),
        ("tests", "Tests and dependencies", True),
        ("licenses", "Licences", analysis.licenses),
        ("method", "How to read this", True),
    )
    return tuple((anchor, words) for anchor, words, present in sections if present)


def _tiles(analysis: Analysis, figures: Figures) -> tuple[tuple[str, str, str], ...]:
    """Label, figure and what to know about it."""
    history = ""
    if analysis.first_commit_at and analysis.last_commit_at:
        first, last = analysis.first_commit_at.year, analysis.last_commit_at.year
        history = f"{first} to {last}" if first != last else str(first)
    factor = figures.bus_factor
    least = "at least " if factor and factor.at_least else ""
    severities = ", ".join(
        counted(count, name) if name in {"error", "warning"} else f"{number(count)} {visible(name)}"
        for name, count in figures.severities.items()
    )
    return (
        ("Files", number(analysis.files), size(analysis.bytes)),
        ("Lines", number(analysis.lines), " and ".join(visible(name) for name in figures.main_languages) or "—"),
        ("Commits", number(analysis.commits), history or "—"),
        ("People", number(analysis.contributor_count), f"bus factor {least}{factor.people}" if factor else "—"),
        (
            "Functions",
            number(analysis.functions),
            f"average complexity {analysis.average_complexity:.1f}" if analysis.functions else "—",
        ),
        (
            "Test files",
            number(analysis.test_files),
            f"{percent(analysis.test_files, figures.text_files)} of text files" if figures.text_files else "—",
        ),
        ("Findings", number(analysis.findings_total), severities or "—"),
    )


def _languages(analysis: Analysis) -> BarChart | None:
    data = [
        Datum(stats.language, stats.lines, f"{counted(stats.lines, 'line')}, {counted(stats.files, 'file')}")
        for stats in analysis.languages[:TABLE_ROWS]
    ]
    return bar_chart("languages-chart", "Lines by language", data)


def _activity(analysis: Analysis) -> ColumnChart | None:
    data = [
        Datum(period.label, period.commits, counted(period.commits, "commit")) for period in periods(analysis.activity)
    ]
    return column_chart("activity-chart", "Commits over time", data, table="The table has the figures by year.")


def _contributors(analysis: Analysis) -> BarChart | None:
    data = [
        Datum(person.name, person.commits, counted(person.commits, "commit"))
        for person in analysis.contributors[:TABLE_ROWS]
    ]
    return bar_chart("contributors-chart", "Commits by contributor", data)


def _hot_files(analysis: Analysis, figures: Figures) -> BarChart | None:
    marked = {spot.path for spot in figures.hot_spots}
    data = [
        Datum(file.path, file.commits, counted(file.commits, "commit"), file.path in marked)
        for file in analysis.hot_files[:TABLE_ROWS]
    ]
    return bar_chart("hot-files-chart", "Most changed files", data, keep="end")


def _complexity(analysis: Analysis) -> BarChart | None:
    data = [
        Datum(entry.name, entry.complexity, f"complexity {number(entry.complexity)}", entry.complexity > VERY_COMPLEX)
        for entry in analysis.complex_functions[:TABLE_ROWS]
    ]
    return bar_chart("complexity-chart", "Most complex functions", data, keep="end")
