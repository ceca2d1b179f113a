"""Patterns that mean harm, asked of a real index: told with their place, or answered; never a hang or a crash."""

import pytest
from hostile import FOUND, Served

from models.errors import InvalidInputError

LONG_LINES = {"a.txt": b"a" * 15_000 + b"!\n" + b"ab" * 7_000 + b"c\n", "retry.txt": b"retry\n"}


@pytest.fixture
def searched(served: Served) -> Served:
    served.import_files(LONG_LINES)
    served.first = served.load()
    served.index(served.first)
    assert served.lines(served.first, "retry") == {**FOUND, "retry.txt": [1]}
    return served


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("(a+)+$", set[str]()),
        ("(a|aa)+$", set[str]()),
        ("(a*)*b$", set[str]()),
        ("(.*)*!", {"a.txt"}),
        ("(a|a|a|a)*c$", {"a.txt"}),
        ("((((a+)+)+)+)+c$", set[str]()),
        ("(ab)*c$", {"a.txt"}),
        ("(?:a?){25}a{25}!", {"a.txt"}),
        ("(x+x+)+y", set[str]()),
        ("a{1000}!", {"a.txt"}),
        (r"\bretry\b", {"docs/often.md", "readme.md", "retry.txt"}),
    ],
)
def test_patterns_that_keep_others_busy_for_ever_are_answered(searched: Served, pattern: str, paths: set[str]) -> None:
    found = searched.search(searched.first, f"/{pattern}/ case:yes")
    assert found.is_complete
    assert {item.path for item in found.items} == paths


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("x" * 10_240, "column 2001: expected a query of at most 2,000 characters"),
        (f"/{'(a+)+' * 2_048}$/", "column 2001: expected a query of at most 2,000 characters"),
        ("/(/", "column 1: not a regular expression of RE2: missing ): (?m)("),
        ("/)/", "column 1: not a regular expression of RE2: unexpected ): (?m))"),
        ("/[a/", "column 1: not a regular expression of RE2: missing ]: [a"),
        ("/a**{/ /*/", "column 1: not a regular expression of RE2: bad repetition operator: **"),
        (f"/{'(' * 1_500}/", "column 1: not a regular expression of RE2: "),
        (f"/{'(' * 900}a{')' * 900}/ path:/(/", "column 1810: not a regular expression of RE2: "),
        ("/((a{100}){100}){100}/", "column 1: not a regular expression of RE2: "),
        ("/(?<=a)b/", "column 1: not a regular expression of RE2: "),
        (r"/(a)\1/", "column 1: not a regular expression of RE2: invalid escape sequence: \\1"),
        ("(" * 60 + "a", "column 51: expected at most 50 parentheses within each other"),
        ('"unbalanced', "column 12: expected a closing quotation mark"),
        ("(retry", "column 7: expected a closing )"),
        ("retry)", "column 6: there is no ( for this )"),
        ("path:/[/", "column 6: not a regular expression of RE2: missing ]: ["),
        ("\ud800", "column 1: expected a text without halves of characters"),
    ],
)
def test_patterns_that_cannot_be_read_are_told_with_their_place(searched: Served, query: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        searched.search(searched.first, query)
    assert [problem.message[: len(message)] for problem in refused.value.problems] == [message]
    assert (refused.value.code, refused.value.problems[0].pointer) == ("invalid-input", "/q")
    assert searched.lines(searched.first, "retry") == {**FOUND, "retry.txt": [1]}


@pytest.mark.parametrize(
    "query", ["path:" + "*" * 1_900, "path:" + "**/" * 600, "-" * 900 + "retry", "zz OR " * 99 + "retry"]
)
def test_long_globs_and_chains_are_answered(searched: Served, query: str) -> None:
    assert searched.search(searched.first, query).is_complete
