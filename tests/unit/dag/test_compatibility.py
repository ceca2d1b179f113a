from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tests.unit.dag.strategies import UNIVERSE, bounded_schemas, changed, schemas, values_of
from workflows.dag.compatibility import Answer, fits, mismatch
from workflows.dag.inclusion import always_fits
from workflows.dag.schemas import Schema


def reason(given_schema: Any, wanted_schema: Any) -> str | None:
    return mismatch((Schema.of(given_schema),), Schema.of(wanted_schema))


def answer(given_schema: Any, wanted_schema: Any) -> Answer:
    return fits((Schema.of(given_schema),), Schema.of(wanted_schema)).answer


def is_valid(schema: Any, value: Any, *, formats: bool) -> bool:
    checker = FormatChecker() if formats else None
    return Draft202012Validator(schema, format_checker=checker).is_valid(value)


def pairs(one: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    """Two schemas, most of them much alike."""
    return one.flatmap(lambda schema: st.tuples(st.just(schema), changed(schema).flatmap(changed) | one))


@given(pairs(bounded_schemas()), st.booleans())
@settings(max_examples=400)
def test_what_fits_is_valid_with_every_value_formats_asserted_or_not(pair: tuple[Any, Any], formats: bool) -> None:
    one, other = pair
    if answer(one, other) is Answer.FITS:
        for value in UNIVERSE:
            if is_valid(one, value, formats=formats):
                assert is_valid(other, value, formats=formats), value


@given(pairs(schemas()), st.data())
@settings(max_examples=200)
def test_what_fits_is_valid_with_any_value_that_can_be_made(pair: tuple[Any, Any], data: st.DataObject) -> None:
    one, other = pair
    if answer(one, other) is Answer.FITS:
        assert Schema.of(other).validates(data.draw(values_of(one)))


@given(pairs(bounded_schemas()))
def test_what_fits_is_not_refused_and_what_is_refused_does_not_fit(pair: tuple[Any, Any]) -> None:
    found = fits((Schema.of(pair[0]),), Schema.of(pair[1]))
    assert found.reason == reason(*pair)
    assert (found.answer is Answer.MISMATCH) == (found.reason is not None)
    assert (found.answer is Answer.FITS) == always_fits((Schema.of(pair[0]),), Schema.of(pair[1]))


@given(pairs(bounded_schemas(1)))
@settings(max_examples=300)
def test_what_is_refused_fails_with_some_value(pair: tuple[Any, Any]) -> None:
    one, other = pair
    found = reason(one, other)
    if found is None or "its item" in found or means_a_kind(other):  # of lists there are only short ones
        return
    if mentions(one, "oneOf", "patternProperties"):  # then what it seems to allow may be impossible
        return
    values = [value for value in UNIVERSE if is_valid(one, value, formats=False)]
    assert not values or not all(is_valid(other, value, formats=False) for value in values), found


def mentions(schema: Any, *keywords: str) -> bool:
    """Whether a schema has one of these keywords somewhere."""
    if isinstance(schema, list):
        return any(mentions(one, *keywords) for one in schema)
    if not isinstance(schema, dict):
        return False
    return any(name in schema for name in keywords) or any(mentions(one, *keywords) for one in schema.values())


def means_a_kind(schema: Any) -> bool:
    """Whether a schema says only by its fields that it is one of an object, somewhere."""
    if isinstance(schema, list):
        return any(map(means_a_kind, schema))
    if not isinstance(schema, dict):
        return False
    return ("type" not in schema and "properties" in schema) or any(map(means_a_kind, schema.values()))


def has_listed_values(schema: Any) -> bool:
    """Whether a schema lists values anywhere: whether a value of a type is one of them shows at run time."""
    match schema:
        case {"const": _} | {"enum": _}:
            return True
        case dict():
            return any(map(has_listed_values, schema.values()))
        case list():
            return any(map(has_listed_values, schema))
        case _:
            return False


@given(schemas(), schemas(), st.data())
def test_what_fits_by_its_schema_fits_by_every_value(one: Any, other: Any, data: st.DataObject) -> None:
    if not has_listed_values(other) and reason(one, other) is None:
        assert Schema.of(other).validates(data.draw(values_of(one)))


@given(schemas(), st.data())
def test_generated_values_are_valid(schema: Any, data: st.DataObject) -> None:
    assert Schema.of(schema).validates(data.draw(values_of(schema)))


@given(schemas())
def test_every_schema_fits_itself(schema: Any) -> None:
    assert reason(schema, schema) is None


@given(schemas(), schemas())
def test_a_schema_fits_where_it_is_one_of_several(one: Any, other: Any) -> None:
    assert reason(one, {"anyOf": [other, one]}) is None
    assert reason(one, {"anyOf": [one, other]}) is None


@given(schemas(), schemas())
def test_alternatives_fit_when_each_does(one: Any, other: Any) -> None:
    both = reason(one, other) is None
    assert (reason({"anyOf": [one, other]}, other) is None) == both


@given(schemas())
def test_unknown_value_is_left_to_run_time(schema: Any) -> None:
    assert reason({}, schema) is None
    assert reason(True, schema) is None
    assert reason(schema, {}) is None


@given(schemas(), schemas())
def test_reference_stands_for_what_it_leads_to(one: Any, other: Any) -> None:
    assert reason({"$ref": "#/$defs/x", "$defs": {"x": one}}, other) == reason(one, other)
    assert reason(other, {"$ref": "#/$defs/x", "$defs": {"x": one}}) == reason(other, one)


def obj(required: list[str] | None = None, /, *, closed: bool = False, **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return schema | ({"additionalProperties": False} if closed else {})


STRING, INTEGER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
TREE = {"$ref": "#/$defs/t", "$defs": {"t": obj(v=STRING, kids={"type": "array", "items": {"$ref": "#/$defs/t"}})}}
OTHER_TREE = {
    "$ref": "#/$defs/t",
    "$defs": {"t": obj(v=INTEGER, kids={"type": "array", "items": {"$ref": "#/$defs/t"}})},
}
ENDLESS = {"$ref": "#/$defs/t", "$defs": {"t": {"type": ["array", "null"], "items": {"$ref": "#/$defs/t"}}}}


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (INTEGER, {"type": "number"}, None),
        ({"type": "number"}, INTEGER, "number is not integer"),
        ({"type": ["string", "null"]}, STRING, "null is not string"),
        (STRING, {"anyOf": [INTEGER, NULL]}, "string is not integer or null"),
        ({"enum": [1, "a"]}, {"anyOf": [INTEGER, STRING]}, None),
        ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, '"c" is not one of "a", "b"'),
        ({"const": True}, {"enum": [1]}, "true is not one of 1"),
        ({"const": "abc"}, {"type": "string", "maxLength": 2}, '"abc" is not string'),
        ({"const": 5}, {"type": "integer", "minimum": 3}, None),
        ({"type": "number", "multipleOf": 2}, INTEGER, None),
        ({"type": "number", "multipleOf": 0.5}, INTEGER, "number is not integer"),
        (STRING, {"enum": ["a"]}, None),
        ({"type": "number"}, {"enum": [1]}, None),
        (STRING, {"enum": [1, None]}, "string is not one of 1, null"),
        ({"type": "integer", "minimum": -5}, {"type": "integer", "minimum": 0}, None),
        ({"type": "string"}, {"type": "string", "pattern": "^a"}, None),
        (obj(a=STRING), obj(a=STRING, b=STRING), "its field b is missing"),
        (obj([], a=STRING), obj(a=STRING), "its field a may be missing"),
        (obj(a=INTEGER), obj(a=STRING), "its field a: integer is not string"),
        (obj(a=obj(b=INTEGER)), obj(a=obj(b=STRING)), "its field a: its field b: integer is not string"),
        (obj(a=STRING, b=STRING), obj(a=STRING, closed=True), "its field b would not be known there"),
        ({"type": "object"}, obj(a=STRING, closed=True), None),
        ({"type": "object", "additionalProperties": STRING}, obj(a=STRING), "its field a may be missing"),
        ({"type": "object", "additionalProperties": STRING}, obj([], a=INTEGER), "its field a: string is not integer"),
        ({"type": "object", "additionalProperties": STRING}, obj([], a=STRING, closed=True),
         "other fields would not be known there"),
        ({"type": "object", "additionalProperties": STRING}, {"type": "object", "additionalProperties": INTEGER},
         "other fields: string is not integer"),
        (obj(a=STRING), {"type": "object", "additionalProperties": INTEGER}, "its field a: string is not integer"),
        (obj(a=STRING), {"type": "object", "patternProperties": {"a": INTEGER}, "additionalProperties": False}, None),
        ({"type": "array", "items": STRING}, {"type": "array", "items": INTEGER}, "its items: string is not integer"),
        ({"type": "array"}, {"type": "array", "items": INTEGER}, None),
        ({"type": "array", "prefixItems": [STRING], "items": False}, {"type": "array", "items": INTEGER},
         "its item 0: string is not integer"),
        (obj(a=STRING), {"type": "array"}, "object is not array"),
        ({"properties": {"a": STRING}}, STRING, "object is not string"),
        (STRING, False, "nothing is allowed here"),
        (False, STRING, None),
        (TREE, TREE, None),
        (TREE, OTHER_TREE, "its field v: string is not integer"),
        (ENDLESS, ENDLESS, None),
        (ENDLESS, {"type": "array", "items": {"type": "array"}}, "its items: null is not array"),
        ({"type": "object", "properties": {"a": STRING}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
         obj(a=STRING), "its field a may be missing"),
        ({"allOf": [obj(a=STRING), obj(b=STRING)]}, obj(a=STRING, b=STRING), None),
        ({"allOf": [obj(a=STRING), obj(b=STRING)]}, obj(a=STRING, b=INTEGER), "its field b: string is not integer"),
        ({"allOf": [STRING, INTEGER]}, {"type": "null"}, None),
        ({"not": STRING}, STRING, None),
    ],
)  # fmt: skip
def test_reason_is_named(one: Any, other: Any, why: str | None) -> None:
    assert reason(one, other) == why


