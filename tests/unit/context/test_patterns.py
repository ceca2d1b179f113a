"""Patterns: what they match, and that no file that matches is left out by its trigrams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from services.context.search.patterns import ANYTHING, grams_of, matcher, name_matcher, regex_grams
from services.context.search.query import Pattern


def of(text: str, *, regex: bool = False, case_sensitive: bool = False) -> list[str]:
    found = matcher(Pattern(text, regex, 1), case_sensitive=case_sensitive)
    source = "Retry the ретрай, straße\na.b a-b\nend"
    return [source.encode()[start:end].decode() for start, end in found.spans(source.encode())]


@pytest.mark.parametrize(
    ("text", "regex", "case_sensitive", "found"),
    [
        ("retry", False, False, ["Retry"]),
        ("retry", False, True, []),
        ("РЕТРАЙ", False, False, ["ретрай"]),
        ("a.b", False, False, ["a.b"]),
        ("a.b", True, False, ["a.b", "a-b"]),
        ("^a.*$", True, False, ["a.b a-b"]),
        (r"straße\s+a", True, False, []),
        ("e$", True, False, ["e"]),
        ("x*", True, False, []),
    ],
)
def test_patterns_stay_on_their_line(text: str, regex: bool, case_sensitive: bool, found: list[str]) -> None:
    assert of(text, regex=regex, case_sensitive=case_sensitive) == found


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("test", "src/Tests/a.py", True),
        ("*.py", "src/a.py", True),
        ("*.py", "src/a.pyc", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/b/a.py", False),
        ("src/**/*.py", "src/a.py", True),
        ("src/**/*.py", "x/src/b/c/a.py", True),
        ("/src/*", "x/src/a", False),
        ("/src/*", "src/a", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a+b*", "a+bc", True),
    ],
)
def test_paths_by_glob(glob: str, path: str, matches: bool) -> None:
    assert name_matcher(Pattern(glob, regex=False, column=1)).is_in(path.encode()) == matches


@pytest.mark.parametrize(
    "text", ["(a", "a{2,1}", "[b-a]", "*", "(?<x", r"\8", "(?=a)", "a" * 5 + "{1000}{1000}{1000}", "(a{1000}){1000}"]
)
def test_what_re2_refuses_is_told_with_its_place(text: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        matcher(Pattern(text, regex=True, column=7), case_sensitive=False)
    assert refused.value.problems[0].message.startswith("column 7: not a regular expression of RE2: ")


def test_no_pattern_takes_more_than_linear_time() -> None:
    found = matcher(Pattern("(a+)+$", regex=True, column=1), case_sensitive=True)
    assert not found.is_in(b"a" * 100_000 + b"!")  # with backtracking it would not end at all


@pytest.mark.parametrize(
    ("pattern", "grams"),
    [
        ("foo.*bar", [{"foo", "bar"}]),
        ("FooB", [{"foo", "oob"}]),
        ("abcd?", [{"abc"}]),
        ("abcd*e", [{"abc"}]),
        ("abc+d", [{"abc"}]),
        ("(abc)def", [{"def"}]),
        ("abc|xyz", [{"abc"}, {"xyz"}]),
        (r"a\.bc", [{"a.b", ".bc"}]),
        ("[abc]def", [{"def"}]),
    ],
)
def test_what_is_sure_about_a_regular_expression(pattern: str, grams: list[set[str]]) -> None:
    assert [set(one) for one in regex_grams(pattern)] == grams


@pytest.mark.parametrize("pattern", ["ab", "a|bcd", ".*", r"\Qabc\E", "(?s)abc", "(abc|def)", "a{3}"])
def test_what_is_not_sure_excludes_nothing(pattern: str) -> None:
    assert not all(regex_grams(pattern)) or regex_grams(pattern) == ANYTHING


_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        "abc",
        "Ab",
        ".",
        "[ab]",
        "[^a]",
        "[]a]",
        r"\.",
        r"\d",
        r"\w",
        r"\x61",
        r"\n",
        "(ab|c)",
        "(?:bc)",
        "^",
        "$",
        r"\b",
        "{",
    ]
)
_PARTS = st.tuples(_ATOMS, st.sampled_from(["", "", "", "?", "*", "+", "{2}", "{0,2}", "+?"])).map("".join)
_REGEXES = st.lists(st.lists(_PARTS, min_size=1, max_size=6).map("".join), min_size=1, max_size=3).map("|".join)


@given(_REGEXES, st.text(alphabet="abcABC.1 {\n", max_size=30))
def test_whatever_matches_has_the_trigrams(pattern: str, text: str) -> None:
    try:
        found = matcher(Pattern(pattern, regex=True, column=1), case_sensitive=False)
    except InvalidInputError:
        return
    if found.is_in(text.encode()):
        assert any(grams <= grams_of(text) for grams in found.grams)


@given(st.text(min_size=1, max_size=8), st.text(max_size=20), st.text(max_size=20))
def test_a_literal_is_found_wherever_it_is(literal: str, before: str, after: str) -> None:
    if "\n" in literal or "\x00" in literal or not literal.isprintable():
        return
    found = matcher(Pattern(literal, regex=False, column=1), case_sensitive=True)
    text = before + literal + after
    assert found.is_in(text.encode("utf-8", "replace"))
    assert found.grams[0] <= grams_of(text)
