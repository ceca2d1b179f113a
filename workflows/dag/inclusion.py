"""Whether every value of one schema is a value of another: proven, or not known.

The given side may be taken for wider than it is (what it says and nobody looks at here only makes it narrower), the
wanted side never: each of its keywords has to be shown to hold, and where that takes more than looking (patterns,
`not`, `if`, `contains`, names of properties) it is not shown. A format counts as an assertion, for a worker may check
it: it holds only where the given side names the same.
"""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from pydantic_core import to_json

from workflows.dag.pointers import look_up
from workflows.dag.schemas import ANY, MAX_DEPTH, Schema, Shape, branches, is_whole, item_of

MAX_STEPS = 2_000
"""Pairs of schemas compared before nothing is known."""
_FINITE: dict[str | None, list[Any]] = {"null": [None], "boolean": [True, False]}
_UNSHOWN = (
    "$dynamicRef",
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "if",
    "maxContains",
    "minContains",
    "not",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)


def always_fits(given: Shape, wanted: Schema) -> bool:
    """Whether every value of shape `given` is known to be valid under `wanted`."""
    return (len(given) == 1 and _is_same_document(given[0], wanted)) or _Proof().all(given, wanted, 0)


def _is_same_document(given: Schema, wanted: Schema) -> bool:
    wholes = given.node is given.document.root and wanted.node is wanted.document.root
    return wholes and to_json(given.node) == to_json(wanted.node)


Key = tuple[int, int, int, int]


class _Proof:
    """One proof. `level` counts the parts entered: a pair met again further inside of the value holds by induction."""

    def __init__(self) -> None:
        self._proven: dict[Key, None] = {}
        self._open: dict[Key, int] = {}
        self._left = MAX_STEPS

    def all(self, given: Shape, wanted: Schema, level: int) -> bool:
        """Every alternative of a shape."""
        return all(self._branch(one, wanted, level) for one in branches(given))

    def _branch(self, given: Schema, wanted: Schema, level: int) -> bool:
        if given.impossible or wanted.node is True:
            return True
        self._left -= 1
        if not isinstance(wanted.node, dict) or self._left < 0 or level > MAX_DEPTH:
            return False
        values = given.known_values()
        values = _FINITE.get(_kind(given)) if values is None else values
        if values is not None:
            return all(_surely(wanted, value) for value in values if given.validates(value))
        key = (id(given.node), id(given.document), id(wanted.node), id(wanted.document))
        if key in self._proven:
            return True
        if key in self._open:
            return self._open[key] < level
        return self._compare(given, wanted, level, key)

    def _compare(self, given: Schema, wanted: Schema, level: int, key: Key) -> bool:
        before = len(self._proven)
        self._open[key] = level
        holds = all(self._keyword(given, wanted, name, value, level) for name, value in wanted.node.items())
        del self._open[key]
        if holds:
            self._proven[key] = None
        else:  # what was proven on the way may lean on this pair
            for leaning in list(self._proven)[before:]:
                del self._proven[leaning]
        return holds

    def _keyword(self, given: Schema, wanted: Schema, name: str, value: Any, level: int) -> bool:
        """Whether one keyword of the wanted schema holds; those that nobody knows hold always."""
        if name in _UNSHOWN:
            return False
        if name in _APPLIES and _kind(given) not in (None, *_APPLIES[name]):
            return True
        if name in _BOUNDS:
            return _BOUNDS[name](given, value)
        if name in _PARTS:
            return _PARTS[name](self, given, wanted, value, level)
        return True

    def ref(self, given: Schema, wanted: Schema, ref: str, level: int) -> bool:
        """`$ref`."""
        target = look_up(wanted.document.root, ref) if ref.startswith("#") else None
        return target is not None and self._branch(given, wanted.within(target), level)

    def all_of(self, given: Schema, wanted: Schema, options: list[Any], level: int) -> bool:
        """`allOf`."""
        return all(self._branch(given, wanted.within(option), level) for option in options)

    def any_of(self, given: Schema, wanted: Schema, options: list[Any], level: int) -> bool:
        """`anyOf`: one of them for all values of an alternative."""
        return any(self._branch(given, wanted.within(option), level) for option in options)

    def one_of(self, given: Schema, wanted: Schema, options: list[Any], level: int) -> bool:
        """`oneOf`: one of them, where the types rule out the others."""
        likely = [option for option in options if not _is_other_type(given, wanted.within(option))]
        return len(likely) == 1 and self._branch(given, wanted.within(likely[0]), level)

    def properties(self, given: Schema, wanted: Schema, fields: dict[str, Any], level: int) -> bool:
        """`properties`."""
        return all(self.all((_field(given, name),), wanted.within(node), level + 1) for name, node in fields.items())

    def additional(self, given: Schema, wanted: Schema, node: Any, level: int) -> bool:
        """`additionalProperties`."""
        known = wanted.get("properties", {})
        own = [part for name, part in given.get("properties", {}).items() if name not in known]
        parts = [*own, *given.get("patternProperties", {}).values(), given.get("additionalProperties", True)]
        return all(self.all((given.within(part),), wanted.within(node), level + 1) for part in parts)

    def items(self, given: Schema, wanted: Schema, node: Any, level: int) -> bool:
        """`items`: those after the ones that are described one by one."""
        first, longest = len(wanted.get("prefixItems", ())), given.get("maxItems", inf)
        described = len(given.get("prefixItems", ()))
        parts = [item_of(given, index) for index in range(first, described) if index < longest]
        if longest > max(first, described):
            parts.append(item_of(given, None))
        return all(self.all((part,), wanted.within(node), level + 1) for part in parts)

    def prefix_items(self, given: Schema, wanted: Schema, nodes: list[Any], level: int) -> bool:
        """`prefixItems`."""
        longest = given.get("maxItems", inf)
        return all(
            index >= longest or self.all((item_of(given, index),), wanted.within(node), level + 1)
            for index, node in enumerate(nodes)
        )


