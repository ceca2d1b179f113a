"""What `.gitattributes` files say about other files. Pure: patterns run on RE2, since strangers wrote them."""

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2
from dulwich.attrs import AttributeValue, parse_git_attributes
from dulwich.wildmatch import MalformedPattern, translate

EXPORT_IGNORE, GENERATED, VENDORED = b"export-ignore", b"linguist-generated", b"linguist-vendored"
_WANTED = frozenset({EXPORT_IGNORE, GENERATED, VENDORED})
MAX_RULES = 500
"""In all files of a repository; each is tried on every path below it."""
MAX_BYTES = 64 * 2**10
"""Of a file that is read; Git itself stops at 100 MB."""
_OPTIONS = re2.Options()
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # bytes as they are: paths have no encoding
_OPTIONS.dot_nl = True
_OPTIONS.never_capture = True
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 2**20


@dataclass(frozen=True)
class _Rule:
    folder: bytes
    """Where the rule stands, with a slash at its end; empty at the root."""
    pattern: Any
    name_only: bool
    folders_only: bool
    values: Mapping[bytes, AttributeValue]


@dataclass
class Attributes:
    """The attributes that matter here, of any path. Add files nearer to the root first: later rules win."""

    _rules: list[_Rule] = field(default_factory=list[_Rule])
    _folders: dict[bytes, bool] = field(default_factory=dict[bytes, bool])

    def add(self, path: bytes, text: bytes) -> None:
        """Take the rules of the `.gitattributes` at this path. What Git cannot read either is left out."""
        folder = path[: path.rfind(b"/") + 1]
        for pattern, values in parse_git_attributes(io.BytesIO(text[:MAX_BYTES])):
            wanted = {name: value for name, value in values.items() if name in _WANTED}
            if wanted and len(self._rules) < MAX_RULES and (rule := _rule(folder, pattern, wanted)):
                self._rules.append(rule)

    def of(self, path: bytes) -> frozenset[bytes]:
        """The attributes that are set for a file; a folder that is not exported takes its files with it."""
        if not self._rules:
            return frozenset()
        found = self._set(path, is_folder=False)
        return found | {EXPORT_IGNORE} if any(map(self._ignored, _above(path))) else found

    def _ignored(self, folder: bytes) -> bool:
        if folder not in self._folders:
            self._folders[folder] = EXPORT_IGNORE in self._set(folder, is_folder=True)
        return self._folders[folder]

    def _set(self, path: bytes, *, is_folder: bool) -> frozenset[bytes]:
        values: dict[bytes, AttributeValue] = {}
        for rule in self._rules:
            if path.startswith(rule.folder) and not (rule.folders_only and not is_folder):
                below = path[len(rule.folder) :]
                if rule.pattern.fullmatch(below.rpartition(b"/")[2] if rule.name_only else below):
                    values.update(rule.values)
        return frozenset(name for name, value in values.items() if value is True or value == b"true")


def _rule(folder: bytes, pattern: bytes, values: Mapping[bytes, AttributeValue]) -> _Rule | None:
    if pattern.startswith(b"!"):
        return None  # Git forbids negative patterns here
    body = pattern.removesuffix(b"/")
    try:
        compiled = re2.compile(translate(body.removeprefix(b"/")), _OPTIONS)
    except (MalformedPattern, re2.error):
        return None
    return _Rule(folder, compiled, b"/" not in body, pattern.endswith(b"/"), values)


def _above(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in."""
    end = path.rfind(b"/")
    while end > 0:
        yield path[:end]
        end = path.rfind(b"/", 0, end)


def nearest_root_first(paths: Iterable[bytes]) -> list[bytes]:
    """The `.gitattributes` files among the paths, in the order in which they are to be added."""
    found = [path for path in paths if path == b".gitattributes" or path.endswith(b"/.gitattributes")]
    return sorted(found, key=lambda path: (path.count(b"/"), path))
