"""Whatever is posted: a plan, or problems whose places are in what was posted. Never an exception."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Problem
from tests.unit.dag.definitions import ACTIONS, definition, step
from tests.unit.dag.strategies import json_values
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.outline import outline
from workflows.dag.plan import load_plan
from workflows.dag.signature import Signature, WorkflowKey
from workflows.dag.user_schemas import check_schema
from workflows.dag.validation import validate_value

VALID = definition(
    step("load", "people.find", retry={"max_attempts": 2, "initial": "5s"}, timeout={"start_to_close": "5m"}),
    step(
        "greet",
        "people.greet",
        input={
            "name": 'from:load.nickname ?? "you"',
            "age": "from:input.age",
            "address": {"city": "from:load.address.city"},
            "tags": ["x", "from:load.tags[0]"],
        },
        depends_on=["load"],
        on_error="continue",
    ),
    step("echo", input={"value": {"a": ["from:greet ?? null", {"b": "from::x"}]}}),
    name="Valid",
    input={
        "type": "object",
        "properties": {"age": {"$ref": "#/$defs/age"}, "list": {"type": "array", "items": {"type": "string"}}},
        "required": ["age"],
        "$defs": {"age": {"type": "integer", "minimum": 0}},
    },
    output={"echo": "from:echo.value"},
    limits={"max_parallel": 5, "timeout": 60},
    labels={"team": "x"},
)

WHILE: dict[str, Any] = {"while": {"condition": "steps.again.value != 5", "max": 3}}
EVERYTHING = definition(
    step("load", "people.find", retry={"max_attempts": 2, "initial": "5s"}, timeout={"start_to_close": "5m"}),
    step(
        "greet",
        "people.greet",
        input={
            "name": 'from:load.nickname ?? "you"',
            "age": "from:input.age",
            "address": {"city": "from:load.address.city"},
            "tags": ["x", "from:load.tags[0]"],
        },
        depends_on=["load"],
        on_error="continue",
    ),
    step("echo", input={"value": {"a": ["from:greet ?? null", {"b": "from::x"}]}}),
    step(
        "each",
        map={"items": "from:input.list", "as": "one", "max_parallel": 2, "on_error": "continue"},
        when="one != '' && input.age > 1",
        input={"value": "from:one"},
        cache={"key": ["from:one"], "ttl": "1h"},
        priority=2,
    ),
    step("listed", map={"items": "input.list.filter(x, x != '')"}, input={"value": ["from:item"]}),
    step(
        "again",
        input={"value": "from:again.value ?? 0"},
        compensate={"service": "flow", "action": "count", "input": {"key": "k", "by": 1}},
        mock={"value": "from:input.age"},
        **WHILE,
    ),
    {
        "id": "pick",
        "switch": [
            {"when": "has(steps.load.address.zip)", "value": "from:load.age"},
            {"value": {"x": "from:load.name"}},
        ],
    },
    {"id": "sub", "workflow": {"id": "other", "version": 2}, "input": {"n": "from:input.age"}},
    {"id": "nap", "wait": {"for": "5m"}},
    {"id": "noon", "wait": {"until": "from:sub.at"}},
    {"id": "go", "wait": {"signal": "go", "schema": {"type": "object", "required": ["x"]}, "timeout": "1h"}},
    {
        "id": "ask",
        "approval": {"schema": {"type": "integer"}, "roles": ["admin"], "timeout": "1d", "on_timeout": "continue"},
        "input": {"of": "from:pick"},
        "join": "none_failed",
    },
    name="Valid",
    input={
        "type": "object",
        "properties": {"age": {"$ref": "#/$defs/age"}, "list": {"type": "array", "items": {"type": "string"}}},
        "required": ["age", "list"],
        "$defs": {"age": {"type": "integer", "minimum": 0}},
    },
    output={"echo": "from:echo.value", "each": "from:each[0].value ?? 0"},
    on_failure=[step("tell", input={"value": ["from:error.message", "from:load.name ?? null"]})],
    concurrency={"key": "from:input.age", "max": 2, "policy": "queue"},
    limits={"max_parallel": 5, "timeout": 60},
    labels={"team": "x"},
)
SIGNATURES: dict[WorkflowKey, Signature] = {
    ("other", 2): Signature(
        "other",
        2,
        {"type": "object", "properties": {"n": {"type": "integer"}}},
        {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]},
        {"deep": ("deep",)},
    )
}

ODD: list[Any] = [
    None, True, 0, -1, 1e308, 10**400, "", "x" * 100_000,
    "from:", "from:load", "from:load.name", "from:echo",
    "from:input.age[0]", "from:x ?? ", "from:input ?? {}", "__proto__", "constructor", "a/b~c", "9" * 5_000, "٣",
    "input", "item", "true", "1 +", "input.age > 0", "steps.load", "steps.load.age > 0", "steps.again.value == 1",
    "input.list.all(x, x == '')", "load", "other", "sub",
    [], {}, [[]], [None], {"": None}, {"__proto__": {}}, {"$ref": "#"}, {"$ref": "#/$defs/age"},
    {"$ref": "#/properties/age"},
    {"$ref": "http://x/"}, {"$ref": "#/%zz"}, {"$ref": "#foo"}, {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    {"allOf": [{"$ref": "#"}]}, {"not": {"$ref": "#"}}, {"properties": {"$ref": {"$ref": "#"}}}, {"type": []},
    {"type": ["string", "null"]}, {"enum": []}, {"const": None}, {"pattern": "("}, {"pattern": "(a+)+$"},
    {"patternProperties": {"[": True}}, {"properties": {"default": {"pattern": "("}}},
    {"items": False}, {"prefixItems": [True]},
    {"$id": "http://x/y"}, {"$defs": {"a": {"$id": "urn:a"}}}, {"$dynamicRef": "#x"}, {"$anchor": "x"},
    {"unevaluatedProperties": False}, {"additionalProperties": {"$ref": "#"}}, {"required": ["__proto__"]},
    {"dependentSchemas": {"a": {"$ref": "#"}}}, {"if": True, "then": False}, {"minimum": "x"}, {"$schema": "x"},
    {"definitions": {"a": True}}, "s", "5m", "1e999s", "0s",
]  # fmt: skip


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [at, *(place for part, item in below for place in places(item, (*at, part)))]


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for part in place:
        value = value[part]
    return value


def leads_into(pointer: str, document: Any) -> bool:
    """Whether a pointer names a place of the document, or a new key of an object in it."""
    node = document
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for number, part in enumerate(parts):
        if isinstance(node, dict) and part in node:
            node = node[part]
        elif isinstance(node, list) and part.isdecimal() and int(part) < len(node):
            node = node[int(part)]
        else:
            left_out = parts[number:-1] == ["input"]  # a step's input may be left out: it is an empty object then
            return isinstance(node, dict) and (number == len(parts) - 1 or left_out)
    return True


def check(raw: Any) -> None:
    before = deepcopy(raw)
    result = compile_definition(raw, ACTIONS, SIGNATURES)
    assert raw == before
    if isinstance(result, Compiled):
        assert check_schema(result.signature.output_schema, "") == []
        assert load_plan(result.plan.json) == result.plan
        assert outline(result.plan).budget.steps == len(raw["steps"])
        return
    assert result
    for problem in result:
        assert isinstance(problem, Problem)
        assert leads_into(problem.pointer, raw), problem
        assert problem.message
        assert len(problem.message) < 1_000 or problem.code == "cycle"


def test_the_examples_are_valid() -> None:
    assert isinstance(compile_definition(VALID, ACTIONS), Compiled)
    assert isinstance(compile_definition(EVERYTHING, ACTIONS, SIGNATURES), Compiled)


@given(json_values(max_leaves=20))
def test_any_json_gives_a_plan_or_problems(raw: Any) -> None:
    check(raw)


@given(st.dictionaries(st.sampled_from([*EVERYTHING, "x"]), json_values(), max_size=4))
def test_any_fields_give_a_plan_or_problems(rest: dict[str, Any]) -> None:
    check({"id": "a", "steps": [step("a")], **rest})


@given(st.data())
def test_any_change_of_a_valid_definition_gives_a_plan_or_problems(data: st.DataObject) -> None:
    raw = deepcopy(EVERYTHING)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.sampled_from([place for place in places(raw) if place]))
        parent = _at(raw, at[:-1])
        change = data.draw(st.sampled_from(["replace", "remove", "rename", "double"]))
        if change == "remove":
            del parent[at[-1]]
        elif change == "rename" and isinstance(parent, dict):
            parent[data.draw(st.sampled_from(["x", "__proto__", "a/b~c", "", "9" * 5_000]))] = parent.pop(at[-1])
        elif change == "double" and isinstance(parent, list):
            parent.append(deepcopy(_at(raw, at)))
        else:
            parent[at[-1]] = deepcopy(data.draw(st.sampled_from(ODD) | json_values()))
    check(raw)


@pytest.mark.parametrize("at", places(VALID)[1:], ids=lambda at: "/".join(map(str, at)))
def test_odd_value_anywhere_gives_a_plan_or_problems(at: tuple[str | int, ...]) -> None:
    for odd in ODD:
        raw = deepcopy(VALID)
        _at(raw, at[:-1])[at[-1]] = deepcopy(odd)
        check(raw)


def test_some_odd_value_anywhere_among_all_controls_gives_a_plan_or_problems() -> None:
    """Which one turns from place to place."""
    for number, at in enumerate(places(EVERYTHING)[1:]):
        for odd in ODD[number % 20 :: 20]:
            raw = deepcopy(EVERYTHING)
            _at(raw, at[:-1])[at[-1]] = deepcopy(odd)
            check(raw)


@pytest.mark.parametrize("odd", ODD, ids=[repr(value)[:40] for value in ODD])
@pytest.mark.parametrize("keyword", ["properties", "items", "anyOf"])
def test_any_accepted_input_schema_can_be_applied(keyword: str, odd: Any) -> None:
    schema = {"$defs": {"age": {"type": "integer"}}, keyword: {"a": odd} if keyword == "properties" else [odd]}
    if keyword == "items":
        schema[keyword] = odd
    raw = definition(step("a", input={"value": ["from:input.a.b ?? 0", "from:input"]}), input=schema)
    check(raw)
    if isinstance(compile_definition(raw, ACTIONS), Compiled):
        for value in ({"a": {"b": [1]}}, [1, "x", [None]], "x", None):
            validate_value(schema, value, "/input")


def test_nesting_without_end_is_refused() -> None:
    for inner in ({"value": 0}, {"type": "object"}):
        deep: Any = inner
        for _ in range(100_000):
            deep = {"properties": deep}
        for raw in (deep, definition(step("a", input=deep)), definition(step("a"), input=deep)):
            result = compile_definition(raw, ACTIONS)
            assert isinstance(result, list)
            assert [(one.code, one.pointer) for one in result] == [("too-large", "")]