DATE = {"type": "string", "format": "date"}
MAP = {"type": "object", "additionalProperties": INTEGER}
FITS, MISMATCH, UNKNOWN = Answer


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (INTEGER, {"type": "number"}, FITS),
        ({"type": "number"}, INTEGER, MISMATCH),
        ({}, STRING, UNKNOWN),
        (STRING, {}, FITS),
        (False, STRING, FITS),
        ({"type": "integer", "minimum": 5}, {"minimum": 3}, FITS),
        ({"type": "integer", "exclusiveMinimum": 3}, {"exclusiveMinimum": 3}, FITS),
        ({"type": "integer", "minimum": 3}, {"exclusiveMinimum": 3}, UNKNOWN),
        (INTEGER, {"minimum": 3}, UNKNOWN),
        (STRING, {"minimum": 3}, FITS),
        ({"type": "integer", "multipleOf": 6}, {"multipleOf": 3}, FITS),
        ({"type": "integer", "multipleOf": 6}, {"multipleOf": 4}, UNKNOWN),
        ({"type": "number", "multipleOf": 0.5}, {"multipleOf": 0.5}, UNKNOWN),
        ({"type": "string", "maxLength": 2}, {"maxLength": 3}, FITS),
        ({"type": "string", "pattern": "^a"}, {"type": "string", "pattern": "^a"}, FITS),
        ({"type": "string", "pattern": "^ab"}, {"type": "string", "pattern": "^a"}, UNKNOWN),
        (DATE, {"type": "string", "format": "date"}, FITS),
        (DATE, {"type": "string", "format": "time"}, UNKNOWN),
        (DATE, STRING, FITS),
        (STRING, DATE, UNKNOWN),
        ({"const": "2024-02-30"}, DATE, UNKNOWN),
        ({"const": 5}, {"type": "integer", "multipleOf": 5}, FITS),
        ({"type": "boolean"}, {"enum": [True, False, None]}, FITS),
        (STRING, {"enum": ["a"]}, UNKNOWN),
        (obj(a=STRING, closed=True), obj(a=STRING, closed=True), FITS),
        (obj(a=STRING), obj(a=STRING), FITS),
        (obj(a=STRING), obj(a=STRING, closed=True), UNKNOWN),
        (obj(a=STRING, closed=True), obj([], a=STRING, b=STRING), FITS),
        (obj(a=STRING), obj([], a=STRING, b=STRING), UNKNOWN),
        (obj(a=INTEGER, closed=True), MAP, FITS),
        (MAP, {"type": "object", "patternProperties": {"^x": INTEGER}}, UNKNOWN),
        ({**MAP, "required": ["a"]}, {"required": ["a"]}, FITS),
        ({"type": "array", "items": INTEGER}, {"type": "array", "items": {"type": "number"}}, FITS),
        ({"type": "array", "items": INTEGER, "maxItems": 2}, {"prefixItems": [INTEGER, INTEGER], "items": False}, FITS),
        ({"type": "array", "items": INTEGER}, {"prefixItems": [INTEGER, INTEGER], "items": False}, MISMATCH),
        ({"type": "array"}, {"type": "array", "uniqueItems": True}, UNKNOWN),
        ({"type": "array", "maxItems": 1}, {"type": "array", "uniqueItems": True}, FITS),
        ({"type": ["string", "null"]}, {"anyOf": [STRING, NULL]}, FITS),
        ({"type": ["string", "null"]}, {"oneOf": [STRING, NULL]}, FITS),
        (INTEGER, {"oneOf": [INTEGER, {"type": "number"}]}, UNKNOWN),
        (STRING, {"allOf": [STRING, {"not": {"const": "x"}}]}, UNKNOWN),
        (STRING, {"not": NULL}, UNKNOWN),
        ({"not": NULL}, {"not": NULL}, FITS),
        (TREE, TREE, FITS),
        (TREE, OTHER_TREE, MISMATCH),
        (ENDLESS, ENDLESS, FITS),
        ({**TREE, "description": "another"}, TREE, FITS),
    ],
)
def test_answer_is_one_of_three(one: Any, other: Any, expected: Answer) -> None:
    assert answer(one, other) is expected


def test_schema_that_stands_for_itself_proves_nothing() -> None:
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"minimum": 1}]}}}
    assert answer(INTEGER, loop) is UNKNOWN
    assert answer({"type": "integer", "minimum": 2}, loop) is FITS


def test_schema_with_endless_alternatives_counts_as_unknown() -> None:
    doubled = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(30)}
    bomb = {"$ref": "#/$defs/l0", "$defs": {**doubled, "l30": STRING}}
    assert reason(bomb, INTEGER) is None
    assert reason(STRING, bomb) is None


def test_deep_schemas_are_compared_down_to_a_bound() -> None:
    chain = {f"l{n}": obj(next={"$ref": f"#/$defs/l{n + 1}"}) for n in range(2_000)}
    deep = {"$ref": "#/$defs/l0", "$defs": {**chain, "l2000": STRING}}
    assert reason(deep, deep) is None
    assert reason(deep, {"$ref": "#/$defs/l0", "$defs": {**chain, "l2": STRING}}) == (
        "its field next: its field next: object is not string"
    )
