"""JSON Pointers into files that people wrote."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client.positions import Position, Source, find_position, parse, read_file
from cli.client.refusals import PlacedProblem, line_of
from models.errors import InvalidInputError, Problem

DEFINITION = """\
id: review   # a comment
steps:
  - id: load
    service: context
    input: {owner: "from:input.owner", "odd/key~": 1}
  - id: load
    depends_on:
      - gone
"""

_TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=5)
_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("pointer", "at_key", "expected"),
    [
        ("", False, (1, 1)),
        ("/id", False, (1, 5)),
        ("/id", True, (1, 1)),
        ("/steps/0/service", False, (4, 14)),
        ("/steps/0/service", True, (4, 5)),
        ("/steps/0/input/owner", False, (5, 20)),
        ("/steps/0/input/odd~1key~0", True, (5, 40)),
        ("/steps/1", False, (6, 5)),
        ("/steps/1/depends_on/0", False, (8, 9)),
    ],
)
def test_pointer_leads_to_line_and_column(pointer: str, at_key: bool, expected: tuple[int, int]) -> None:
    assert find_position(parse(DEFINITION), pointer, at_key=at_key) == Position(*expected)


@pytest.mark.parametrize(
    ("pointer", "expected"),
    [
        ("/steps/1/action", (6, 5)),
        ("/steps/9", (2, 1)),
        ("/nothing/at/all", (1, 1)),
        ("/steps/1/depends_on/0/x", (8, 9)),
    ],
)
def test_pointer_to_what_is_missing_leads_to_the_innermost_part_around_it(
    pointer: str, expected: tuple[int, int]
) -> None:
    assert find_position(parse(DEFINITION), pointer, at_key=False) == Position(*expected)


def test_json_indented_by_tabs_has_positions() -> None:
    text = json.dumps({"id": "a", "steps": [{"id": "b"}]}, indent="\t")
    assert find_position(parse(text), "/steps/0/id", at_key=True) == Position(5, 4)


@pytest.mark.parametrize("text", ["", "{", "a: [", "\x00"])
def test_text_that_cannot_be_read_has_a_beginning(text: str) -> None:
    assert find_position(parse(text), "/steps/0", at_key=False) == Position(1, 1)


@settings(deadline=None)  # other people's work on the machine is no fault of this code
@given(_DOCUMENTS)
def test_every_value_of_a_json_document_is_found_where_it_stands(document: Any) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False)
    lines = text.split("\n")
    tree = parse(text)
    for pointer, value in _values(document, ""):
        position = find_position(tree, pointer, at_key=False)
        rest = "\n".join([lines[position.line - 1][position.column - 1 :], *lines[position.line :]])
        assert json.JSONDecoder().raw_decode(rest)[0] == value


def _values(value: Any, pointer: str) -> list[tuple[str, Any]]:
    found = [(pointer, value)]
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in pairs:
        found += _values(item, f"{pointer}/{str(name).replace('~', '~0').replace('/', '~1')}")
    return found


def test_problem_is_printed_with_place_code_message_and_suggestion() -> None:
    problem = Problem(
        pointer="/steps/0/service",
        code="unknown-service",
        message="no service\n 'contex'",
        suggestion="did you mean x?",
    )
    placed = Source("flow.yaml", DEFINITION).place(problem)
    assert line_of(placed) == "flow.yaml:4:14  unknown-service  no service 'contex'  did you mean x?"


def test_unknown_field_is_placed_at_its_name() -> None:
    placed = Source("f", DEFINITION).place(Problem(pointer="/steps/0/service", code="unknown-field", message="m"))
    assert isinstance(placed, PlacedProblem)
    assert (placed.line, placed.column) == (4, 5)


def test_pointer_that_leads_elsewhere_than_into_the_file_stays_as_it_is() -> None:
    source = Source("input.yaml", "path: 1", prefix="/input")
    for pointer in ("/labels/a", "/inputs", ""):
        problem = Problem(pointer=pointer, code="type-mismatch", message="m")
        assert source.place(problem) is problem
    placed = source.place(Problem(pointer="/input/path", code="type-mismatch", message="m"))
    assert isinstance(placed, PlacedProblem)
    assert (placed.line, placed.column) == (1, 7)


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("a.yaml", "id: a\nsteps: [", 2, 9),
        ("a.yaml", "id: a\nid: b\n", 2, 1),
        ("a.json", '{"id": "a",\n "steps": oops}', 2, 11),
    ],
)
def test_file_that_cannot_be_read_says_where(tmp_path: Path, name: str, text: str, line: int, column: int) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(InvalidInputError) as refused:
        read_file(file)
    (problem,) = refused.value.problems
    assert isinstance(problem, PlacedProblem)
    assert (problem.file, problem.line, problem.column) == (str(file), line, column)
    assert "line" not in problem.message