def _surely(wanted: Schema, value: Any) -> bool:
    """Whether a value is valid, where no format has a say."""
    has_text = isinstance(value, str | list | dict)
    return not (has_text and _names_format(wanted.document.root)) and wanted.surely_validates(value)


def _names_format(node: Any) -> bool:
    if isinstance(node, dict):
        return isinstance(node.get("format"), str) or any(map(_names_format, node.values()))
    return isinstance(node, list) and any(map(_names_format, node))


def _kind(given: Schema) -> str | None:
    """The one type of all values of an alternative, where it names one."""
    kind = given.get("type")
    return kind if isinstance(kind, str) else None


def _field(given: Schema, name: str) -> Schema:
    """What a given object may have under a name."""
    properties: dict[str, Any] = given.get("properties", {})
    if name in properties:
        return given.within(properties[name])
    return ANY if given.get("patternProperties") else given.within(given.get("additionalProperties", True))


def _has_type(given: Schema, types: str | list[str]) -> bool:
    kind = _kind(given)
    named = [types] if isinstance(types, str) else types
    if kind == "number" and "integer" in named and is_whole(given):
        return True
    return kind in named or (kind == "integer" and "number" in named)


def _is_other_type(given: Schema, option: Schema) -> bool:
    """Whether no value of one can be a value of the other, by their types."""
    kind = _kind(given)
    kinds = [kind, *({"integer": ["number"], "number": ["integer"]}.get(kind or "", []))]
    alternatives = option.branches()
    return kind is not None and all(
        one.impossible or (_kind(one) is not None and _kind(one) not in kinds) for one in alternatives
    )


def _above(given: Schema, least: float, *, strictly: bool) -> bool:
    found = given.get("minimum", -inf)
    beyond = given.get("exclusiveMinimum", -inf)
    return found > least or beyond >= least or (found == least and not strictly)


def _below(given: Schema, most: float, *, strictly: bool) -> bool:
    found = given.get("maximum", inf)
    beyond = given.get("exclusiveMaximum", inf)
    return found < most or beyond <= most or (found == most and not strictly)


def _is_multiple(given: Schema, of: float) -> bool:
    if not isinstance(of, int):
        return False
    return given.get("multipleOf", 1) % of == 0 if is_whole(given) else False


def _fields_at_most(given: Schema, most: float) -> bool:
    closed = given.get("additionalProperties") is False and not given.get("patternProperties")
    return min(given.get("maxProperties", inf), len(given.get("properties", ())) if closed else inf) <= most


def _is_unique(given: Schema, unique: bool) -> bool:
    return not unique or given.get("uniqueItems") is True or given.get("maxItems", inf) <= 1


_Bound = Callable[[Schema, Any], bool]
_BOUNDS: Mapping[str, _Bound] = {
    "type": _has_type,
    "enum": lambda _given, _values: False,
    "const": lambda _given, _value: False,
    "minimum": lambda given, least: _above(given, least, strictly=False),
    "exclusiveMinimum": lambda given, least: _above(given, least, strictly=True),
    "maximum": lambda given, most: _below(given, most, strictly=False),
    "exclusiveMaximum": lambda given, most: _below(given, most, strictly=True),
    "multipleOf": _is_multiple,
    "minLength": lambda given, least: given.get("minLength", 0) >= least,
    "maxLength": lambda given, most: given.get("maxLength", inf) <= most,
    "pattern": lambda given, pattern: given.get("pattern") == pattern,
    "format": lambda given, name: given.get("format") == name,
    "minItems": lambda given, least: given.get("minItems", 0) >= least,
    "maxItems": lambda given, most: given.get("maxItems", inf) <= most,
    "uniqueItems": _is_unique,
    "required": lambda given, names: all(name in given.get("required", ()) for name in names),
    "minProperties": lambda given, least: max(given.get("minProperties", 0), _count_required(given)) >= least,
    "maxProperties": _fields_at_most,
}
"""Keywords that are held against the same of the given side. Listed values of it never come here."""


def _count_required(given: Schema) -> int:
    return len(dict.fromkeys(given.get("required", ())))


_Part = Callable[[_Proof, Schema, Schema, Any, int], bool]
_PARTS: Mapping[str, _Part] = {
    "$ref": _Proof.ref,
    "allOf": _Proof.all_of,
    "anyOf": _Proof.any_of,
    "oneOf": _Proof.one_of,
    "properties": _Proof.properties,
    "additionalProperties": _Proof.additional,
    "items": _Proof.items,
    "prefixItems": _Proof.prefix_items,
}
_NUMBERS, _STRINGS, _LISTS, _OBJECTS = ("integer", "number"), ("string",), ("array",), ("object",)
_APPLIES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"), _NUMBERS),
    **dict.fromkeys(("minLength", "maxLength", "pattern"), _STRINGS),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems", "items", "prefixItems"), _LISTS),
    **dict.fromkeys(("required", "minProperties", "maxProperties", "properties", "additionalProperties"), _OBJECTS),
}
"""Types that a keyword says something about; a value of another passes."""
