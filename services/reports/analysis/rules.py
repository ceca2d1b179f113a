"""Strengths and risks of a repository."""

from models.context import Analysis
from services.reports.analysis.figures import COMPLEX, TABLE_ROWS, Figures
from services.reports.rules import Observation, Rule, Voice, apply_rules
from services.reports.wording import counted, number, percent, visible

VOICE = Voice("Strengths and risks", strength="Strength", risk="Risk")
VERY_COMPLEX = 20
"""Above it a function is high risk (the bands of the SEI: 1-10, 11-20, 21-50, more)."""
SIMPLE_AVERAGE = 5
LARGE_FILE_LINES = 1_000
NOT_CODE = (".md", ".rst", ".txt", ".adoc", ".csv", ".json", ".lock", ".svg", ".xml", ".yaml", ".yml", ".po")
"""Files that may be long and change often without being hard to maintain."""
SHARED_KNOWLEDGE = 4
"""People who together made more than half of the commits, from which on knowledge counts as shared."""
ENOUGH_COMMITS = 20
"""Commits below which nothing is said about people and changes."""
ENOUGH_FUNCTIONS = 10
"""Functions below which an average is not praised."""
GOOD_TEST_PERCENT = 20


def observe(analysis: Analysis, figures: Figures) -> tuple[Observation, ...]:
    """All observations, risks first, each kind in the order of the rules."""
    return apply_rules(RULES, analysis, figures)


def _findings(analysis: Analysis, figures: Figures) -> Observation | None:
    errors = figures.severities.get("error", 0)
    if errors:
        worst = next(finding for finding in analysis.findings if finding.severity == "error")
        more = "at least " if errors == len(analysis.findings) < analysis.findings_total else ""
        text = f"{more}{counted(errors, 'finding')} of severity error. First: {visible(worst.message)}"
        return Observation("risk", "findings", "Errors found", text, f"{worst.path}:{worst.line}")
    if analysis.findings_total == 0 and figures.text_files:
        return Observation(
            "strength", "findings", "Nothing found", "None of the checks has anything to say about this commit."
        )
    return None


def _hot_spot(analysis: Analysis, figures: Figures) -> Observation | None:
    if analysis.commits < ENOUGH_COMMITS:
        return None
    if figures.hot_spots:
        first = figures.hot_spots[0]
        text = (
            f"Changed in {counted(first.commits, 'commit')} and holds {visible(first.function)} with complexity "
            f"{number(first.complexity)}: the place where a change is most likely and most likely to go wrong."
        )
        if len(figures.hot_spots) > 1:
            text += f" {counted(len(figures.hot_spots) - 1, 'more hot spot')} below."
        return Observation("risk", "hot-spots", "Hot spot", text, f"{first.path}:{first.line}")
    listed = [function.complexity for function in analysis.complex_functions]
    all_listed = len(listed) < TABLE_ROWS or min(listed) <= COMPLEX  # else the next one could be in a hot file
    if figures.changing and analysis.functions >= ENOUGH_FUNCTIONS and all_listed:
        text = f"None of the most changed files holds a function of complexity above {COMPLEX}."
        return Observation("strength", "hot-spots", "No hot spots", text)
    return None


def _knowledge(analysis: Analysis, figures: Figures) -> Observation | None:
    factor = figures.bus_factor
    if factor is None or not analysis.contributors or analysis.commits < ENOUGH_COMMITS:
        return None
    top = max(analysis.contributors, key=lambda person: person.commits)
    if factor.people == 1:
        name, share = visible(top.name), percent(top.commits, analysis.commits)
        text = f"{name} made {share} of the {number(analysis.commits)} commits. Who else knows the code?"
        return Observation("risk", "bus-factor", "Bus factor 1", text)
    if factor.people >= SHARED_KNOWLEDGE:
        least = "at least " if factor.at_least else ""
        text = f"It takes {least}{number(factor.people)} people to make up more than half of the commits."
        return Observation("strength", "bus-factor", "Shared knowledge", text)
    return None


def _tests(analysis: Analysis, figures: Figures) -> Observation | None:
    if analysis.functions <= 0:
        return None
    if analysis.test_files <= 0:
        text = f"{counted(analysis.functions, 'function')} and not one file that looks like a test."
        return Observation("risk", "tests", "No tests found", text)
    if 100 * analysis.test_files >= GOOD_TEST_PERCENT * figures.text_files:
        text = (
            f"{counted(analysis.test_files, 'test file')} in {counted(figures.text_files, 'text file')} "
            f"({percent(analysis.test_files, figures.text_files)})."
        )
        return Observation("strength", "tests", "Many test files", text)
    return None


def _complexity(analysis: Analysis, _figures: Figures) -> Observation | None:
    high = [function for function in analysis.complex_functions if function.complexity > VERY_COMPLEX]
    if high:
        worst = max(high, key=lambda function: function.complexity)
        text = (
            f"{visible(worst.name)} has complexity {number(worst.complexity)} in {counted(worst.lines, 'line')}; "
            f"{counted(len(high), 'listed function')} above {VERY_COMPLEX}."
        )
        return Observation("risk", "complexity", "Very complex functions", text, f"{worst.path}:{worst.line}")
    if analysis.functions >= ENOUGH_FUNCTIONS and analysis.average_complexity <= SIMPLE_AVERAGE:
        text = (
            f"Average complexity {analysis.average_complexity:.1f} over {counted(analysis.functions, 'function')}, "
            f"none above {VERY_COMPLEX}."
        )
        return Observation("strength", "complexity", "Simple functions", text)
    return None


def _large_and_changing(analysis: Analysis, _figures: Figures) -> Observation | None:
    large = [
        file
        for file in analysis.hot_files
        if file.commits > 1 and file.lines > LARGE_FILE_LINES and not file.path.lower().endswith(NOT_CODE)
    ]
    if not large:
        return None
    first = max(large, key=lambda file: file.commits)
    text = f"{counted(first.lines, 'line')} and changed in {counted(first.commits, 'commit')}."
    if len(large) > 1:
        text += f" {counted(len(large) - 1, 'more file')} like it."
    return Observation("risk", "large-files", "Large and changing", text, first.path)


RULES = (
    Rule("Findings: a risk when any has severity error; a strength when there are none at all.", _findings),
    Rule(
        f"Hot spots: files changed more than once that hold a function of complexity above {COMPLEX}, ranked by "
        "commits times the highest complexity. A risk when there are any; a strength when there are none in "
        f"{ENOUGH_FUNCTIONS} functions or more; silent below {ENOUGH_COMMITS} commits.",
        _hot_spot,
    ),
    Rule(
        "Bus factor: the fewest people who together made more than half of the commits. A risk when it is 1, a "
        f"strength from {SHARED_KNOWLEDGE}; silent below {ENOUGH_COMMITS} commits. People count by the name in their "
        "commits, so one person with two names counts twice.",
        _knowledge,
    ),
    Rule(
        f"Tests: a risk when there are functions but no test files; a strength from {GOOD_TEST_PERCENT}% test files "
        "among the text files. This counts files, not coverage.",
        _tests,
    ),
    Rule(
        f"Complexity (cyclomatic): a risk when a function is above {VERY_COMPLEX}; a strength when none is and the "
        f"average is at most {SIMPLE_AVERAGE} over {ENOUGH_FUNCTIONS} functions or more.",
        _complexity,
    ),
    Rule(
        f"Large files: a risk when a file among the most changed has more than {number(LARGE_FILE_LINES)} lines. "
        f"Prose and data do not count ({', '.join(NOT_CODE)}).",
        _large_and_changing,
    ),
)
