"""Generators of JSON values, schemas with values that fit them, and graphs."""

from typing import Any

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
"""What PostgreSQL can store."""
names = st.sampled_from(["a", "b", "c", "odd key", "~/", "__proto__", "0"])
paths = st.lists(st.integers(-(10**9) + 1, 10**9 - 1) | texts, max_size=4).map(tuple)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts


def json_values(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Any JSON value that can be stored."""
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=3),
        max_leaves=max_leaves,
    )


@st.composite
def graphs(draw: st.DrawFn, max_nodes: int = 12) -> list[list[int]]:
    """Parents of each node of a DAG, the nodes in any order."""
    size = draw(st.integers(1, max_nodes))
    shuffled = draw(st.permutations(range(size)))
    parents: list[list[int]] = [[] for _ in range(size)]
    for place in range(1, size):
        above = draw(st.lists(st.integers(0, place - 1), unique=True, max_size=4))
        parents[shuffled[place]] = [shuffled[one] for one in above]
    return parents


JsonSchema = dict[str, Any]
_TYPES = ("null", "boolean", "integer", "number", "string")
_OBJECT: JsonSchema = {"type": "object"}
_ARRAY: JsonSchema = {"type": "array"}


def schemas(depth: int = 2) -> st.SearchStrategy[JsonSchema]:
    """Schemas that say everything about their values: no patterns, bounds or open ends."""
    types = st.sampled_from(_TYPES)
    flat = (
        types.map(lambda one: {"type": one})
        | st.builds(lambda value: {"const": value}, scalars)
        | st.builds(lambda values: {"enum": values}, st.lists(scalars, min_size=1, max_size=3))
        | st.builds(lambda some: {"type": some}, st.lists(types, min_size=1, max_size=3, unique=True))
    )
    if not depth:
        return flat
    inner = st.deferred(lambda: schemas(depth - 1))
    return (
        flat
        | _objects(inner)
        | _objects(inner)
        | st.builds(lambda extra: {**_OBJECT, "additionalProperties": extra}, inner)
        | st.builds(lambda items: {**_ARRAY, "items": items}, inner)
        | st.builds(
            lambda prefix, rest: {**_ARRAY, "prefixItems": prefix, "items": rest},
            st.lists(inner, min_size=1, max_size=2),
            inner,
        )
        | st.builds(lambda options: {"anyOf": options}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda only: {"allOf": [only], "description": "the same"}, inner)
    )


@st.composite
def _objects(draw: st.DrawFn, inner: st.SearchStrategy[JsonSchema]) -> JsonSchema:
    properties = draw(st.dictionaries(names, inner, min_size=1, max_size=3))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True))
    closed = {"additionalProperties": False} if draw(st.booleans()) else {}
    return {**_OBJECT, "properties": properties, "required": required, **closed}


_FLAT_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "integer": st.integers(),
    "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    "string": texts,
}


def values_of(schema: JsonSchema) -> st.SearchStrategy[Any]:
    """Values of a schema made by `schemas`; open objects have no fields but those they declare."""
    match schema:
        case {"const": value}:
            strategy: st.SearchStrategy[Any] = st.just(value)
        case {"enum": values}:
            strategy = st.sampled_from(values)
        case {"anyOf": options} | {"allOf": options}:
            strategy = st.one_of([values_of(option) for option in options])
        case {"type": list(types)}:
            strategy = st.one_of([_FLAT_VALUES[one] for one in types])
        case {"type": "object"}:
            strategy = _values_of_object(schema)
        case {"type": "array"}:
            strategy = _values_of_array(schema)
        case _:
            strategy = _FLAT_VALUES[schema["type"]]
    return strategy


def _values_of_object(schema: JsonSchema) -> st.SearchStrategy[Any]:
    if "properties" not in schema:
        return st.dictionaries(names, values_of(schema["additionalProperties"]), max_size=2)
    fields = {name: values_of(part) for name, part in schema["properties"].items()}
    required = {name: fields.pop(name) for name in schema["required"]}
    return st.fixed_dictionaries(required, optional=fields)


@st.composite
def _values_of_array(draw: st.DrawFn, schema: JsonSchema) -> list[Any]:
    prefix = [draw(values_of(part)) for part in schema.get("prefixItems", ())]
    rest = draw(st.lists(values_of(schema["items"]), max_size=3))
    return [*prefix, *rest] if rest else prefix[: draw(st.integers(0, len(prefix)))]


_NUMBERS: list[Any] = [0, 1, 2, 3, -1, 0.5, 1.0, 1.5, 2.5, 7.5, -1.5]
SMALL: list[Any] = [None, True, False, *_NUMBERS, "", "a", "ab", "ba", "abc", "2024-02-29"]
_FEW: list[Any] = [None, True, 1, 2, 1.0, "a", "ab"]
UNIVERSE: list[Any] = [
    *SMALL,
    [],
    *([one] for one in SMALL),
    *([one, other] for one in _FEW for other in _FEW),
    *([1, one, "a"] for one in _FEW),
    *([[one]] for one in _FEW),
    *([{"a": one}] for one in _FEW),
    {},
    *({name: one} for name in ("a", "b", "c") for one in SMALL),
    *({"a": one, "b": other} for one in _FEW for other in _FEW),
    *({"a": one, "b": 1, "c": other} for one in _FEW for other in (None, "a")),
    *({"a": [one, 1]} for one in _FEW),
    *({"a": {"b": one}} for one in _FEW),
]
"""Small values that tell schemas of `bounded_schemas` apart."""
_NUMERIC = {"minimum": -1, "maximum": 3, "exclusiveMinimum": 0, "exclusiveMaximum": 3, "multipleOf": 2, "minLength": 1,
            "maxLength": 2, "minItems": 1, "maxItems": 2, "minProperties": 1, "maxProperties": 2}  # fmt: skip
"""Keywords with a number, and a telling one for each."""


def _with_some(schema: JsonSchema, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonSchema]:
    return st.fixed_dictionaries({name: st.just(value) for name, value in schema.items()}, optional=options)


def _some(*keywords: str) -> dict[str, st.SearchStrategy[Any]]:
    return {name: st.sampled_from([max(_NUMERIC[name] - 1, 1), _NUMERIC[name]]) for name in keywords}


def bounded_schemas(depth: int = 2) -> st.SearchStrategy[Any]:
    """Schemas with bounds, patterns, formats, open ends and whatever else takes more than looking."""
    flat = (
        st.sampled_from([True, {}, {"type": "null"}, {"type": "boolean"}, {"type": ["integer", "null"]}])
        | st.builds(lambda value: {"const": value}, st.sampled_from(SMALL))
        | st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(SMALL), min_size=1, max_size=3))
        | st.sampled_from(["integer", "number"]).flatmap(
            lambda kind: _with_some({"type": kind}, **_some("minimum", "maximum", "exclusiveMinimum", "multipleOf"))
        )
        | _with_some(
            {"type": "string"},
            **_some("minLength", "maxLength"),
            pattern=st.sampled_from(["^a", "b$"]),
            format=st.just("date"),
        )
    )
    if not depth:
        return flat
    inner = st.deferred(lambda: bounded_schemas(depth - 1))
    several = st.lists(inner, min_size=1, max_size=2)
    fields = st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    return (
        flat
        | st.sampled_from([{"type": "object"}, {}]).flatmap(
            lambda start: _with_some(start, **_some("minProperties", "maxProperties"), properties=fields,
                                     required=st.lists(st.sampled_from(["a", "b"]), unique=True),
                                     additionalProperties=inner | st.just(value=False),
                                     patternProperties=st.builds(lambda node: {"^b": node}, inner))
        )
        | _with_some({"type": "array"}, **_some("minItems", "maxItems"), items=inner | st.just(value=False),
                     prefixItems=several, uniqueItems=st.booleans())
        | st.sampled_from(["anyOf", "oneOf", "allOf"]).flatmap(
            lambda keyword: _with_some({}, type=st.sampled_from(["integer", "object"])).flatmap(
                lambda rest: st.builds(lambda options: {**rest, keyword: options}, several)
            )
        )
        | st.builds(lambda node: {"not": node}, inner)
    )  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, schema: Any, depth: int = 3) -> Any:
    """A schema that is much like another: a little wider, a little narrower, or not."""
    if not isinstance(schema, dict) or not schema or not depth:
        return draw(st.sampled_from([schema, schema, True]))
    numeric = [name for name in sorted(schema) if name in _NUMERIC]
    result: JsonSchema = dict(schema)
    match draw(st.sampled_from(["same", "drop", "number", "kind", "wrap", "inside", "inside"])):
        case "drop":
            del result[draw(st.sampled_from(sorted(schema)))]
        case "number" if numeric:
            name = draw(st.sampled_from(numeric))
            result[name] = max(1, schema[name] + draw(st.sampled_from([-1, 1])))
        case "kind" if "type" in schema:
            result["type"] = draw(st.sampled_from(["number", "integer", ["integer", "null", "string"]]))
        case "wrap":
            options = draw(st.permutations([schema, draw(bounded_schemas(0))]))
            result = {draw(st.sampled_from(["anyOf", "allOf", "oneOf"])): options}
        case "inside":
            result = _changed_inside(draw, schema, depth)
        case _:
            pass
    return result


def _changed_inside(draw: st.DrawFn, schema: JsonSchema, depth: int) -> JsonSchema:
    """One of the schemas in a schema changed."""
    name = draw(st.sampled_from(sorted(schema)))
    value = schema[name]
    if name in {"items", "additionalProperties", "not"}:
        return {**schema, name: draw(changed(value, depth - 1))}
    if name in {"anyOf", "oneOf", "allOf", "prefixItems"}:
        return {**schema, name: [draw(changed(one, depth - 1)) for one in value]}
    if name == "properties":
        return {**schema, name: {key: draw(changed(one, depth - 1)) for key, one in value.items()}}
    return schema
