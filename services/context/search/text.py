"""What of a file is searched: text, decoded; or why it is not. Pure."""

from typing import Literal

Skip = Literal["binary", "too-large", "long-line", "link", "submodule", "unreadable"]
MOST_BYTES = 2 * 2**20
LONGEST_LINE = 20_000
"""Bytes. Longer lines are data or were made by tools: nobody reads them."""
_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8"))


def searchable(raw: bytes) -> bytes | Skip:
    """The text of a file in UTF-8: the file itself, unless it begins with a byte order mark."""
    if len(raw) > MOST_BYTES:
        return "too-large"
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            raw = raw[len(mark) :].decode(encoding, "replace").encode()
    if b"\x00" in raw:
        return "binary"
    if len(raw) > LONGEST_LINE and max(map(len, raw.split(b"\n"))) > LONGEST_LINE:
        return "long-line"
    return raw
