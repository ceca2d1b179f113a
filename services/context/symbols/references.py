"""Where a source names something, by spelling alone."""

import re
import time
from typing import NamedTuple

from services.context.symbols.grammars import SECONDS, grammar_of, parse
from services.context.symbols.positions import Columns, characters

_OTHER_NAMES = frozenset(
    {"constant", "word", "variable_name", "instance_variable", "class_variable", "global_variable"}
)
"""Nodes that are names though their type does not end in `identifier`: of Ruby and Bash."""


class Reference(NamedTuple):
    """One place that has a name. Line and column are from 1, column and length in characters."""

    line: int
    column: int
    length: int


def references_of(language: str, source: bytes, name: str, path: str = "") -> list[Reference] | None:
    """Where `name` stands as an identifier: not in comments, texts or longer names; by position.

    Approximate: definitions are among them, and so are other things of the same name. Parameters and None as with
    `symbols_of`; the seconds are those of parsing and looking.
    """
    grammar = grammar_of(language, source, path)
    wanted = name.encode()
    if grammar is None or not wanted or wanted not in source:
        return []
    deadline = time.monotonic() + SECONDS
    tree = parse(grammar, source, deadline)
    if tree is None:
        return None
    root, columns, length = tree.root_node, Columns(source), characters(wanted)
    found: list[Reference] = []
    for match in re.finditer(rb"(?<!\w)" + re.escape(wanted) + rb"(?!\w)", source):
        node = root.descendant_for_byte_range(*match.span())
        if time.monotonic() > deadline:
            return None
        if node and node.byte_range == match.span() and (node.type.endswith("identifier") or node.type in _OTHER_NAMES):
            row, before = node.start_point
            found.append(Reference(row + 1, columns.at(node.start_byte, before), length))
    return found
