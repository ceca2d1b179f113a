"""Any analysis that the contract allows, with the names that strangers give to files and to themselves."""

from datetime import UTC, date

from hypothesis import strategies as st

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

HOSTILE = (
    "<script>alert(1)</script>",
    "'\"><img src=x onerror=alert(1)>",
    "</style></title></svg>",
    "<!-- ]]> -->",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;&amp;&#60;",
    "a|b",
    "\\|",
    "\\",
    "`",
    "``a` b",
    "[x](javascript:alert(1))",
    "![x](https://evil.test/x.png)",
    "<https://evil.test>",
    "https://evil.test/a?b=c",
    "www.evil.test",
    "eve@evil.test",
    "*a* **b** _c_ ~~d~~ $e$",
    "a\n\n# b\r\n| c |",
    "- a",
    "1. a",
    "    a",
    " ",
    "",
    "\0",
    "\x1b[31m",
    "\u202egnp.exe",
    "\u2028\u2029\x85",
    "\ufffe\ufeff",
    "שלום עולם",
    "田中 太郎",
    "👩‍👩‍👧",
    "a/" * 400,
)
texts = st.sampled_from(HOSTILE) | st.text(max_size=30)
counts = st.integers(0, 10**7) | st.integers(0, 3)
moments = st.datetimes(timezones=st.just(UTC))


def _many(contract: type, size: int, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(st.builds(contract, **fields), max_size=size).map(tuple)


@st.composite
def activities(draw: st.DrawFn) -> tuple[MonthActivity, ...]:
    """Months of a short history, or with the wrong dates that real histories hold."""
    ordinary = st.dates(date(2019, 1, 1), date(2024, 12, 31))
    months = draw(st.sets((ordinary | st.dates()).map(lambda day: f"{day:%Y-%m}".zfill(7)), max_size=30))
    return tuple(MonthActivity(month=month, commits=draw(counts)) for month in sorted(months))


repos = st.builds(
    LoadedRepo,
    id=st.text("0123456789abcdef", min_size=32, max_size=32),
    name=texts,
    source=texts,
    commit=st.text("0123456789abcdef", min_size=40, max_size=40),
    ref=st.none() | texts,
    commits=counts,
    bytes_fetched=counts,
)

shares = st.floats(0, 1)
duplications = st.builds(
    Duplication,
    lines=counts,
    compared_lines=counts,
    ratio=shares,
    blocks=_many(
        DuplicatedBlock,
        4,
        lines=counts,
        copies=counts,
        places=_many(LineRange, 5, path=texts, first_line=counts, last_line=counts),
    ),
    files_left_out=counts,
)
owned = _many(Owned, 4, path=texts, author=texts, share=shares, changes=counts, authors=counts)
ownerships = st.builds(
    Ownership, bus_factor=counts, folders=owned, files=owned, files_of_one=counts, files_changed_often=counts
)

analyses: st.SearchStrategy[Analysis] = st.builds(
    Analysis,
    repo=repos,
    files=counts,
    binary_files=counts,
    bytes=counts,
    lines=counts,
    languages=_many(LanguageStats, 25, language=texts, files=counts, lines=counts, bytes=counts),
    functions=counts,
    average_complexity=st.floats(0, 100),
    complex_functions=_many(
        FunctionComplexity, 20, path=texts, line=counts, name=texts, complexity=counts, lines=counts
    ),
    largest_files=_many(FileChurn, 10, path=texts, commits=counts, lines=counts),
    commits=counts,
    first_commit_at=st.none() | moments,
    last_commit_at=st.none() | moments,
    hot_files=_many(FileChurn, 20, path=texts, commits=counts, lines=counts),
    contributors=_many(Contributor, 20, name=texts, commits=counts, first_at=moments, last_at=moments),
    contributor_count=counts,
    activity=activities(),
    test_files=counts,
    manifests=st.lists(texts, max_size=5).map(tuple),
    findings=_many(
        Finding,
        12,
        severity=st.sampled_from(("info", "warning", "error")),
        rule=texts,
        path=texts,
        line=counts,
        message=texts,
    ),
    findings_total=counts,
    skipped=st.dictionaries(texts, counts, max_size=3),
    duplication=duplications,
    dependencies=_many(
        Dependency,
        4,
        name=texts,
        constraint=texts,
        scope=st.sampled_from(("runtime", "dev", "optional")),
        ecosystem=st.sampled_from(("python", "npm", "go", "rust", "maven")),
        path=texts,
        line=st.none() | counts,
    ),
    dependencies_total=counts,
    licenses=_many(
        License,
        4,
        spdx=st.none() | texts,
        path=texts,
        source=st.sampled_from(("text", "manifest")),
        similarity=shares,
    ),
    hot_spots=_many(
        HotSpot, 4, path=texts, commits=counts, complexity=counts, function=texts, line=counts, score=counts
    ),
    ownership=st.none() | ownerships,
    code_and_tests=st.builds(CodeAndTests, code_files=counts, code_lines=counts, test_files=counts, test_lines=counts),
    unreachable_files=_many(
        UnreachableFile,
        4,
        path=texts,
        reason=st.sampled_from(("export-ignore", "linguist-generated", "dangling-symlink")),
    ),
    unreachable_total=counts,
    huge_files=_many(HugeFile, 4, path=texts, bytes=counts),
)
