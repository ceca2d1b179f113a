"""Cyclomatic complexity by lizard: regular expressions and state machines, so it runs in a child process."""

from typing import NamedTuple

MAX_BYTES = 512 * 2**10
"""Of source text; larger files are generated or data."""
MAX_LINE = 20_000
"""Bytes of one line; longer ones are minified."""
SECONDS = 20.0
"""For one file: some 50 times what half a megabyte takes."""


class Function(NamedTuple):
    """One function of a file."""

    name: str
    line: int
    complexity: int
    lines: int


def measurable(text: bytes) -> bool:
    """Whether a file is worth measuring: written by people, not by tools."""
    return len(text) <= MAX_BYTES and max(map(len, text.split(b"\n"))) <= MAX_LINE


def measure(name: str, text: str) -> list[Function]:
    """The functions of a source text; `name` has the extension by which lizard knows the language."""
    import lizard  # noqa: PLC0415 only the child pays for it

    found = lizard.analyze_file.analyze_source_code(name, text).function_list
    return [Function(each.name, each.start_line, each.cyclomatic_complexity, each.length) for each in found]
