from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import MISSING, walk
from tests.unit.dag.strategies import paths, schemas, values_of
from workflows.dag.schemas import ANY, DeadEnd, Place, Schema, branches, describe, follow

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "nick": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "home": {"$ref": "#/$defs/home"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        "scores": {"type": "object", "additionalProperties": {"type": "integer"}},
        "either": {"oneOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                             {"type": "array", "items": {"type": "integer"}}]},
        "parts": {"type": "object", "allOf": [{"properties": {"x": {"type": "string"}}},
                                              {"properties": {"y": {"type": "null"}}}]},
        "odd": {"type": "object", "patternProperties": {"^x": {"type": "string"}},
                "properties": {"y": {"type": "string"}}},
        "needed": {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"},
                   "allOf": [{"required": ["w"]}]},
        "open": {"type": "object", "properties": {"w": {"type": "string"}}, "required": ["x"]},
        "never": False,
        "any": True,
    },
    "required": ["name", "home", "tags", "pair", "scores", "either", "parts", "odd", "needed", "open"],
    "$defs": {"home": {"type": "object", "properties": {"city": {"type": "string"}, "again": {"$ref": "#"}},
                       "required": ["city"], "additionalProperties": False}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "types", "optional"),
    [
        (("name",), "string", False),
        (("nick",), "string or null", True),
        (("home", "city"), "string", False),
        (("home", "again", "home", "again", "name"), "string", True),
        (("tags", 7), "string", False),
        (("tags", -1), "string", False),
        (("pair", 0), "string", False),
        (("pair", 1), "integer", False),
        (("pair", -1), "any value", False),
        (("scores", "x"), "integer", True),
        (("either", "a"), "string", True),
        (("either", 0), "integer", True),
        (("parts", "x"), "string", True),
        (("parts", "y"), "null", True),
        (("odd", "xyz"), "any value", True),
        (("any", "thing", 3, "x"), "any value", True),
        (("needed", "x"), "integer", False),
        (("needed", "z"), "integer", True),
        (("open", "x"), "any value", False),
    ],
)
def test_path_is_followed(path: tuple[str | int, ...], types: str, optional: bool) -> None:
    place = follow((Schema.of(PERSON),), path)
    assert isinstance(place, Place)
    assert (describe(place.shape), place.optional) == (types, optional)


@pytest.mark.parametrize(
    ("path", "depth", "names"),
    [
        (("nam",), 0, tuple(PERSON["properties"])),
        (("name", "x"), 1, ()),
        (("name", 0), 1, ()),
        ((0,), 0, ()),
        (("home", "town"), 1, ("city", "again")),
        (("tags", "x"), 1, ()),
        (("tags", 0, "x"), 2, ()),
        (("pair", 2), 1, ()),
        (("either", "b"), 1, ("a",)),
        (("never",), 0, tuple(PERSON["properties"])),
    ],
)
def test_dead_end_says_how_far_it_went_and_what_there_is(path: Any, depth: int, names: tuple[str, ...]) -> None:
    assert follow((Schema.of(PERSON),), path) == DeadEnd(depth, names)


@given(schemas(), paths, st.data())
def test_what_a_path_leads_to_is_known_before(schema: Any, path: tuple[str | int, ...], data: st.DataObject) -> None:
    found = walk(data.draw(values_of(schema)), path)
    place = follow((Schema.of(schema),), path)
    if isinstance(place, DeadEnd):
        assert found is MISSING
    elif found is not MISSING:
        assert any(one.validates(found) for one in place.shape)


@given(schemas(), st.data())
def test_every_value_fits_one_of_the_alternatives(schema: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(schema))
    assert any(branch.validates(value) for branch in Schema.of(schema).branches())


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "any value"),
        (True, "any value"),
        (False, "nothing"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"enum": [None, True, "é", [1]]}, 'one of null, true, "é", [1]'),
        ({"const": "x" * 100}, 'one of "' + "x" * 59 + "…"),
        ({"anyOf": [{"type": "string"}, {"type": "string", "minLength": 1}, {"const": 1}]}, "string or one of 1"),
        ({"$ref": "#/nowhere"}, "any value"),
        ({"$ref": "#"}, "any value"),
        ({"prefixItems": []}, "array"),
    ],
)
def test_schema_is_described_in_a_few_words(schema: Any, words: str) -> None:
    assert describe((Schema.of(schema),)) == words


def test_shape_of_too_many_alternatives_is_unknown() -> None:
    assert branches((Schema.of({"type": "string"}),) * 65) == [ANY]


def test_endless_validation_counts_as_valid() -> None:
    assert Schema.of({"allOf": [{"$ref": "#"}, {"type": "string"}]}).validates(5)
