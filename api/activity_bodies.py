"""Activity events as they are posted: one, a list, or one a line."""

from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

from models.activity import MOST_EVENTS, Refused
from models.documents import read_json
from models.errors import InvalidInputError, Problem

_LINES = {"application/x-ndjson", "application/jsonl", "application/ndjson"}


async def read_posted(request: Request) -> tuple[list[tuple[int, Any]], list[Refused]]:
    """What was posted with its indexes, and the lines that cannot be read.

    Raises InvalidInputError when nothing can be read, or when it is too much.
    """
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _LINES:
        return _limited(*_read_lines(body))
    if media_type != "application/json":
        raise HTTPException(415, "Send events as application/json or application/x-ndjson.")
    value = read_json(body)
    if not isinstance(value, (dict, list)):
        message = "Send an event, a list of events, or an event a line as application/x-ndjson."
        raise InvalidInputError(message, problems=[Problem(pointer="", code="type-mismatch", message=message)])
    return _limited(list(enumerate(value if isinstance(value, list) else [value])), [])


def _read_lines(body: bytes) -> tuple[list[tuple[int, Any]], list[Refused]]:
    posted: list[tuple[int, Any]] = []
    refused: list[Refused] = []
    for index, line in _lines(body):
        try:
            posted.append((index, read_json(line)))
        except InvalidInputError as error:
            refused.append(Refused(index=index, code="unreadable", message=error.detail))
    if refused and not posted:
        message = f"No line can be read; the first: {refused[0].message}"
        raise InvalidInputError(message, problems=[Problem(pointer="", code="unreadable", message=message)])
    return posted, refused


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(line for line in body.split(b"\n") if line.strip())


def _limited(posted: list[tuple[int, Any]], refused: list[Refused]) -> tuple[list[tuple[int, Any]], list[Refused]]:
    if len(posted) + len(refused) > MOST_EVENTS:
        message = f"{len(posted) + len(refused):,} events; up to {MOST_EVENTS:,} are taken at once."
        raise InvalidInputError(message, problems=[Problem(pointer="", code="too-large", message=message)])
    return posted, refused
