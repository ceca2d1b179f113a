"""What people write in a search, and what is told of what cannot be read."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from services.context.search.query import All, AnyOf, Content, LangIs, Node, Not, PathIs, RepoIs, SymbolIs, parse


def told(node: Node) -> str:
    """A tree as text: what tables of expectations are written in."""
    match node:
        case All(operands):
            return f"all({' '.join(map(told, operands))})"
        case AnyOf(operands):
            return f"any({' '.join(map(told, operands))})"
        case Not(operand):
            return f"not({told(operand)})"
        case LangIs(name):
            return f"lang={name}"
        case Content(pattern) | PathIs(pattern) | RepoIs(pattern) | SymbolIs(pattern):
            kinds = {Content: "", PathIs: "path=", RepoIs: "repo=", SymbolIs: "symbol="}
            return kinds[type(node)] + (f"/{pattern.text}/" if pattern.regex else pattern.text)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", "all()"),
        ("retry", "retry"),
        ("retry later", "all(retry later)"),
        ("retry AND later", "all(retry later)"),
        ('"retry later"', "retry later"),
        (r'"say \"hi\" \\ \n"', r'say "hi" \ \n'),
        ("a OR b c", "any(a all(b c))"),
        ("(a OR b) c", "all(any(a b) c)"),
        ("-a NOT b --c", "all(not(a) not(b) not(not(c)))"),
        ("NOT (a b)", "not(all(a b))"),
        ("/a b/", "/a b/"),
        (r"/a\/b\d/", r"/a/b\d/"),
        ("/usr/bin", "/usr/bin"),
        ("a/b", "a/b"),
        ("(/x/)", "/x/"),
        ("path:src/*.py lang:Python", "all(path=src/*.py lang=Python)"),
        (r'path:/\.py$/ repo:"my repo" symbol:compile', r"all(path=/\.py$/ repo=my repo symbol=compile)"),
        ("-path:test x", "all(not(path=test) x)"),
        ("PATH:x", "path=x"),
        ("http://x std::vector", "all(http://x std::vector)"),
        ('"OR" "NOT"', "all(OR NOT)"),
        ("or not and", "all(or not and)"),
        ("-", "-"),
        ("a - b", "all(a - b)"),
        ("x case:yes", "x"),
        ("日本 語", "all(日本 語)"),
    ],
)
def test_queries_are_read(text: str, tree: str) -> None:
    assert told(parse(text).root) == tree


def test_what_is_about_the_whole_query() -> None:
    query = parse("retry rev:v1.2 count:20 case:YES")
    assert (query.rev, query.count, query.case_sensitive) == ("v1.2", 20, True)
    query = parse("retry case:no")
    assert (query.rev, query.count, query.case_sensitive) == (None, None, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a OR", "column 5: expected an operand on both sides of OR"),
        ("OR a", "column 1: expected an operand on both sides of OR"),
        ("a AND", "column 6: expected an operand on both sides of AND"),
        ("AND a", "column 5: expected an operand on both sides of AND"),
        ("a NOT", "column 6: expected an operand after NOT"),
        ("(a", "column 3: expected a closing )"),
        ("a)", "column 2: there is no ( for this )"),
        ("()", "column 2: expected an operand between ( and )"),
        ('x "a', "column 5: expected a closing quotation mark"),
        ('""', "column 1: expected a text that is not empty"),
        ("path:", "column 6: expected a value after path:"),
        ("path: x", "column 6: expected a value after path:"),
        ("case:maybe", "column 6: expected case:yes or case:no"),
        ("count:0", "column 7: expected a number from 1 to 1,000 after count:"),
        ("count:x", "column 7: expected a number from 1 to 1,000 after count:"),
        ("rev:a rev:b", "column 11: expected rev: only once"),
        ("(x rev:a)", "column 8: expected rev: outside of parentheses, since it is about the whole query"),
        ("(" * 51 + "a" + ")" * 51, "column 51: expected at most 50 parentheses within each other"),
        ("a " * 101, "column 201: expected at most 100 operands"),
        ("a" * 2_001, "column 2001: expected a query of at most 2,000 characters"),
        ("a\x00b", "column 1: expected a text of one line"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse(text)
    assert [problem.message for problem in refused.value.problems] == [message]
    assert refused.value.problems[0].pointer == "/q"


@given(st.text(alphabet='ab "/\\()-:*ORNTADpath', max_size=40))
def test_anything_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInputError):
        parse(text)
