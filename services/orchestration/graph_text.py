"""Foreign text in a drawing: one line of characters that every format can carry, cut to a width in pixels."""

import unicodedata
from functools import lru_cache

_NARROW = frozenset("fijltrI.,:;'|!()[]{}/\\`-1 ")
_BROAD = frozenset("mwMWQOGDCNHU@%&+<>=~")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_REFUSED = frozenset("\ufffe\uffff")  # by XML; the rest it refuses are controls and surrogates
_JOINERS = frozenset("\u200c\u200d")  # part of ordinary words and emoji, and harmless
_ELLIPSIS = 0.9
MONOSPACED = 0.61
"""Width of a character by the font's size."""


def plain(text: str) -> str:
    """One line: white space is a space; controls, direction overrides and what XML refuses are U+FFFD."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join("\ufffd" if _hidden(char) else char for char in line)


def fit(text: str, room: float, size: float, *, monospaced: bool = False) -> str:
    """`text` if it is no wider than `room` pixels at a font size, else its beginning and an ellipsis."""
    if width(text, size, monospaced=monospaced) <= room:
        return text
    left = room - size * (MONOSPACED if monospaced else _ELLIPSIS)
    return text[: _fitting(text, left / size, monospaced=monospaced)].rstrip() + "…"


def cut_middle(text: str, room: float, size: float) -> str:
    """The same for ids: these differ at their ends more often than at their beginnings."""
    if width(text, size) <= room:
        return text
    half = (room / size - _ELLIPSIS) / 2
    return f"{text[: _fitting(text, half)]}…{text[len(text) - _fitting(text[::-1], half) :]}"


def _fitting(text: str, room: float, *, monospaced: bool = False) -> int:
    """How many characters fit; `room` by the font's size."""
    for count, char in enumerate(text):
        room -= _advance(char, monospaced=monospaced)
        if room < 0:
            return count
    return len(text)


@lru_cache(maxsize=4096)
def width(text: str, size: float, *, monospaced: bool = False) -> float:
    """Pixels a line takes at most, in the sans-serif and monospaced fonts of common systems."""
    return sum([_advance(char, monospaced=monospaced) for char in text]) * size


@lru_cache(maxsize=4096)
def _advance(char: str, *, monospaced: bool) -> float:
    if not char.isascii():
        if unicodedata.combining(char):
            return 0.0
        if unicodedata.east_asian_width(char) in "WF":
            return 1.05
    if monospaced:
        return MONOSPACED
    if char in _NARROW:
        return 0.37
    if char in _BROAD:
        return 0.88
    return 0.7 if char.isupper() else 0.6


def _hidden(char: str) -> bool:
    return char in _REFUSED or (char not in _JOINERS and unicodedata.category(char) in _HIDDEN)
