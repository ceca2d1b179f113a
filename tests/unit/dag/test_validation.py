from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from tests.unit.dag.strategies import json_values, schemas
from workflows.dag.user_schemas import MAX_PARTS, check_schema
from workflows.dag.validation import MAX_ERRORS, validate_value


def found(schema: Any, value: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in validate_value(schema, value, "/input")]


@pytest.mark.parametrize(
    ("schema", "value", "problems"),
    [
        ({"type": "string"}, 5, [("type-mismatch", "/input")]),
        ({"required": ["a", "b"]}, {}, [("missing-field", "/input/a"), ("missing-field", "/input/b")]),
        ({"properties": {"a": {"required": ["x/y"]}}}, {"a": {}}, [("missing-field", "/input/a/x~1y")]),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 2, "c": 3},
         [("unknown-field", "/input/b"), ("unknown-field", "/input/c")]),
        ({"additionalProperties": {"type": "string"}}, {"a": 1}, [("type-mismatch", "/input/a")]),
        ({"additionalProperties": False, "patternProperties": {"^x": {"type": "null"}}}, {"x1": None, "y": 1},
         [("unknown-field", "/input/y")]),
        ({"patternProperties": {"^x": {"type": "null"}}}, {"x1": 1}, [("type-mismatch", "/input/x1")]),
        ({"items": {"pattern": "^a+$"}}, ["aa", "b", 5], [("type-mismatch", "/input/1")]),
        ({"items": {"type": "integer"}}, ["x"] * 12, [("type-mismatch", f"/input/{n}") for n in range(12)]),
        ({"uniqueItems": True}, [1, 1.0], [("type-mismatch", "/input")]),
        ({"uniqueItems": True}, [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], [("type-mismatch", "/input")]),
        ({"uniqueItems": True}, [1, True, "1", [1], None, 0, False], []),
        ({"pattern": "(a+)+$"}, "a" * 100_000 + "b", [("type-mismatch", "/input")]),
        ({"format": "date"}, "x", []),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "urn:x", "$ref": "#/$defs/a",
          "$defs": {"a": {"type": "null"}}}, 1, [("type-mismatch", "/input")]),
    ],
)  # fmt: skip
def test_problem_of_a_value_has_code_and_place(schema: Any, value: Any, problems: list[tuple[str, str]]) -> None:
    assert check_schema(schema, "") == []
    assert found(schema, value) == problems


@given(schemas(), json_values())
def test_verdict_is_that_of_the_library(schema: Any, value: Any) -> None:
    assert (found(schema, value) == []) == Draft202012Validator(schema).is_valid(value)


def test_errors_are_listed_up_to_a_bound() -> None:
    assert len(found({"items": False}, list(range(10_000)))) == 1
    assert len(found({"items": {"type": "null"}}, list(range(10_000)))) == MAX_ERRORS


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize("keyword", ["allOf", "oneOf"])
def test_exponential_schema_is_stopped(keyword: str) -> None:
    bomb = {"properties": {"x": {keyword: [{"$ref": "#"}, {"$ref": "#"}]}}}
    assert check_schema(bomb, "") == []
    assert found(bomb, deep(40)) == [("too-large", "/input")]
    assert found(bomb, deep(1)) == ([] if keyword == "allOf" else [("type-mismatch", "/input/x")])


def test_recursive_schema_holds_for_deep_values() -> None:
    tree = {"type": "object", "properties": {"x": {"anyOf": [{"$ref": "#"}, {"const": 0}]}}}
    assert found(tree, deep(20)) == []


PATTERN = {"pattern": "("}


@pytest.mark.parametrize(
    ("schema", "problems"),
    [
        ({}, []),
        (True, []),
        ({"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}, "$id": {}}}, []),
        ({"const": PATTERN, "enum": [PATTERN], "default": PATTERN, "examples": [PATTERN]}, []),
        ({"properties": {"default": PATTERN}}, [("bad-expression", "/s/properties/default/pattern")]),
        ({"patternProperties": {"(": True}}, [("bad-expression", "/s/patternProperties/(")]),
        ({"pattern": "(?=a)"}, [("bad-expression", "/s/pattern")]),
        ({"type": "texts"}, [("type-mismatch", "/s/type")]),
        ({"properties": {"a": 5}}, [("type-mismatch", "/s/properties/a")]),
        (5, [("type-mismatch", "/s")]),
        ({"items": {"$ref": "#/$defs/a~1b"}, "$defs": {"a/b": {"$ref": "#"}}}, []),
        ({"items": {"$ref": "#/$defs/a%20b"}, "$defs": {"a b": True}}, []),
        ({"$ref": "#/$defs/b", "$defs": {"a": {}}}, [("unknown-path", "/s/$ref")]),
        ({"$ref": "http://example.com/schema"}, [("unknown-path", "/s/$ref")]),
        ({"$ref": "#name"}, [("unknown-path", "/s/$ref")]),
        ({"$ref": "#/default", "default": PATTERN}, [("unknown-path", "/s/$ref")]),
        ({"$ref": "#"}, [("cycle", "/s")]),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
            [("cycle", "/s/$defs/a")],
        ),
        ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, [("cycle", "/s")]),
        ({"not": {"$ref": "#"}}, [("cycle", "/s")]),
        ({"dependentSchemas": {"a": {"$ref": "#"}}}, [("cycle", "/s")]),
        ({"items": {"$ref": "#"}}, []),
        ({"$id": "urn:x"}, []),
        ({"items": {"$id": "urn:x"}}, [("not-supported-yet", "/s/items/$id")]),
        ({"$anchor": "a"}, [("not-supported-yet", "/s/$anchor")]),
        ({"$dynamicRef": "#"}, [("not-supported-yet", "/s/$dynamicRef")]),
        ({"unevaluatedProperties": False}, [("not-supported-yet", "/s/unevaluatedProperties")]),
        ({"anyOf": [True] * MAX_PARTS}, [("too-large", "/s")]),
    ],
)
def test_schema_somebody_wrote_is_checked(schema: Any, problems: list[tuple[str, str]]) -> None:
    assert [(one.code, one.pointer) for one in check_schema(schema, "/s")] == problems


@given(json_values())
def test_any_value_is_a_schema_or_refused(value: Any) -> None:
    if not check_schema(value, ""):
        found(value, {"a": [1]})
