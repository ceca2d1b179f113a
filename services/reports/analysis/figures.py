"""Figures derived from an analysis: shares, bus factor, hot spots, commits over time. Pure; counts are integers."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.context import Analysis, FileChurn, FunctionComplexity, MonthActivity
from services.reports.timelines import MAX_COLUMNS

TABLE_ROWS = 20
"""Rows of a ranking, as many as the analysis lists at most."""
COMPLEX = 10
"""Cyclomatic complexity above which a function deserves a second look (McCabe 1976)."""
SEVERITIES = ("error", "warning", "info")

_NO_LANGUAGE = "Other"  # how the context service calls files of no language it knows
_MONTH = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])")


@dataclass(frozen=True)
class BusFactor:
    """The fewest people who together made more than half of the commits."""

    people: int
    at_least: bool
    """Whether the contributors listed do not reach so many, so that it takes more of them."""


@dataclass(frozen=True)
class HotSpot:
    """A file changed more than once that holds a function of a complexity above COMPLEX."""

    path: str
    commits: int
    function: str
    line: int
    complexity: int
    score: int
    """commits x complexity: a rank, without a unit."""


@dataclass(frozen=True)
class Period:
    """Commits in a month (`2024-03`) or a year (`2024`)."""

    label: str
    commits: int


@dataclass(frozen=True)
class Figures:
    """What the documents say beyond the analysis itself. Stored with the report as `figures`."""

    main_languages: tuple[str, ...]
    """The language with most lines; the first two when it has less than half of them."""
    language_lines: int
    text_files: int
    contributor_commits: int
    """Commits by the contributors listed."""
    bus_factor: BusFactor | None
    changing: bool
    """Whether any file was changed after it was added; a ranking of changes means nothing before."""
    hot_spots: tuple[HotSpot, ...]
    """Highest score first."""
    highest_complexity: dict[str, int]
    """By path, of the files that hold one of the most complex functions."""
    by_year: tuple[Period, ...]
    recent_commits: int
    """Commits in the 12 calendar months that end with the last one that has any."""
    severities: dict[str, int]
    """Listed findings by severity, the gravest first."""
    rules: dict[str, int]
    """Listed findings by rule, the most frequent first."""
    ecosystems: dict[str, int]
    """Listed dependencies by where they come from, the most frequent first."""
    scopes: dict[str, int]
    """Listed dependencies by what they are for."""


def derive(analysis: Analysis) -> Figures:
    """All derived figures; empty repositories give zeros, empty tuples and None."""
    months = _months(analysis.activity)
    severities = Counter(finding.severity for finding in analysis.findings)
    rules = Counter(finding.rule for finding in analysis.findings)
    last_month = max(months, default=0)
    worst = _worst_functions(analysis.complex_functions)
    return Figures(
        main_languages=_main_languages(analysis),
        language_lines=sum(stats.lines for stats in analysis.languages),
        text_files=sum(stats.files for stats in analysis.languages),
        contributor_commits=sum(contributor.commits for contributor in analysis.contributors),
        bus_factor=_bus_factor(analysis),
        changing=any(file.commits > 1 for file in analysis.hot_files),
        hot_spots=_measured_hot_spots(analysis) if analysis.ownership else _hot_spots(analysis.hot_files, worst),
        highest_complexity={path: worst[path].complexity for path in sorted(worst)},
        by_year=_by_year(months),
        recent_commits=sum(count for month, count in months.items() if month > last_month - 12),
        severities={name: severities[name] for name in sorted(severities, key=_severity_rank)},
        rules=_ranked(rules),
        ecosystems=_ranked(Counter(each.ecosystem for each in analysis.dependencies)),
        scopes=_ranked(Counter(each.scope for each in analysis.dependencies)),
    )


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts, key=lambda name: (-counts[name], name))}


def periods(activity: Iterable[MonthActivity]) -> tuple[Period, ...]:
    """Commits over time for a chart: every month, or every year when months are too many; gaps count zero.

    Histories hold wrong dates (1970, 2085). Where even the years are too many, only those with commits are kept.
    """
    months = _months(activity)
    if not months:
        return ()
    first, last = min(months), max(months)
    if last - first < MAX_COLUMNS:
        return tuple(Period(_month_label(month), months.get(month, 0)) for month in range(first, last + 1))
    years = {period.label: period.commits for period in _by_year(months)}
    if last // 12 - first // 12 < MAX_COLUMNS:
        every_year = (f"{year:04}" for year in range(first // 12, last // 12 + 1))
        return tuple(Period(year, years.get(year, 0)) for year in every_year)
    return _by_year(months)[-MAX_COLUMNS:]


def _months(activity: Iterable[MonthActivity]) -> dict[int, int]:
    """Commits by month, counted from year 0; what is not a month of the calendar has no place on a time axis."""
    months: Counter[int] = Counter()
    for entry in activity:
        if _MONTH.fullmatch(entry.month):
            months[int(entry.month[:4]) * 12 + int(entry.month[5:]) - 1] += entry.commits
    return dict(months)


def _month_label(month: int) -> str:
    return f"{month // 12:04}-{month % 12 + 1:02}"


def _by_year(months: dict[int, int]) -> tuple[Period, ...]:
    years: Counter[int] = Counter()
    for month, commits in months.items():
        years[month // 12] += commits
    return tuple(Period(f"{year:04}", years[year]) for year in sorted(years))


def _main_languages(analysis: Analysis) -> tuple[str, ...]:
    total = sum(stats.lines for stats in analysis.languages)
    named = (stats for stats in analysis.languages if stats.lines > 0 and stats.language != _NO_LANGUAGE)
    ranked = sorted(named, key=lambda stats: -stats.lines)
    if not ranked:
        return ()
    wanted = 1 if 2 * ranked[0].lines >= total else 2
    return tuple(stats.language for stats in ranked[:wanted])


def _bus_factor(analysis: Analysis) -> BusFactor | None:
    """As measured from all authors; for analyses stored before that, from those that they list."""
    if analysis.ownership and analysis.ownership.bus_factor:
        return BusFactor(analysis.ownership.bus_factor, at_least=False)
    total, reached, people = analysis.commits, 0, 0
    for count in sorted((person.commits for person in analysis.contributors), reverse=True):
        reached += count
        people += 1
        if 2 * reached > total > 0:
            return BusFactor(people, at_least=False)
    return BusFactor(people + 1, at_least=True) if total > 0 and people else None


def _worst_functions(functions: Iterable[FunctionComplexity]) -> dict[str, FunctionComplexity]:
    """The most complex function of each file, the first of equals."""
    worst: dict[str, FunctionComplexity] = {}
    for function in functions:
        if function.path not in worst or function.complexity > worst[function.path].complexity:
            worst[function.path] = function
    return worst


def _measured_hot_spots(analysis: Analysis) -> tuple[HotSpot, ...]:
    return tuple(
        HotSpot(spot.path, spot.commits, spot.function, spot.line, spot.complexity, spot.score)
        for spot in analysis.hot_spots
        if spot.complexity > COMPLEX
    )


def _hot_spots(hot_files: Iterable[FileChurn], worst: Mapping[str, FunctionComplexity]) -> tuple[HotSpot, ...]:
    spots = [
        HotSpot(file.path, file.commits, found.name, found.line, found.complexity, file.commits * found.complexity)
        for file in hot_files
        if file.commits > 1 and (found := worst.get(file.path)) is not None and found.complexity > COMPLEX
    ]
    return tuple(sorted(spots, key=lambda spot: (-spot.score, spot.path)))


def _severity_rank(name: str) -> tuple[int, str]:
    return (SEVERITIES.index(name) if name in SEVERITIES else len(SEVERITIES), name)
