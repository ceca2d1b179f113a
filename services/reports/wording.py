"""Figures and foreign text as a reader sees them.

File names, author names and messages come from strangers. `visible` makes every character of them printable, so that
a control character or a direction override shows itself instead of acting; each document then escapes for its format.
"""

import re
import unicodedata

TEXT_LIMIT = 300
"""Characters of one foreign text that a document shows; the JSON data keeps all of them."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NONCHARACTERS = range(0xFDD0, 0xFDF0)
_PLANE_END = 0xFFFE  # the last two of each plane; XML refuses them
_JOINERS = frozenset("\u200c\u200d")  # part of ordinary words and emoji, and harmless


def visible(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""One line of printable text: line breaks, controls, direction overrides and the like become `\n`, `\u202e`."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    if not shown.isprintable():
        shown = "".join(_escape(char) if _is_hidden(char) else char for char in shown)
    return shown.strip() or "(blank)"


def _is_hidden(char: str) -> bool:
    if char in _JOINERS:
        return False
    is_noncharacter = ord(char) & _PLANE_END == _PLANE_END or ord(char) in _NONCHARACTERS
    return is_noncharacter or unicodedata.category(char) in _HIDDEN_CATEGORIES


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def number(value: int) -> str:
    """`11,208`."""
    return f"{value:,}"


def counted(value: int, one: str, many: str = "") -> str:
    """`no files`, `1 file`, `36 files`; `many` only where it is not `one` with an s."""
    noun = one if value == 1 else many or f"{one}s"
    return f"no {noun}" if value == 0 else f"{number(value)} {noun}"


def percent(part: int, whole: int) -> str:
    """Share in whole per cent, rounded half up: `57%`; `<1%` for little, `—` of nothing."""
    if whole <= 0:
        return "—"
    if 0 < 200 * part < whole:
        return "<1%"
    return f"{(200 * part + whole) // (2 * whole)}%"


def share(value: float) -> str:
    """A share from 0 to 1 in whole per cent, as `percent` has it."""
    return percent(round(value * 10_000), 10_000)


def decimal(value: float) -> str:
    """`84.2`, `1,204`: one digit after the point, where it is not 0."""
    return f"{value:,.1f}".removesuffix(".0")


def duration(seconds: float) -> str:
    """`no time`, `45 s`, `12 min`, `1,203 h 05 min`: rounded down."""
    minutes, left = divmod(int(seconds), 60)
    if minutes == 0:
        return f"{left} s" if left else "no time"
    hours, minutes = divmod(minutes, 60)
    return f"{number(hours)} h {minutes:02} min" if hours else f"{minutes} min"


def size(octets: int) -> str:
    """`734 bytes`, `12.4 kB`, `3.1 MB`: powers of 1,000, rounded down."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if octets >= scale:
            tenths = octets * 10 // scale
            return f"{number(tenths // 10)}.{tenths % 10} {unit}"
    return counted(octets, "byte")


def text_bar(value: int, largest: int, cells: int = 20) -> str:
    """A bar of block characters: full length for the largest, at least one cell for anything above zero."""
    if value <= 0 or largest <= 0:
        return ""
    return "█" * max(1, value * cells // largest)


class MarkdownText(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


_MARKDOWN_ESCAPES = str.maketrans(
    {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", "`": "&#96;", "\\": "&#92;"}
    | {char: f"\\{char}" for char in "*_[]{}#~$"}
)
_AUTOLINK = re.compile(r"(?<=@)|(?<=#)(?=\d)|(?<=:)(?=//)|(?<=www)(?=\.)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


def markdown(text: str) -> MarkdownText:
    """Foreign text as inline Markdown, in a table cell too: no markup, no HTML, no link made of an address or @name.

    Not for the start of a line, where `-` or `1.` would begin a list.
    """
    return MarkdownText(_AUTOLINK.sub(_WORD_JOINER, visible(text)).translate(_MARKDOWN_ESCAPES))


def markdown_code(text: str) -> MarkdownText:
    """A path or an identifier as a code span; as escaped text where a code span in a table could not hold it."""
    shown = visible(text)
    return markdown(text) if any(char in "`|<>&\\" for char in shown) else MarkdownText(f"`{shown}`")
