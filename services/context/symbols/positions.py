"""Columns in characters: tree-sitter counts bytes."""


class Columns:
    """Columns of ascending places in a source. A line is decoded once, however many places it has."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._line = self._place = -1
        self._column = 0

    def at(self, place: int, bytes_before: int) -> int:
        """The column, from 1, of the byte at `place`, which has so many bytes before it on its line."""
        line = place - bytes_before
        if line != self._line:
            self._line, self._place, self._column = line, line, 1
        self._column += _characters(self._source[self._place : place])
        self._place = place
        return self._column


def _characters(text: bytes) -> int:
    """How many characters a text has when what is no UTF-8 is shown as replacement characters."""
    return len(text) if text.isascii() else len(text.decode("utf-8", "replace"))
