"""A realistic analysis and an empty one, for the tests of reports."""

from datetime import UTC, datetime

from models.context import (
    Analysis,
    Contributor,
    FileChurn,
    Finding,
    FunctionComplexity,
    LanguageStats,
    LoadedRepo,
    MonthActivity,
)
from models.understanding import (
    CodeAndTests,
    Dependency,
    DuplicatedBlock,
    Duplication,
    HotSpot,
    HugeFile,
    License,
    LineRange,
    Owned,
    Ownership,
    UnreachableFile,
)

_FINDING = ("severity", "rule", "path", "line", "message")


def moment(year: int, month: int = 1, day: int = 1) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


def loaded_repo(name: str = "psf/requests", commit: str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d") -> LoadedRepo:
    return LoadedRepo(
        id="0f3d8a4c5e6b7a8990a1b2c3d4e5f607",
        name=name,
        source=f"https://forge.test/{name}",
        commit=commit,
        ref="main",
        commits=6245,
        bytes_fetched=9,
    )


def example_analysis() -> Analysis:
    """Figures in the style of psf/requests: every section of the report has something to show."""
    months = [(2011 + index // 12, index % 12 + 1) for index in range(1, 12 * 15)]
    activity = tuple(
        MonthActivity(month=f"{year}-{month:02}", commits=5 + (year * 31 + month * 17) % 53 + max(0, 130 - 10 * index))
        for index, (year, month) in enumerate(months)
    )
    commits = sum(entry.commits for entry in activity)
    return Analysis(
        repo=loaded_repo(),
        files=126,
        binary_files=4,
        bytes=1_284_311,
        lines=25_208,
        languages=(
            LanguageStats(language="Python", files=36, lines=16_204, bytes=520_331),
            LanguageStats(language="reStructuredText", files=24, lines=4_830, bytes=190_411),
            LanguageStats(language="Markdown", files=9, lines=2_390, bytes=98_104),
            LanguageStats(language="YAML", files=14, lines=911, bytes=22_093),
            LanguageStats(language="TOML", files=2, lines=489, bytes=6_022),
            LanguageStats(language="Makefile", files=2, lines=260, bytes=7_801),
            LanguageStats(language="INI", files=3, lines=124, bytes=2_220),
        ),
        functions=742,
        average_complexity=2.84,
        complex_functions=tuple(
            FunctionComplexity(path=path, line=line, name=name, complexity=complexity, lines=lines)
            for path, line, name, complexity, lines in (
                ("src/requests/adapters.py", 613, "HTTPAdapter.send", 27, 141),
                ("src/requests/utils.py", 740, "should_bypass_proxies", 22, 58),
                ("src/requests/models.py", 410, "PreparedRequest.prepare_url", 19, 88),
                ("src/requests/sessions.py", 159, "SessionRedirectMixin.resolve_redirects", 17, 125),
                ("src/requests/models.py", 494, "PreparedRequest.prepare_body", 16, 79),
                ("src/requests/auth.py", 126, "HTTPDigestAuth.build_digest_header", 15, 102),
                ("src/requests/utils.py", 133, "super_len", 14, 72),
                ("src/requests/sessions.py", 673, "Session.send", 12, 84),
                ("tests/testserver/server.py", 54, "Server.run", 9, 31),
                ("src/requests/cookies.py", 392, "RequestsCookieJar._find_no_duplicates", 8, 33),
                ("src/requests/utils.py", 466, "get_encodings_from_content", 8, 24),
                ("src/requests/help.py", 68, "info", 7, 61),
                ("src/requests/hooks.py", 20, "dispatch_hook", 5, 12),
            )
        ),
        largest_files=tuple(
            FileChurn(path=path, commits=count, lines=lines)
            for path, count, lines in (
                ("tests/test_requests.py", 612, 3_040),
                ("HISTORY.md", 498, 2_010),
                ("src/requests/utils.py", 371, 1_096),
                ("src/requests/models.py", 540, 1_040),
                ("src/requests/sessions.py", 402, 834),
                ("docs/user/advanced.rst", 233, 1_128),
                ("src/requests/adapters.py", 268, 697),
            )
        ),
        commits=commits,
        first_commit_at=moment(2011, 2, 13),
        last_commit_at=moment(2025, 12, 29),
        hot_files=tuple(
            FileChurn(path=path, commits=count, lines=lines)
            for path, count, lines in (
                ("tests/test_requests.py", 612, 3_040),
                ("src/requests/models.py", 540, 1_040),
                ("HISTORY.md", 498, 2_010),
                ("src/requests/sessions.py", 402, 834),
                ("src/requests/utils.py", 371, 1_096),
                ("AUTHORS.rst", 341, 190),
                ("src/requests/adapters.py", 268, 697),
                ("docs/user/advanced.rst", 233, 1_128),
                ("src/requests/__init__.py", 210, 184),
                ("setup.py", 188, 12),
                ("docs/index.rst", 164, 138),
                ("src/requests/cookies.py", 96, 561),
                ("src/requests/packages/urllib3/contrib/pyopenssl_connection_helpers.py", 71, 402),
                (".github/workflows/run-tests.yml", 58, 64),
            )
        ),
        contributors=tuple(
            Contributor(name=name, commits=count, first_at=moment(first, 3, 2), last_at=moment(last, 9, 14))
            for name, count, first, last in (
                ("Kenneth Reitz", 3_148, 2011, 2019),
                ("Cory Benfield", 742, 2012, 2018),
                ("Ian Cordasco", 498, 2012, 2023),
                ("Nate Prewitt", 441, 2016, 2025),
                ("Shivaram Lingamneni", 61, 2012, 2014),
                ("Łukasz Żółć", 44, 2013, 2015),
                ("דנה כהן", 38, 2014, 2016),
                ("田中 太郎", 31, 2015, 2021),
                ("dependabot[bot]", 29, 2021, 2025),
                ("O'Neil & Sons <build>", 12, 2013, 2013),
            )
        ),
        contributor_count=780,
        activity=activity,
        test_files=29,
        manifests=("pyproject.toml", "setup.py", "requirements-dev.txt", "docs/requirements.txt"),
        findings=tuple(
            Finding.model_validate(dict(zip(_FINDING, finding, strict=True)))
            for finding in (
                ("error", "merge-conflict", "docs/community/faq.rst", 41, "A merge conflict marker was committed"),
                ("warning", "complex-function", "src/requests/adapters.py", 613, "Complexity 27 is above 20"),
                ("warning", "complex-function", "src/requests/utils.py", 740, "Complexity 22 is above 20"),
                ("warning", "large-file", "tests/test_requests.py", 1, "3,040 lines in one file"),
                ("warning", "broad-except", "src/requests/packages.py", 18, "A bare except hides every error"),
                ("info", "todo", "src/requests/models.py", 702, "TODO: move this to the transport layer"),
                ("info", "todo", "src/requests/sessions.py", 388, "TODO: `verify` is read twice | see #1234"),
                ("info", "long-line", "setup.py", 9, "Line of 214 characters"),
            )
        ),
        findings_total=8,
        skipped={"binary": 4, "too-large": 1},
    )


def empty_analysis() -> Analysis:
    """A repository before its first commit."""
    return Analysis(
        repo=loaded_repo(name="ada/new", commit="0" * 40),
        files=0,
        binary_files=0,
        bytes=0,
        lines=0,
        languages=(),
        functions=0,
        average_complexity=0.0,
        complex_functions=(),
        largest_files=(),
        commits=0,
        first_commit_at=None,
        last_commit_at=None,
        hot_files=(),
        contributors=(),
        contributor_count=0,
        activity=(),
        test_files=0,
        manifests=(),
        findings=(),
        findings_total=0,
        skipped={},
    )


def understood_analysis() -> Analysis:
    """The example with all that is understood beyond counts."""
    block = DuplicatedBlock(
        lines=42,
        copies=5,
        places=tuple(LineRange(path=f"src/copy{number}.py", first_line=number, last_line=99) for number in range(1, 6)),
    )
    understood = {
        "duplication": Duplication(lines=310, compared_lines=15_500, ratio=0.02, blocks_total=1, blocks=(block,)),
        "dependencies": (
            Dependency(
                name="urllib3",
                constraint=">=1.26,<3",
                scope="runtime",
                ecosystem="python",
                path="pyproject.toml",
                line=12,
            ),
            Dependency(name="left|pad", constraint="", scope="dev", ecosystem="npm", path="web/package.json"),
        ),
        "dependencies_total": 2,
        "licenses": (
            License(spdx="Apache-2.0", path="LICENSE", source="text", similarity=0.98),
            License(spdx=None, path="COPYING", source="text", similarity=0.0),
            License(spdx="MIT OR ISC", path="pyproject.toml", source="manifest"),
        ),
        "hot_spots": (
            HotSpot(path="src/knot.py", commits=9, complexity=30, function="tie", line=7, score=270),
            HotSpot(path="src/simple.py", commits=90, complexity=3, function="say", line=1, score=270),
        ),
        "ownership": Ownership(
            bus_factor=3,
            folders=(Owned(path="src/", author="Ada", share=0.75, changes=1_200, authors=4),),
            files=(Owned(path="src/knot.py", author="Bob", share=1.0, changes=9, authors=1),),
            files_of_one=7,
            files_changed_often=80,
        ),
        "code_and_tests": CodeAndTests(code_files=40, code_lines=10_000, test_files=29, test_lines=4_000),
        "unreachable_files": (UnreachableFile(path="docs/gone", reason="dangling-symlink"),),
        "unreachable_total": 1,
        "huge_files": (HugeFile(path="data/big.bin", bytes=3_100_000),),
    }
    return example_analysis().model_copy(update=understood)
