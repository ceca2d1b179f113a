"""Reading what people write: JSON, or YAML 1.2, into plain JSON values. Duplicate keys are refused.

Both readers are bounded before anything is built from a document: by depth, by the number of values after aliases are
expanded, and by what PostgreSQL can store as text.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from math import isfinite
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from models.errors import InvalidInputError, Problem

MAX_NODES = 200_000
"""Values in one document after aliases are expanded: a few lines of aliases can stand for billions."""
MAX_DEPTH = 100
MAX_DIGITS = 1_000
"""Of a number: nobody means longer ones, and reading them takes time."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_json(text: bytes) -> Any:
    """A JSON document. Raises InvalidInputError that names the place."""
    try:
        value = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        raise _unreadable(f"line {error.lineno}, column {error.colno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise _unreadable("this is not UTF-8") from error
    except RecursionError as error:
        raise _unreadable(_TOO_DEEP, "too-large") from error
    except ValueError as error:
        raise _unreadable(str(error)) from error
    check_json(value)
    return value


def read_yaml(text: bytes) -> Any:
    """A YAML 1.2 document (core schema) as a JSON value. Raises InvalidInputError that names the place.

    Built from the parser's events: a constructor would also do what tags, merge keys and YAML 1.1 ask for.
    """
    try:
        value = _build(YAML(typ="safe", pure=True).parse(StringIO(text.decode("utf-8-sig"))))
    except UnicodeDecodeError as error:
        raise _unreadable("this is not UTF-8") from error
    except MarkedYAMLError as error:
        raise _unreadable(_place(error.problem_mark) + (error.problem or "this is no YAML")) from error
    except (YAMLError, ValueError, OverflowError) as error:
        raise _unreadable(str(error)) from error
    check_json(value)
    return value


def check_json(document: Any) -> None:
    """Refuse what is not JSON, has no bounds or cannot be stored. Raises InvalidInputError.

    Walks without recursion: depth is what it checks.
    """
    level: list[Any] = [document]
    nodes = depth = 0
    while level:
        nodes += len(level)
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _unreadable(f"more than {MAX_NODES:,} values, or nested deeper than {MAX_DEPTH}", "too-large")
        depth += 1
        below: list[Any] = []
        for value in level:
            if type(value) is str:
                _check_text(value)
            elif type(value) is dict:
                _check_keys(value)
                below.extend(value.values())
            elif type(value) is list:
                below.extend(value)
            elif value is not None:
                _check_number(value)
        level = below


def _check_keys(mapping: dict[Any, Any]) -> None:
    for key in mapping:
        if type(key) is not str:
            raise _unreadable(f"the key {key!r} is no string; quote it")
        _check_text(key)


def _check_number(value: Any) -> None:
    if type(value) not in {bool, int, float}:
        raise _unreadable(f"a value of type {type(value).__name__} is not JSON")
    if type(value) is float and not isfinite(value):
        raise _unreadable(f"{value} is not JSON")


def _check_text(text: str) -> None:
    if "\x00" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise _unreadable("NUL characters and lone surrogates cannot be stored")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key[:100]!r} stands twice in one object")
        result[key] = value
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS:,} digits")
    return int(digits)


@dataclass
class _Open:
    """A sequence or mapping whose end has not come yet."""

    items: list[Any] | dict[str, Any]
    anchor: str | None = None
    key: str | None = None
    """Of a mapping: the key whose value comes next."""


def _build(events: Iterable[Event]) -> Any:
    """The value of one document's events. An alias stands for the same value again, not for a copy."""
    documents: list[Any] = []
    stack = [_Open(documents)]
    anchors: dict[str, Any] = {}
    for event in events:
        match event:
            case DocumentStartEvent():
                _check_start(event, documents)
            case AliasEvent():
                if event.anchor not in anchors:
                    raise _at(event, f"there is no finished value with the anchor {event.anchor}")
                _add(stack[-1], anchors[event.anchor], event)
            case ScalarEvent():
                value = _scalar(event)
                if event.anchor:
                    anchors[event.anchor] = value
                _add(stack[-1], value, event)
            case SequenceStartEvent() | MappingStartEvent():
                opened = _opened(event, depth=len(stack) - 1)
                _add(stack[-1], opened.items, event)
                stack.append(opened)
            case CollectionEndEvent():
                done = stack.pop()
                if done.anchor:
                    anchors[done.anchor] = done.items
            case _:
                pass
    return documents[0] if documents else None


def _check_start(event: DocumentStartEvent, documents: list[Any]) -> None:
    if event.version not in {None, (1, 2)}:
        raise _at(event, "only YAML 1.2 is read")
    if documents:
        raise _at(event, "a second document begins here")


def _opened(event: SequenceStartEvent | MappingStartEvent, *, depth: int) -> _Open:
    if depth > MAX_DEPTH:
        raise _unreadable(f"{_place(event.start_mark)}{_TOO_DEEP}", "too-large")
    _refuse_tag(event)
    return _Open([] if isinstance(event, SequenceStartEvent) else {}, event.anchor)


def _add(parent: _Open, value: Any, event: Event) -> None:
    if isinstance(parent.items, list):
        parent.items.append(value)
    elif parent.key is None:
        parent.key = _key(parent.items, value, event)
    else:
        parent.items[parent.key] = value
        parent.key = None


def _key(mapping: dict[str, Any], value: Any, event: Event) -> str:
    if not isinstance(value, str):
        raise _at(event, "a key is no string; quote it")
    if value in mapping:
        raise _at(event, f"the key {value[:100]!r} stands twice in one mapping")
    if value == "<<":
        raise _at(event, "merge keys (<<) do not belong to YAML 1.2")
    return value


def _refuse_tag(event: ScalarEvent | SequenceStartEvent | MappingStartEvent) -> None:
    if event.tag:
        raise _at(event, "tags are not read; quote what is text")


_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _scalar(event: ScalarEvent) -> Any:
    """What a scalar means in YAML 1.2's core schema: `on`, `10:30`, `1_000` and dates are text."""
    _refuse_tag(event)
    text: str = event.value
    if event.style:
        return _paired(text)
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, base=0)
    if _NOT_FINITE.fullmatch(text):
        raise _at(event, f"{text} is not JSON; quote what is text")
    return float(text) if _FLOAT.fullmatch(text) else text


def _paired(text: str) -> str:
    """JSON, which is YAML too, escapes what lies beyond the basic plane as a pair of surrogates."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


_TOO_DEEP = f"this is nested deeper than {MAX_DEPTH}"


def _place(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _at(event: Event, detail: str) -> InvalidInputError:
    return _unreadable(_place(event.start_mark) + detail)


def _unreadable(detail: str, code: str = "unreadable") -> InvalidInputError:
    return InvalidInputError(
        f"The document cannot be read: {detail}",
        problems=[Problem(pointer="", code=code, message=detail)],
    )
