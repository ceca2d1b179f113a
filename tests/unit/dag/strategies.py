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
