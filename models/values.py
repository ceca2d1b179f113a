"""JSON values between steps: paths into them, and large ones kept outside of history.

A value over the threshold lies in PostgreSQL under its hash. Workflows only ever hold the `StoredValue` that names
it; the worker that needs the value, or a field of it, reads it (TRAPS 5). Where a stored value belongs in an
activity's input is said beside the input (`Hole`), never inside of it: what a user writes can not name a hash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

INLINE_LIMIT = 4096
"""Bytes of JSON above which a value is kept outside of history."""

STORED_ENCODING = b"json/tooloo-stored-value"
"""Payload encoding of an action's result that was stored."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class StoredValue:
    """Names a stored JSON value."""

    ref: str
    """Hex SHA-256 of the JSON."""
    bytes: int


@dataclass(frozen=True)
class Missing:
    """What a path leads to when there is nothing."""


MISSING = Missing()


@dataclass(frozen=True)
class Hole:
    """A place in an input that a worker fills from a stored value."""

    at: Path
    """Where in the input."""
    stored: StoredValue
    path: Path
    """Where in the stored value. When it leads nowhere and there is no default, the key is left out."""
    has_default: bool = False
    default: Any = None


HOLES = TypeAdapter(tuple[Hole, ...])
STORED_VALUE = TypeAdapter(StoredValue)


def walk(value: Any, path: Sequence[str | int]) -> Any:
    """What `path` leads to in a JSON value, or MISSING."""
    for part in path:
        match value, part:
            case dict(), str() if part in value:
                value = value[part]
            case list(), int() if -len(value) <= part < len(value):
                value = value[part]
            case _:
                return MISSING
    return value


class MissingValueError(LookupError):
    """A value that is needed is not there: the place is no key that could be left out."""


def put(document: Any, at: Path, value: Any) -> Any:
    """The document with `value` at a place; MISSING takes the key out. Changes the document, which exists but for it.

    Raises MissingValueError where MISSING stands for a whole document or for an item of a list.
    """
    if not at:
        if isinstance(value, Missing):
            raise MissingValueError
        return value
    container = document
    for part in at[:-1]:
        container = container[part]
    if not isinstance(value, Missing):
        container[at[-1]] = value
    elif isinstance(container, dict):
        container.pop(at[-1], None)
    else:
        raise MissingValueError
    return document


def read(value: Any, path: Path, *, has_default: bool, default: Any) -> Any:
    """What a reference stands for: the value at the path, or its default where that is missing or null."""
    found = walk(value, path)
    return default if has_default and (found is None or isinstance(found, Missing)) else found
