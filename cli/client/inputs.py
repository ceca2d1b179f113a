"""Inputs on a command line: `name=text` and `name:=JSON`, as httpie writes them."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

import typer

from models.documents import read_json
from models.errors import InvalidInputError
from models.values import walk

_ASSIGNMENT = re.compile(r"(?P<name>.+?)(?P<sign>:=|=)(?P<value>.*)", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_BOOLEANS = {"true": True, "false": False}
_MAX_REFERENCES = 20


@dataclass(frozen=True)
class Assignment:
    """One `--input`."""

    name: str
    value: Any
    plain: bool
    """Whether the value is text whose type the schema decides."""


def parse_inputs(texts: Sequence[str], option: str = "--input") -> dict[str, Assignment]:
    """Assignments by name. Raises typer.BadParameter for what is none, or for a name that is given twice."""
    assignments: dict[str, Assignment] = {}
    for text in texts:
        assignment = _parse_input(text, option)
        if assignment.name in assignments:
            raise typer.BadParameter(f"{assignment.name!r} is given twice", param_hint=option)
        assignments[assignment.name] = assignment
    return assignments


def parse_value(texts: Sequence[str], option: str, schema: Callable[[], Any]) -> Any:
    """One JSON value, or an object of assignments. `schema` is asked only when there is text whose type it decides.

    Raises typer.BadParameter.
    """
    if len(texts) == 1:
        with suppress(InvalidInputError):
            return read_json(texts[0].encode(errors="surrogateescape"))
        if texts[0].lstrip()[:1] in {"{", "[", '"'}:
            raise typer.BadParameter(f"{texts[0]!r} is no JSON", param_hint=option)
    assignments = parse_inputs(texts, option)
    known = schema() if any(assignment.plain for assignment in assignments.values()) else None
    return typed_values(assignments, known)


def parse_labels(texts: Sequence[str]) -> dict[str, str]:
    """Labels by name. Raises typer.BadParameter."""
    labels: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise typer.BadParameter(f"{text!r} is no label; write name=value", param_hint="--label")
        labels[name] = value
    return labels


def typed_values(assignments: Mapping[str, Assignment], schema: Any) -> dict[str, Any]:
    """The values, text being read as the type that the schema of the input gives the name.

    Text that does not fit stays text: the platform says what is wrong with it. `schema` is None when it is not known.
    """
    properties = schema.get("properties") if isinstance(schema, dict) else None
    known = properties if isinstance(properties, dict) else {}
    return {
        name: _read_as(allowed_types(known.get(name), schema), assignment.value)
        if assignment.plain
        else assignment.value
        for name, assignment in assignments.items()
    }


def allowed_types(schema: Any, root: Any) -> frozenset[str]:
    """JSON types that a schema names, through references and alternatives; empty when it names none."""
    found: set[str] = set()
    waiting = [schema]
    references = 0
    while waiting:
        match waiting.pop():
            case {"$ref": str(reference)} if references < _MAX_REFERENCES:
                references += 1
                waiting.append(walk(root, reference.removeprefix("#/").split("/")))
            case {"type": str(name)}:
                found.add(name)
            case {"type": [*names]}:
                found.update(str(name) for name in names)
            case {"anyOf": [*alternatives]} | {"oneOf": [*alternatives]}:
                waiting += alternatives
            case _:
                pass
    return frozenset(found)


def _parse_input(text: str, option: str) -> Assignment:
    found = _ASSIGNMENT.fullmatch(text)
    if found is None:
        kind = "input" if option == "--input" else "JSON"
        raise typer.BadParameter(f"{text!r} is no {kind}; write name=text or name:=JSON", param_hint=option)
    if found["sign"] == "=":
        return Assignment(found["name"], found["value"], plain=True)
    try:
        return Assignment(found["name"], read_json(found["value"].encode(errors="surrogateescape")), plain=False)
    except InvalidInputError as error:
        message = f"what follows {found['name']}:= is no JSON: {error.problems[0].message}"
        raise typer.BadParameter(message, param_hint=option) from error


def _read_as(types: frozenset[str], text: str) -> Any:
    if "string" in types:
        return text
    if "boolean" in types and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if types & {"integer", "number"} and _INTEGER.fullmatch(text):
        return int(text)
    if "number" in types and _NUMBER.fullmatch(text) and isfinite(float(text)):
        return float(text)
    return text
