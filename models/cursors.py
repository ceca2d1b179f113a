"""Cursors of lists: any JSON, opaque to whoever gets it and sends it back."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from models.errors import InvalidInputError, Problem

KeyT = TypeVar("KeyT")


def write_cursor(key: Any) -> str:
    """A cursor for the place that `key` names."""
    return urlsafe_b64encode(to_json(key)).rstrip(b"=").decode()


def read_cursor(cursor: str, key: TypeAdapter[KeyT]) -> KeyT:
    """The place that a cursor names. Raises InvalidInputError for nonsense."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        return key.validate_python(from_json(urlsafe_b64decode(padded)), strict=False)
    except (ValidationError, ValueError, OverflowError) as error:
        message = "This is no cursor of this list. Use the next_cursor of its last page, or none."
        problem = Problem(pointer="/query/cursor", code="bad-cursor", message=message)
        raise InvalidInputError(message, problems=[problem]) from error
