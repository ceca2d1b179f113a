"""`--input name=text` and `--input name:=JSON`."""

from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.client.inputs import allowed_types, parse_inputs, parse_labels, typed_values

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "deep": {"type": "boolean"},
        "name": {"type": "string"},
        "times": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "both": {"type": ["integer", "string"]},
        "named": {"$ref": "#/$defs/size"},
        "round": {"$ref": "#/$defs/round"},
        "any": {},
    },
    "$defs": {"size": {"type": "integer"}, "round": {"$ref": "#/$defs/round"}},
}


def values(*texts: str, schema: Any = SCHEMA) -> dict[str, Any]:
    return typed_values(parse_inputs(texts), schema)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count=3", 3),
        ("count=-3", -3),
        ("count=3.5", "3.5"),
        ("count=many", "many"),
        ("count=" + "9" * 500, "9" * 500),
        ("ratio=3", 3),
        ("ratio=0.25", 0.25),
        ("ratio=1e999", "1e999"),
        ("ratio=nan", "nan"),
        ("deep=true", True),
        ("deep=False", False),
        ("deep=yes", "yes"),
        ("name=3", "3"),
        ("name=", ""),
        ("times=2", 2),
        ("both=2", "2"),
        ("named=2", 2),
        ("round=2", "2"),
        ("any=2", "2"),
        ("unknown=2", "2"),
        ("any:=2", 2),
        ('any:={"a":[1]}', {"a": [1]}),
        ("name:=null", None),
    ],
)
def test_value_is_read_as_the_schema_says(text: str, expected: Any) -> None:
    (value,) = values(text).values()
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("schema", [None, True, {}, {"properties": None}, {"properties": {"count": True}}])
def test_without_a_schema_text_stays_text(schema: Any) -> None:
    assert values("count=3", schema=schema) == {"count": "3"}


def test_first_sign_ends_the_name() -> None:
    assert values("url=http://x?a:=1&b=2", "a:b=1") == {"url": "http://x?a:=1&b=2", "a:b": "1"}


@pytest.mark.parametrize("text", ["", "name", "=value", "a:=", "a:={", "a:=NaN", 'a:={"x":1,"x":2}', "a:=\udcff"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_inputs([text])


def test_name_given_twice_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="twice"):
        parse_inputs(["a=1", "a:=2"])


@settings(deadline=None)  # other people's work on the machine is no fault of this code
@given(st.text(min_size=1))
def test_any_text_is_taken_or_refused(text: str) -> None:
    try:
        (assignment,) = parse_inputs([text]).values()
    except typer.BadParameter:
        return
    assert text.startswith(assignment.name)


def test_types_of_alternatives_are_those_of_all() -> None:
    assert allowed_types({"oneOf": [{"type": "integer"}, {"type": ["string", "null"]}]}, {}) == {
        "integer",
        "string",
        "null",
    }


def test_labels_are_text() -> None:
    assert parse_labels(["team=a=b", "empty="]) == {"team": "a=b", "empty": ""}
    with pytest.raises(typer.BadParameter):
        parse_labels(["team"])
