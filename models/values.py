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
class Read:
    """One reading of a value: where, and what counts instead when that is missing or null."""

    path: Path = ()
    has_default: bool = False
    default: Any = None

    def of(self, value: Any) -> Any:
        """What is read of a JSON value, or MISSING."""
        found = walk(value, self.path)
        return self.default if self.has_default and (found is None or isinstance(found, Missing)) else found


WHOLE = Read()
"""Reads all of a value."""


@dataclass(frozen=True)
class Hole:
    """A place in a value that a worker fills from a stored value."""

    at: Path
    """Where in the value."""
    stored: StoredValue
    reads: tuple[Read, ...] = ()
    """What to read of the stored value, one after the other. When that is missing, the key is left out."""


@dataclass(frozen=True)
class Value:
    """A JSON value of a run. Parts of it may lie outside of history: null stands where its holes are."""

    json: Any = None
    holes: tuple[Hole, ...] = ()

    @classmethod
    def of_stored(cls, stored: StoredValue) -> "Value":
        """A value that as a whole lies outside of history."""
        return cls(None, (Hole((), stored),))


NULL = Value()
VALUE = TypeAdapter(Value)
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


def select(value: Value, read: Read) -> Value | Missing:
    """What is read of a value, holes and all, or MISSING."""
    path = _from_the_start(value.json, read.path)
    for hole in value.holes:
        if hole.at == path[: len(hole.at)]:
            rest = Read(path[len(hole.at) :], read.has_default, read.default)
            return Value(None, (Hole((), hole.stored, hole.reads if rest == Read() else (*hole.reads, rest)),))
    found = read.of(value.json)
    if isinstance(found, Missing):
        return MISSING
    if not value.holes:
        return Value(found)
    depth = len(path)
    inside = [hole for hole in value.holes if hole.at[:depth] == path]
    return Value(found, tuple(Hole(hole.at[depth:], hole.stored, hole.reads) for hole in inside))


def _from_the_start(value: Any, path: Path) -> Path:
    """The path with places counted from a list's end counted from its start, as far as the value knows."""
    parts: list[str | int] = []
    for part in path:
        parts.append(part + len(value) if isinstance(value, list) and isinstance(part, int) and part < 0 else part)
        value = walk(value, (part,))
    return tuple(parts)


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
