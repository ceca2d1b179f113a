"""What is known about a value before it exists: a JSON Schema, followed along paths.

Alternatives (`anyOf`, `oneOf`, lists of types) are told apart, references followed, and `allOf` or siblings of a
reference merged where that is plain. Where a schema says too little, or too much to be followed, the value counts as
unknown, and an unknown value is never a problem: the step's own validation decides at run time.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, cast

from models.values import Path
from workflows.dag.pointers import look_up
from workflows.dag.validation import EndlessValidationError, document_validator, errors_of

MAX_DEPTH = 32
"""References followed, and levels compared, before a value counts as unknown."""
MAX_BRANCHES = 64
"""Alternatives looked at before a value counts as unknown."""
_ANNOTATIONS = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$id",
                "$schema", "$defs", "definitions", "discriminator")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Document:
    """A whole JSON Schema: what `#` refers to inside of it."""

    root: Any
    branches: dict[int, "list[Schema]"] = field(default_factory=dict[int, "list[Schema]"])
    """Alternatives by the identity of a node; they keep merged nodes alive, so that identities stay unique."""

    @cached_property
    def validator(self) -> Any:
        """Validates values against the whole or, evolved, against a part."""
        return document_validator(self.root)


@dataclass(frozen=True)
class Schema:
    """A JSON Schema, whole or a part of a document."""

    node: Any
    document: Document

    @classmethod
    def of(cls, document: Any) -> "Schema":
        """A whole document."""
        return cls(document, Document(document))

    def within(self, node: Any) -> "Schema":
        """A part of the same document."""
        return Schema(node, self.document)

    def branches(self) -> "list[Schema]":
        """The alternatives the schema allows."""
        known = self.document.branches.get(id(self.node))
        if known is None:
            known = at_most(_alternatives(self, 0))
            self.document.branches[id(self.node)] = known
        return known

    def get(self, keyword: str, default: Any = None) -> Any:
        """What a branch says for a keyword. `false` and `true` say nothing."""
        return self.node.get(keyword, default) if isinstance(self.node, dict) else default

    @property
    def impossible(self) -> bool:
        """Whether no value is allowed."""
        return self.node is False

    @cached_property
    def types(self) -> tuple[str, ...]:
        """Types a branch names or implies; empty when any is allowed."""
        if isinstance(named := self.get("type"), str):
            return (named,)
        if (values := self.known_values()) is not None:
            return tuple(dict.fromkeys(json_type(value) for value in values))
        if self.get("properties") is not None:
            return ("object",)
        return ("array",) if self.get("items") is not None or self.get("prefixItems") is not None else ()

    def known_values(self) -> list[Any] | None:
        """All values a branch allows, where it lists them."""
        if isinstance(self.node, dict) and "const" in self.node:
            return [self.node["const"]]
        return self.get("enum")

    def validates(self, value: Any) -> bool:
        """Whether a value is valid, as far as that can be told."""
        return self._verdict(value) is not False

    def surely_validates(self, value: Any) -> bool:
        """Whether a value is valid; not when that takes too long to tell."""
        return self._verdict(value) is True

    def _verdict(self, value: Any) -> bool | None:
        try:
            return not errors_of(self.document.validator.evolve(schema=self.node), value, limit=1)
        except EndlessValidationError:
            return None


ANY = Schema.of({})
Shape = tuple[Schema, ...]
"""What is known of a value: it fits at least one of these."""


def _alternatives(schema: Schema, depth: int) -> Iterator[Schema]:
    node = schema.node
    if not isinstance(node, dict):
        yield schema if node is False else ANY
    elif depth > MAX_DEPTH:
        yield ANY
    elif (options := _options(schema, cast("dict[str, Any]", node))) is not None:
        for option in options:
            yield from _alternatives(schema.within(option), depth + 1)
    else:
        yield schema


def _options(schema: Schema, node: dict[str, Any]) -> list[Any] | None:
    """What a schema stands for, one step on; None when it stands for itself."""
    for keyword in ("$ref", "anyOf", "oneOf", "allOf"):
        if keyword not in node:
            continue
        rest = {name: value for name, value in node.items() if name != keyword and name not in _ANNOTATIONS}
        if keyword == "$ref":
            return [_merged(rest, look_up(schema.document.root, node["$ref"]))]
        if keyword == "allOf":
            for part in node["allOf"]:
                rest = _merged(rest, part)
            return [rest]
        return [_merged(rest, option) for option in node[keyword]]
    if isinstance(types := node.get("type"), list):
        return [{**node, "type": one} for one in types]
    return None


def _merged(one: Any, other: Any) -> Any:
    """A schema that says what both say, or `True` where that takes more than putting them side by side."""
    if one is False or other is False:
        return False
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other if isinstance(other, dict) else one
    merged = dict(cast("dict[str, Any]", other))
    for name, value in cast("dict[str, Any]", one).items():
        if name in _ANNOTATIONS or merged.get(name, value) == value:
            merged.setdefault(name, value)
        elif name == "required":
            merged[name] = [*value, *merged[name]]
        elif name == "properties" and _can_share_properties(one, other):
            merged[name] = {**value, **merged[name]}
        else:
            return True
    return merged


def _can_share_properties(one: dict[str, Any], other: dict[str, Any]) -> bool:
    closed = "additionalProperties" in one or "additionalProperties" in other
    return not closed and not any(name in other["properties"] for name in one["properties"])


def at_most(schemas: Iterable[Schema]) -> list[Schema]:
    """So many alternatives, or an unknown value when there are more than one can look at."""
    found = list(islice(schemas, MAX_BRANCHES + 1))
    return found if len(found) <= MAX_BRANCHES else [ANY]


def branches(shape: Shape) -> list[Schema]:
    """All alternatives of a shape."""
    return shape[0].branches() if len(shape) == 1 else at_most(one for schema in shape for one in schema.branches())


@dataclass(frozen=True)
class Place:
    """Where a path leads: what is known of the value there, and whether it may be absent."""

    shape: Shape
    optional: bool = False


@dataclass(frozen=True)
class DeadEnd:
    """A path leads nowhere: how many parts were good, and the names there are after them."""

    depth: int
    names: tuple[str, ...]


def follow(shape: Shape, path: Path) -> Place | DeadEnd:
    """Follow a path as far as the schemas know. An item of a list counts as present, whatever its index."""
    place = Place(shape)
    for depth, part in enumerate(path):
        here = branches(place.shape)
        places = [found for branch in here if (found := _enter(branch, part)) is not None]
        if not places:
            names = dict.fromkeys(name for branch in here for name in branch.get("properties", ()))
            return DeadEnd(depth, tuple(names) if isinstance(part, str) else ())
        optional = place.optional or len(places) < len(here) or any(found.optional for found in places)
        place = Place(tuple(schema for found in places for schema in found.shape), optional)
    return place


def _enter(branch: Schema, part: str | int) -> Place | None:
    """One part of a path into one alternative; None when nothing can be there."""
    if branch.impossible:
        return None
    if not branch.types:
        return Place((ANY,))
    if isinstance(part, str):
        found = property_of(branch, part) if "object" in branch.types else None
    else:
        found = Place((item_of(branch, part),)) if "array" in branch.types else None
    return None if found is None or found.shape[0].impossible else found


def property_of(branch: Schema, name: str) -> Place | None:
    """What an object of this alternative has under a name; None when it has nothing there."""
    properties: dict[str, Any] = branch.get("properties", {})
    optional = name not in branch.get("required", ())
    if name in properties:
        return Place((branch.within(properties[name]),), optional)
    if branch.get("patternProperties"):
        return Place((ANY,), optional)
    extra = branch.get("additionalProperties")
    if isinstance(extra, dict):
        return Place((branch.within(extra),), optional)
    if extra is None and properties and optional:
        return None  # open, but nobody said so: more likely a mistake in the name
    return None if extra is False else Place((ANY,))


def accepted_by(branch: Schema, name: str | None) -> Schema | None:
    """What an object of this alternative may be given under a name, or any other name; None when nothing."""
    properties: dict[str, Any] = branch.get("properties", {})
    if name in properties:
        return branch.within(properties[name])
    if branch.get("patternProperties"):
        return ANY
    extra = branch.get("additionalProperties", True)
    return None if extra is False else branch.within(extra)


def item_of(branch: Schema, index: int | None) -> Schema:
    """What a list of this alternative has at an index; without one: after those it describes one by one."""
    prefix: list[Any] = branch.get("prefixItems", [])
    if index is not None and prefix:
        if index < 0:
            return ANY
        if index < len(prefix):
            return branch.within(prefix[index])
    return branch.within(branch.get("items", True))


def is_whole(branch: Schema) -> bool:
    """Whether the numbers of an alternative are whole: such a one counts as an integer, however it is written."""
    step = branch.get("multipleOf")
    return isinstance(step, int) or (step is None and branch.get("type") == "integer")


def without_null(shape: Shape) -> Shape:
    """What is known of a value that is not null."""
    return tuple(branch for branch in branches(shape) if branch.types != ("null",))


def describe(shape: Sequence[Schema]) -> str:
    """What is known of a value, in a few words."""
    names: list[str] = []
    for branch in branches(tuple(shape)):
        if branch.impossible:
            names.append("nothing")
        elif (known := branch.known_values()) is not None:
            names.append("one of " + ", ".join(shown(value) for value in known[:10]))
        else:
            names.extend(branch.types or ("any value",))
    return " or ".join(list(dict.fromkeys(names))[:10]) or "nothing"


def shown(value: Any) -> str:
    """A JSON value as it is written, cut to what fits a sentence."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 - what fits a sentence


def json_type(value: Any) -> str:
    """The JSON Schema type of a value."""
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
