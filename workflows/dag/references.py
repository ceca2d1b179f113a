"""References: strings that start with `from:` and stand for a value of the run (DESIGN 4).

- `from:load` is the whole result of step `load`
- `from:load.files[0]["odd key"]` is a path into it; `[-1]` counts from the end
- `from:input.owner ?? "psf"` has a JSON literal for a value that is missing or null
- `from::text` is the literal string "from:text"
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from models.documents import read_json
from models.errors import InvalidInputError
from models.values import WHOLE, Path, Read

PREFIX = "from:"
_SOURCE = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)")
_INDEX = re.compile(r"\[(-?[0-9]{1,9})\]")
_KEY = re.compile(r'\[("(?:[^"\\]|\\.)*")\]')
_DEFAULT = re.compile(r"\s*\?\?\s*")


class BadReferenceError(ValueError):
    """The text after `from:` is no reference; `column` counts from 1 in the whole string."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(f"column {column}: {message}")
        self.column = column


@dataclass(frozen=True)
class Reference:
    """A parsed reference. `source` is `input`, `error`, the name of a map's item, or a step's id."""

    source: str
    read: Read = WHOLE


def parse_template_string(text: str) -> Reference | str:
    """The reference a template's string is, or the literal string it stands for."""
    if not text.startswith(PREFIX):
        return text
    if text.startswith(PREFIX + ":"):
        return PREFIX + text[len(PREFIX) + 1 :]
    return parse_reference(text)


def parse_reference(text: str) -> Reference:
    """Parse `from:…`. Raises BadReferenceError."""
    source = _SOURCE.match(text, len(PREFIX))
    if source is None:
        raise BadReferenceError("a step's id, input or item belongs here", len(PREFIX) + 1)
    path, position = _parse_path(text, source.end())
    if position == len(text):
        return Reference(source[0], Read(path))
    default = _DEFAULT.match(text, position)
    if default is None:
        raise BadReferenceError('expected .name, [0], ["key"], ?? default, or the end', position + 1)
    return Reference(source[0], Read(path, has_default=True, default=_parse_default(text, default.end())))


def _parse_path(text: str, position: int) -> tuple[Path, int]:
    path: list[str | int] = []
    while True:
        if name := _NAME.match(text, position):
            path.append(name[1])
            position = name.end()
        elif index := _INDEX.match(text, position):
            path.append(int(index[1]))
            position = index.end()
        elif key := _KEY.match(text, position):
            path.append(_parse_key(key[1], position))
            position = key.end()
        else:
            return tuple(path), position


def _parse_key(quoted: str, position: int) -> str:
    try:
        return _literal(quoted)
    except InvalidInputError as error:
        raise BadReferenceError("the key is no JSON string", position + 2) from error


def _parse_default(text: str, position: int) -> Any:
    try:
        return _literal(text[position:])
    except InvalidInputError as error:
        raise BadReferenceError('the default is no JSON value (text needs quotes: ?? "text")', position + 1) from error


def _literal(text: str) -> Any:
    return read_json(text.encode(errors="surrogatepass"))


def format_path(path: Path) -> str:
    """A path as it is written in references."""
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if _NAME.fullmatch(f".{part}") else f"[{json.dumps(part)}]"
        for part in path
    )
