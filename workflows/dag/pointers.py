"""JSON Pointers (RFC 6901)."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote


def to_pointer(path: Iterable[object]) -> str:
    """A JSON Pointer from its parts."""
    return "".join(f"/{escape(str(part))}" for part in path)


def escape(part: str) -> str:
    """One part of a JSON Pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def document_order(pointer: str) -> list[tuple[int, str]]:
    """A key to sort pointers by: places in lists as numbers, names as text."""
    return [(int(part), "") if _is_index(part) else (-1, part) for part in pointer.split("/")]


def look_up(root: Any, fragment: str) -> Any:
    """What a fragment of a URI, `#` or `#/a/b`, points to in a document; None when it leads nowhere."""
    node = root
    for part in unquote(fragment[1:]).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and _is_index(key) and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) <= len(str(10**9))
