from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import Analysis, Contributor, FileChurn, Finding, FunctionComplexity, LanguageStats, MonthActivity
from services.reports.analysis.figures import BusFactor, derive, periods
from services.reports.analysis.rules import observe
from services.reports.timelines import MAX_COLUMNS
from tests.services.reports.report_examples import empty_analysis, example_analysis, moment

CHANGED = (FileChurn(path="a.py", commits=2, lines=9),)
ADDED = (FileChurn(path="a.py", commits=1, lines=9),)


def _analysis(**fields: Any) -> Analysis:
    return empty_analysis().model_copy(update=fields)


def _people(*commits: int) -> tuple[Contributor, ...]:
    return tuple(
        Contributor(name=f"p{index}", commits=count, first_at=moment(2020), last_at=moment(2021))
        for index, count in enumerate(commits)
    )


def _texts(files: int) -> tuple[LanguageStats, ...]:
    return (LanguageStats(language="Python", files=files, lines=files, bytes=files),)


def _months(**commits: int) -> tuple[MonthActivity, ...]:
    return tuple(MonthActivity(month=month[1:].replace("_", "-"), commits=count) for month, count in commits.items())


def _function(path: str, complexity: int, line: int = 1) -> FunctionComplexity:
    return FunctionComplexity(path=path, line=line, name=f"f{line}", complexity=complexity, lines=10)


def _seen(analysis: Analysis) -> dict[str, str]:
    return {observation.rule: observation.kind for observation in observe(analysis, derive(analysis))}


@pytest.mark.parametrize(
    ("commits", "total", "expected"),
    [
        ((), 0, None),
        ((1,), 1, BusFactor(1, at_least=False)),
        ((51, 30, 19), 100, BusFactor(1, at_least=False)),
        ((50, 30, 20), 100, BusFactor(2, at_least=False)),
        ((49, 31, 20), 100, BusFactor(2, at_least=False)),
        ((20, 31, 49), 100, BusFactor(2, at_least=False)),
        ((10, 10), 100, BusFactor(3, at_least=True)),
    ],
)
def test_bus_factor_is_the_fewest_people_with_more_than_half_of_the_commits(
    commits: tuple[int, ...], total: int, expected: BusFactor | None
) -> None:
    assert derive(_analysis(contributors=_people(*commits), commits=total)).bus_factor == expected


def test_text_files_are_those_with_a_language() -> None:
    languages = (
        LanguageStats(language="Python", files=3, lines=9, bytes=90),
        LanguageStats(language="Other", files=2, lines=4, bytes=40),
    )
    skipped = {"binary": 1, "symlink": 1, "too-large": 1, "unreadable": 1}
    analysis = _analysis(files=9, binary_files=1, languages=languages, skipped=skipped)
    assert derive(analysis).text_files == 5


def test_hot_spots_are_changed_files_ranked_by_churn_times_the_highest_complexity() -> None:
    figures = derive(
        _analysis(
            hot_files=(
                FileChurn(path="simple.py", commits=90, lines=5),
                FileChurn(path="often.py", commits=50, lines=5),
                FileChurn(path="knot.py", commits=20, lines=5),
            ),
            complex_functions=(
                _function("knot.py", 30, line=7),
                _function("quiet.py", 28),
                _function("often.py", 11, line=3),
                _function("often.py", 9, line=40),
                _function("simple.py", 10),
            ),
        )
    )
    assert [(spot.path, spot.line, spot.score) for spot in figures.hot_spots] == [
        ("knot.py", 7, 600),
        ("often.py", 3, 550),
    ]
    assert figures.highest_complexity == {"knot.py": 30, "often.py": 11, "quiet.py": 28, "simple.py": 10}


def test_months_without_commits_are_zero_columns() -> None:
    assert [(period.label, period.commits) for period in periods(_months(m2023_11=3, m2024_02=1))] == [
        ("2023-11", 3),
        ("2023-12", 0),
        ("2024-01", 0),
        ("2024-02", 1),
    ]


def test_long_history_is_drawn_by_year_and_wrong_dates_do_not_stretch_it() -> None:
    decades = periods(_months(m1990_05=1, m1990_06=2, m2024_01=4))
    assert (decades[0].label, decades[0].commits, len(decades)) == ("1990", 3, 35)
    wrong = periods(_months(m0001_01=1, m2024_01=4, m9999_12=2))
    assert [(period.label, period.commits) for period in wrong] == [("0001", 1), ("2024", 4), ("9999", 2)]


@given(st.dictionaries(st.dates().map(lambda day: f"{day.year:04}-{day.month:02}"), st.integers(0, 99), max_size=400))
def test_columns_are_few_in_order_and_lose_nothing_by_year(months: dict[str, int]) -> None:
    activity = tuple(MonthActivity(month=month, commits=count) for month, count in months.items())
    drawn = periods(activity)
    assert len(drawn) <= MAX_COLUMNS
    assert [period.label for period in drawn] == sorted({period.label for period in drawn})
    assert sum(year.commits for year in derive(_analysis(activity=activity)).by_year) == sum(months.values())


