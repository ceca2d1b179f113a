"""Validating values against JSON Schema 2020-12 documents, users' own among them (`user_schemas` checks those first).

Patterns run on RE2, which is linear in time, and references are counted: a schema is data somebody posted, and a few
lines of it can ask for more steps than there are seconds.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any

import re2
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator
from pydantic_core import to_json
from referencing import Registry

from models.canonical import canonical
from models.errors import Problem
from workflows.dag.pointers import document_order, to_pointer

MAX_REFERENCES = 50_000
"""`$ref`s followed for one value, about a second's worth. Without them a schema is a tree: linear in the value."""
MAX_ERRORS = 100
"""Listed for one value."""

_references_left: ContextVar[int] = ContextVar("references_left", default=MAX_REFERENCES)
_follow_reference = Draft202012Validator.VALIDATORS["$ref"]


class EndlessValidationError(Exception):
    """Applying a schema to a value takes too many steps."""


@lru_cache(maxsize=1_024)
def compiled_pattern(pattern: str) -> Any:
    """A pattern of RE2. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _reference(validator: Validator, ref: str, value: Any, schema: Any) -> Iterator[ValidationError]:
    left = _references_left.get() - 1
    if left < 0:
        raise EndlessValidationError
    _references_left.set(left)
    yield from _follow_reference(validator, ref, value, schema)


def _pattern(_validator: Validator, pattern: str, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not compiled_pattern(pattern).search(value):
        yield ValidationError(f"{value[:200]!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: dict[str, Any], value: Any, _schema: Any
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, schema in patterns.items():
            for name, item in value.items():
                if compiled_pattern(pattern).search(name):
                    yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, extra: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    patterns = [compiled_pattern(pattern) for pattern in schema.get("patternProperties", ())]
    properties = schema.get("properties", ())
    for name, item in value.items():
        if name in properties or any(pattern.search(name) for pattern in patterns):
            continue
        if extra is False:
            yield ValidationError(f"the field {name[:100]!r} is not known here", path=[name])
        else:
            yield from validator.descend(item, extra, path=name)


def _required(_validator: Validator, names: list[str], value: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for name in names:
            if name not in value:
                yield ValidationError(f"the field {name[:100]!r} is missing", path=[name])


def _unique_items(_validator: Validator, unique: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    if unique and isinstance(value, list) and len({to_json(canonical(item)) for item in value}) < len(value):
        yield ValidationError("an item stands twice in a list without duplicates")


_SchemaValidator: Any = validators.extend(
    Draft202012Validator,
    {
        "$ref": _reference,
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "required": _required,
        "uniqueItems": _unique_items,
    },
)


def document_validator(document: Any) -> Any:
    """A validator for a whole document; use it through `errors_of`."""
    return _SchemaValidator(document, registry=Registry())


def errors_of(validator: Any, value: Any, limit: int) -> list[ValidationError]:
    """The first things that are wrong with a value. Raises EndlessValidationError."""
    token = _references_left.set(MAX_REFERENCES)
    try:
        return list(islice(validator.iter_errors(value), limit))
    except RecursionError as error:
        raise EndlessValidationError from error
    finally:
        _references_left.reset(token)


def validate_value(document: Any, value: Any, pointer: str) -> list[Problem]:
    """Problems of a value, with pointers below `pointer`."""
    try:
        errors = errors_of(document_validator(document), value, MAX_ERRORS)
    except EndlessValidationError:
        message = "checking this against its schema takes too many steps"
        return [Problem(pointer=pointer, code="too-large", message=message)]
    problems = [
        Problem(
            pointer=pointer + to_pointer(error.absolute_path),
            code={"required": "missing-field", "additionalProperties": "unknown-field"}.get(
                str(error.validator), "type-mismatch"
            ),
            message=error.message[:500],
        )
        for error in errors
    ]
    return sorted(problems, key=lambda problem: document_order(problem.pointer))
