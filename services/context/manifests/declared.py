"""What a manifest declares, and how the readers of all formats collect it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.understanding import Scope

_MAX_NAME, _MAX_CONSTRAINT = 200, 300
_MAX_LOOKUPS = 500
"""Of lines, in one manifest: each reads all of it."""


class Declared(NamedTuple):
    """One dependency."""

    name: str
    constraint: str
    scope: Scope
    line: int | None


@dataclass
class Contents:
    """All that was read from one manifest."""

    text: str
    dependencies: list[Declared] = field(default_factory=list[Declared])
    licenses: list[str] = field(default_factory=list[str])
    problems: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Line and what is wrong there; the rest of the manifest was read."""
    _lookups: int = 0

    def add(self, name: object, constraint: object, scope: Scope, line: int | None = None) -> None:
        """Take a dependency; one without a name is a problem of the manifest."""
        if not isinstance(name, str) or not name.strip():
            self.problems.append((line or 1, "a dependency without a name"))
            return
        text = constraint if isinstance(constraint, str) else ""
        self.dependencies.append(Declared(_clean(name, _MAX_NAME), _clean(text, _MAX_CONSTRAINT), scope, line))

    def add_license(self, name: object) -> None:
        """Take what a manifest says about its licence, if it is a text of one line."""
        if isinstance(name, str) and name.strip() and "\n" not in name.strip():
            self.licenses.append(_clean(name, _MAX_NAME))

    def line_of(self, pattern: str, start: int = 0) -> int | None:
        """The line where the first match of a regular expression ends; None once there were too many questions."""
        self._lookups += 1
        if self._lookups > _MAX_LOOKUPS:
            return None
        found = re.compile(pattern, re.MULTILINE).search(self.text, max(0, start))
        return self.text.count("\n", 0, found.end()) + 1 if found else None


def _clean(text: str, limit: int) -> str:
    return " ".join(text.replace("\0", "\ufffd").split())[:limit]


def table(value: object, *keys: str) -> dict[str, Any]:
    """The table at these keys below `value`; an empty one where there is none, whatever stands there instead."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def items(value: object) -> Iterator[Any]:
    """The entries of a list; none where it is not one."""
    yield from value if isinstance(value, list) else ()
