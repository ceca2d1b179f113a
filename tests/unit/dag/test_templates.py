from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import MISSING, Hole, Missing, MissingValueError, Read, StoredValue, Value, put, walk
from tests.unit.dag.strategies import json_values
from workflows.dag.findings import Findings
from workflows.dag.plan import Slot, Template
from workflows.dag.templates import fill_template, read_template

STORED = StoredValue("ab", 5_000)
FOUND = {"name": "Ada", "none": None, "list": [1, 2]}
VALUES: dict[int, Value | Missing] = {
    0: Value(FOUND),
    1: Value.of_stored(STORED),
    2: Value(),
    3: MISSING,
    4: Value({"small": 1, "big": None}, (Hole(("big",), STORED),)),
}
NUMBERS = {"find": 0, "big": 1, "null": 2, "skipped": 3, "partly": 4}


def template(raw: Any) -> Template:
    findings = Findings()
    read = read_template(raw, "/input", findings)
    assert not findings
    return read.resolve(NUMBERS.__getitem__)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("from:find", FOUND),
        ("from:find.name", "Ada"),
        ("from:null", None),
        ("from:null.x ?? 1", 1),
        ("from:find.none ?? 1", 1),
        ("from:find.none", None),
        ("from:find.nope ?? null", None),
        ({"a": "from:find.nope", "b": 1}, {"b": 1}),
        ({"a": ["from:find.list[-1]", {"b": "from:find.list"}]}, {"a": [2, {"b": [1, 2]}]}),
        ({"from:find": "x"}, {"from:find": "x"}),
        ("from::find", "from:find"),
        ("from:skipped ?? 1", 1),
        ("from:skipped.name ?? null", None),
        ({"a": "from:skipped", "b": {"c": "from:skipped.name"}}, {"b": {}}),
        ("from:partly.small", 1),
        ([], []),
    ],
)
def test_template_is_filled(raw: Any, value: Any) -> None:
    filled = fill_template(template(raw), VALUES.__getitem__)
    assert filled == Value(value)


def test_stored_values_leave_holes_for_the_worker() -> None:
    raw = {"a": "from:big.x ?? 7", "b": ["from:big"], "c": "from:partly", "d": "from:partly.big.x[0]"}
    filled = fill_template(template(raw), VALUES.__getitem__)
    assert filled.json == {"a": None, "b": [None], "c": {"small": 1, "big": None}, "d": None}
    assert filled.holes == (
        Hole(("a",), STORED, (Read(("x",), has_default=True, default=7),)),
        Hole(("b", 0), STORED),
        Hole(("c", "big"), STORED),
        Hole(("d",), STORED, (Read(("x", 0)),)),
    )


@pytest.mark.parametrize(
    "raw", ["from:find.nope", "from:skipped", ["from:find.nope"], ["from:skipped"], {"a": ["x", "from:find.list[9]"]}]
)
def test_missing_value_that_can_not_be_left_out_is_an_error(raw: Any) -> None:
    with pytest.raises(MissingValueError):
        fill_template(template(raw), VALUES.__getitem__)


@given(json_values(), st.data())
def test_references_anywhere_are_filled_and_nothing_else_changes(raw: Any, data: st.DataObject) -> None:
    def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
        if isinstance(value, dict) and value:
            return [place for name, item in value.items() for place in places(item, (*at, name))]
        if isinstance(value, list) and value:
            return [place for index, item in enumerate(value) for place in places(item, (*at, index))]
        return [at]

    at = data.draw(st.sampled_from(places(raw)))
    compiled = template(put(deepcopy(raw), at, "from:find.name"))
    assert compiled.slots == (Slot(at, 0, Read(("name",))),)
    before = deepcopy(compiled)
    filled = fill_template(compiled, VALUES.__getitem__)
    assert walk(filled.json, at) == "Ada"
    assert put(filled.json, at, 0) == put(deepcopy(raw), at, 0)
    assert compiled == before
