"""Checking a JSON Schema that somebody posted before any value meets it.

A schema that passes can be applied to any value: its patterns are RE2 patterns, its references lead to schemas inside
of it, and following them comes to an end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import unquote

import re2
from jsonschema import Draft202012Validator

from models.errors import Problem
from workflows.dag import graph
from workflows.dag.pointers import escape, to_pointer
from workflows.dag.validation import compiled_pattern

MAX_PARTS = 2_000
"""Schemas within one schema."""

_ONE = ("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_MAPS = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
"""Keywords whose schemas are applied to the value itself, not to a part of it."""
_REFUSED = {
    "$anchor": "name the part by its place: #/$defs/name",
    "$dynamicAnchor": "name the part by its place: #/$defs/name",
    "$dynamicRef": "use $ref",
    "unevaluatedItems": "use items: false",
    "unevaluatedProperties": "use additionalProperties: false",
}
_META_SCHEMA = Draft202012Validator(Draft202012Validator.META_SCHEMA)


@dataclass(frozen=True)
class _Part:
    """A schema inside of a schema."""

    pointer: str
    node: Any
    same_value: list[int]
    """Parts that are applied to the same value."""


def check_schema(document: Any, pointer: str) -> list[Problem]:
    """What is wrong with a schema. `pointer` is its place in what was posted."""
    try:
        errors = list(islice(_META_SCHEMA.iter_errors(document), 50))
    except RecursionError:
        return [Problem(pointer=pointer, code="too-large", message="the schema is nested too deeply")]
    if errors:
        # The meta-schema consists of eight; several may say the same of one place.
        messages = {pointer + to_pointer(error.absolute_path): error.message for error in reversed(errors)}
        return [
            Problem(pointer=place, code="type-mismatch", message=f"no JSON Schema: {message[:500]}")
            for place, message in messages.items()
        ]
    parts = _parts(document)
    if len(parts) > MAX_PARTS:
        message = f"the schema has {len(parts):,} parts; at most {MAX_PARTS:,} are allowed"
        return [Problem(pointer=pointer, code="too-large", message=message)]
    places = {part.pointer: number for number, part in enumerate(parts)}
    problems = [problem for part in parts for problem in _check_part(part, places, pointer)]
    return problems or list(_endless(parts, places, pointer))


def _parts(root: Any) -> list[_Part]:
    parts = [_Part("", root, [])]
    for part in parts:
        for keyword, place, node in _below(part.node):
            if keyword in _SAME_VALUE:
                part.same_value.append(len(parts))
            parts.append(_Part(part.pointer + place, node, []))
    return parts


def _below(node: Any) -> Iterator[tuple[str, str, Any]]:
    """Keyword, place and schema of everything directly inside of a schema."""
    if not isinstance(node, dict):
        return
    for keyword, value in node.items():
        place = f"/{escape(keyword)}"
        if keyword in _ONE:
            yield keyword, place, value
        elif keyword in _LISTS:
            yield from ((keyword, f"{place}/{index}", item) for index, item in enumerate(value))
        elif keyword in _MAPS:
            yield from ((keyword, f"{place}/{escape(name)}", item) for name, item in value.items())


def _check_part(part: _Part, places: dict[str, int], base: str) -> Iterator[Problem]:
    if not isinstance(part.node, dict):
        return
    at = base + part.pointer
    for name, remedy in _REFUSED.items():
        if name in part.node:
            message = f"{name} is not supported"
            yield Problem(pointer=f"{at}/{name}", code="not-supported-yet", message=message, suggestion=remedy)
    if "$id" in part.node and part.pointer:
        message = "only the whole schema can have an $id"
        yield Problem(pointer=f"{at}/$id", code="not-supported-yet", message=message, suggestion="leave $id out")
    if "$ref" in part.node and _target(part.node, places) is None:
        yield Problem(
            pointer=f"{at}/$ref",
            code="unknown-path",
            message=f"{part.node['$ref'][:200]!r} leads to no schema inside of this one",
            suggestion="refer to parts of the same schema, such as #/$defs/name",
        )
    if "pattern" in part.node and not _is_pattern(part.node["pattern"]):
        yield _no_pattern(f"{at}/pattern", part.node["pattern"])
    for pattern in part.node.get("patternProperties", {}):
        if not _is_pattern(pattern):
            yield _no_pattern(f"{at}/patternProperties/{escape(pattern)}", pattern)


def _target(node: dict[str, Any], places: dict[str, int]) -> int | None:
    ref: str = node["$ref"]
    return places.get(unquote(ref[1:])) if ref.startswith("#") else None


def _is_pattern(pattern: str) -> bool:
    try:
        compiled_pattern(pattern)
    except re2.error:
        return False
    return True


def _no_pattern(pointer: str, pattern: str) -> Problem:
    return Problem(pointer=pointer, code="bad-expression", message=f"{pattern[:200]!r} is no RE2 pattern")


def _endless(parts: list[_Part], places: dict[str, int], base: str) -> Iterator[Problem]:
    """Parts that come back to themselves without entering the value: applying them never ends."""
    arrows = [list(part.same_value) for part in parts]
    for number, part in enumerate(parts):
        if isinstance(part.node, dict) and "$ref" in part.node:
            target = _target(part.node, places)
            arrows[number].extend([] if target is None else [target])
    for cycle in graph.cycles(arrows):
        yield Problem(
            pointer=base + parts[cycle[0]].pointer,
            code="cycle",
            message="this part of the schema stands for itself: "
            + " → ".join(f"#{parts[number].pointer}" for number in [*cycle, cycle[0]]),
        )