def test_files_of_no_known_language_name_no_main_language() -> None:
    stats = [LanguageStats(language=name, files=1, lines=lines, bytes=1) for name, lines in (("Other", 90), ("C", 10))]
    assert derive(_analysis(languages=tuple(stats))).main_languages == ("C",)
    assert derive(_analysis(languages=tuple(stats[:1]))).main_languages == ()


def test_recent_commits_are_those_of_the_last_twelve_months() -> None:
    assert derive(_analysis(activity=_months(m2023_03=100, m2023_04=7, m2024_03=5))).recent_commits == 12


def test_findings_are_counted_gravest_first() -> None:
    figures = derive(example_analysis())
    assert list(figures.severities.items()) == [("error", 1), ("warning", 4), ("info", 3)]
    assert list(figures.rules.items())[:2] == [("complex-function", 2), ("todo", 2)]


def test_example_is_judged_by_the_rules() -> None:
    assert _seen(example_analysis()) == {
        "findings": "risk",
        "hot-spots": "risk",
        "complexity": "risk",
        "large-files": "risk",
        "tests": "strength",
    }


def test_nothing_is_said_about_an_empty_repository() -> None:
    assert _seen(empty_analysis()) == {}


@pytest.mark.parametrize(
    ("fields", "rule", "kind"),
    [
        ({"commits": 19, "contributors": _people(19)}, "bus-factor", None),
        ({"commits": 20, "contributors": _people(20)}, "bus-factor", "risk"),
        ({"commits": 30, "contributors": _people(10, 10, 10)}, "bus-factor", None),
        ({"commits": 80, "contributors": _people(*[10] * 8)}, "bus-factor", "strength"),
        ({"languages": _texts(10), "functions": 5}, "tests", "risk"),
        ({"languages": _texts(10), "functions": 5, "test_files": 1}, "tests", None),
        ({"languages": _texts(10), "functions": 5, "test_files": 2}, "tests", "strength"),
        ({"languages": _texts(10), "test_files": 2}, "tests", None),
        (
            {"functions": 10, "average_complexity": 5.0, "complex_functions": (_function("a", 20),)},
            "complexity",
            "strength",
        ),
        ({"functions": 10, "average_complexity": 5.1, "complex_functions": (_function("a", 20),)}, "complexity", None),
        (
            {"functions": 10, "average_complexity": 1.0, "complex_functions": (_function("a", 21),)},
            "complexity",
            "risk",
        ),
        ({"hot_files": (FileChurn(path="a.py", commits=2, lines=1_000),)}, "large-files", None),
        ({"hot_files": (FileChurn(path="a.py", commits=2, lines=1_001),)}, "large-files", "risk"),
        ({"hot_files": (FileChurn(path="NEWS.MD", commits=2, lines=9_001),)}, "large-files", None),
        ({"hot_files": (FileChurn(path="a.py", commits=1, lines=1_001),)}, "large-files", None),
        ({"commits": 20, "hot_files": CHANGED, "functions": 10}, "hot-spots", "strength"),
        ({"commits": 19, "hot_files": CHANGED, "functions": 10}, "hot-spots", None),
        ({"commits": 20, "hot_files": ADDED, "functions": 10}, "hot-spots", None),
        ({"commits": 20, "hot_files": CHANGED, "complex_functions": (_function("a.py", 11),)}, "hot-spots", "risk"),
        ({"commits": 20, "hot_files": ADDED, "complex_functions": (_function("a.py", 11),)}, "hot-spots", None),
        (
            {
                "commits": 20,
                "hot_files": CHANGED,
                "functions": 50,
                "complex_functions": tuple(_function("b.py", 11) for _ in range(20)),
            },
            "hot-spots",
            None,
        ),
        ({"languages": _texts(1)}, "findings", "strength"),
        ({"languages": _texts(1), "findings_total": 1}, "findings", None),
    ],
)
def test_rules_keep_their_thresholds(fields: dict[str, Any], rule: str, kind: str | None) -> None:
    assert _seen(_analysis(**fields)).get(rule) == kind


def test_errors_are_a_lower_bound_when_the_list_was_cut() -> None:
    finding = Finding(severity="error", rule="r", path="a.py", line=3, message="bad")
    cut = _analysis(findings=(finding,) * 100, findings_total=101)
    first = observe(cut, derive(cut))[0]
    assert first.text == "at least 100 findings of severity error. First: bad"
    assert first.place == "a.py:3"


def test_risks_come_before_strengths() -> None:
    analysis = example_analysis()
    kinds = [observation.kind for observation in observe(analysis, derive(analysis))]
    assert kinds == sorted(kinds)
    assert set(kinds) == {"risk", "strength"}
