"""Blocks of code that stand at more than one place. Pure, linear in the lines of code, bounded in memory.

Lines are compared without white space; blank lines and lines of nothing but comment are left out. A window of 10 such
lines that occurs at another place, without overlapping it, makes its lines duplicated. Per line 12 bytes are kept, per
window that repeats some 200; the bitmap that finds those takes 4 MiB.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from models.understanding import DuplicatedBlock, Duplication, LineRange

WINDOW = 10
"""Lines of code from which on a repetition is a block."""
MAX_LINES = 1_000_000
"""Of code that are compared."""
TOP_BLOCKS, TOP_PLACES = 20, 10
_HASH_BYTES = 8
_SLOTS = 2**22

_GENERATED = re.compile(rb"@generated\b|(?i:\b(?:auto-?generated|do not edit|code generated)\b)")
_GENERATED_PROBE = 2_000
_HASH_COMMENT = re.compile(rb"\#")
_SLASH_COMMENT = re.compile(rb"//|/\*|\*(?=[\s/*]|$)")
_COMMENTS = {
    "Ada": re.compile(rb"--"), "Haskell": re.compile(rb"--"), "Lua": re.compile(rb"--"), "Luau": re.compile(rb"--"),
    "SQL": re.compile(rb"--"), "VHDL": re.compile(rb"--"), "Elm": re.compile(rb"--"),
    "Erlang": re.compile(rb"%"), "Clojure": re.compile(rb";"), "Scheme": re.compile(rb";"),
    "Assembly": re.compile(rb"[;\#]|//"), "Fortran": re.compile(rb"!"), "Vim script": re.compile(rb'"'),
    "Visual Basic": re.compile(rb"'"), "Batch": re.compile(rb"(?i:rem\b|::)"),
    "PHP": re.compile(rb"//|/\*|\*(?=[\s/*]|$)|\#"),
    **dict.fromkeys(
        ("Python", "Cython", "Ruby", "Perl", "Shell", "R", "Julia", "Elixir", "Nim", "Crystal", "Awk", "GDScript",
         "PowerShell", "CoffeeScript"),
        _HASH_COMMENT,
    ),
}  # fmt: skip
"""How a line of comment begins, by language; the others write `//` and `/* */`."""


def is_generated(text: bytes) -> bool:
    """Whether a file says at its beginning that a tool wrote it."""
    return _GENERATED.search(text, 0, _GENERATED_PROBE) is not None


def code_lines(text: bytes, language: str) -> Iterator[tuple[int, bytes]]:
    """Number (from 1) and normalized text of each line of code."""
    comment = _COMMENTS.get(language, _SLASH_COMMENT)
    in_block = False
    for number, line in enumerate(text.split(b"\n"), start=1):
        stripped = line.strip()
        if in_block:
            in_block = b"*/" not in stripped
        elif stripped and not comment.match(stripped):
            yield number, b"".join(stripped.split())
        elif stripped.startswith(b"/*"):
            in_block = b"*/" not in stripped[2:]


@dataclass
class DuplicateFinder:
    """Takes files one after the other, then tells what they have in common."""

    max_lines: int = MAX_LINES
    files_left_out: int = 0
    _paths: list[str] = field(default_factory=list[str])
    _starts: list[int] = field(default_factory=list[int])
    """Position of each file's first line among all lines."""
    _hashes: "array[int]" = field(default_factory=lambda: array("q"))
    _numbers: "array[int]" = field(default_factory=lambda: array("i"))

    def add(self, path: str, text: bytes, language: str) -> None:
        """Compare this file too, unless there are too many lines already."""
        if len(self._hashes) >= self.max_lines:
            self.files_left_out += 1
            return
        self._paths.append(path)
        self._starts.append(len(self._hashes))
        for number, line in code_lines(text, language):
            # Keyed by the process, so that nobody can write lines that collide.
            self._hashes.append(hash(line))
            self._numbers.append(number)

    def result(self) -> Duplication:
        """What was found among all files."""
        groups = self._groups()
        lines = sum(last - first for first, last in _union(p for places in groups for p in _repeated(places)))
        blocks = self._blocks(groups)
        ranked = sorted(blocks.items(), key=lambda item: (-item[0][1], -len(item[1]), item[0][0]))
        compared = len(self._hashes)
        return Duplication(
            lines=lines,
            compared_lines=compared,
            ratio=round(lines / compared, 4) if compared else 0.0,
            blocks_total=len(ranked),
            blocks=tuple(self._block(start, length, places) for (start, length), places in ranked[:TOP_BLOCKS]),
            files_left_out=self.files_left_out,
        )

    def _windows(self) -> Iterator[tuple[int, int]]:
        """Position and hash of every window; none reaches over the end of a file."""
        raw = self._hashes.tobytes()
        size = WINDOW * _HASH_BYTES
        for start, end in pairwise((*self._starts, len(self._hashes))):
            for position in range(start, end - WINDOW + 1):
                offset = position * _HASH_BYTES
                yield position, hash(raw[offset : offset + size])

    def _groups(self) -> list[list[int]]:
        """Positions of equal windows, in order, of every window that occurs more than once."""
        # First a bitmap of hashes seen once and more often, so that only what repeats is remembered by position.
        seen = bytearray(_SLOTS)
        for _, key in self._windows():
            slot = key % _SLOTS
            seen[slot] = min(seen[slot] + 1, 2)
        positions: dict[int, list[int]] = {}
        for position, key in self._windows():
            if seen[key % _SLOTS] > 1:
                positions.setdefault(key, []).append(position)
        return [places for places in positions.values() if places[-1] - places[0] >= WINDOW]

    def _blocks(self, groups: list[list[int]]) -> dict[tuple[int, int], list[int]]:
        """Copies by the position and the length of what they repeat."""
        group_of = {position: places for places in groups for position in places}
        blocks: dict[tuple[int, int], list[int]] = {}
        start = source = length = 0  # of the copy that is being followed: the latter two 0 when none is
        for position in sorted(group_of):
            places = group_of[position]
            follows = length and position == start + length - WINDOW + 1
            original = source + position - start
            if follows and length < start - source and group_of.get(original) is places:
                length += 1
                continue
            if length:
                blocks.setdefault((source, length), []).append(start)
            start, source = position, places[0]
            length = WINDOW if position - source >= WINDOW else 0
        if length:
            blocks.setdefault((source, length), []).append(start)
        return blocks

    def _block(self, source: int, length: int, copies: list[int]) -> DuplicatedBlock:
        places = [self._range(position, length) for position in (source, *copies)[:TOP_PLACES]]
        return DuplicatedBlock(lines=length, copies=1 + len(copies), places=tuple(places))

    def _range(self, position: int, length: int) -> LineRange:
        # Files without any line of code start where the next one does: the last of them is meant.
        path = self._paths[bisect_right(self._starts, position) - 1]
        first, last = self._numbers[position], self._numbers[position + length - 1]
        return LineRange(path=path, first_line=first, last_line=last)


def _repeated(places: list[int]) -> Iterator[int]:
    """The windows of a group that have another one which they do not overlap."""
    first, last = places[0], places[-1]
    return (position for position in places if position - first >= WINDOW or last - position >= WINDOW)


def _union(windows: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The lines that windows cover, as ranges that do not touch: (first, one after the last)."""
    first = last = -1
    for position in sorted(windows):
        if position > last:
            if last > first:
                yield first, last
            first = position
        last = position + WINDOW
    if last > first:
        yield first, last
