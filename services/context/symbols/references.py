"""Where a name stands in a source as an identifier: in a syntax tree, so not in comments and texts.

Two kinds of reading share one notion: `identifier_at` says what stands at a place, `places_of` where it stands. Names
are told by their spelling alone, so that what is found is approximate: two things of one name are one.
"""

import re

from tree_sitter import Node, TreeCursor

from services.context.symbols.definitions import MAX_MATCHES, name_start
from services.context.symbols.grammars import Grammar, grammar_of, parse

_NAMES = frozenset({
    "bare_symbol", "class_variable", "constant", "global_variable", "hash_key_symbol", "instance_variable",
    "simple_symbol",  # Ruby
    "label_name",  # Go
    "metavariable",  # Rust
    "shorthand_property_identifier_pattern",  # JavaScript
    "variable_name",  # Shell
})  # fmt: skip
"""Leaves that are names, beside those whose type ends with `identifier`."""
_CALLED = frozenset({"command_name", "function_definition"})
"""Where a word of Shell is a name; elsewhere it is a text."""
_FAMILIES = (frozenset({"C", "C++"}), frozenset({"JavaScript", "TypeScript"}))
_WORD = re.compile(rb"[\w\x80-\xff]")
"""A byte of a word: what is beyond ASCII is a letter more often than not."""


def identifier_at(language: str, source: bytes, path: str, place: int) -> str | None:
    """The identifier that the byte at `place` belongs to, or begins; empty for none.

    `language` and `path` as for `symbols_of`, and so is None: the source is too large or too costly. Call this in a
    child process.
    """
    grammar = grammar_of(language, source, path)
    if grammar is None:
        return ""
    readable = _readable(grammar, source)
    tree = parse(grammar, readable)
    if tree is None:
        return None
    if readable[place : place + 1] != source[place : place + 1]:  # a macro, which the grammar is not shown
        return word_at(source, place)
    node = tree.root_node.descendant_for_byte_range(place, place + 1)
    if node is None or not _is_name(node):
        return ""
    start, end = _extent(node, source)
    name = source[start:end]
    is_whole = re.compile(_bounded(name)).match(source, start)  # torn sources have parts of words, too: 0name
    return name.decode("utf-8", "replace") if is_whole else ""


def places_of(language: str, source: bytes, path: str, name: str) -> list[int] | None:
    """The bytes at which `name` begins as an identifier, ascending; as `identifier_at` otherwise."""
    grammar = grammar_of(language, source, path)
    if grammar is None:
        return []
    words = words_of(source, name)
    readable = _readable(grammar, source)
    tree = parse(grammar, readable) if len(words) <= MAX_MATCHES else None
    if tree is None:
        return None
    cursor, length = tree.walk(), len(name.encode())

    def is_named(start: int) -> bool:
        whole = (start, start + length)
        if readable[slice(*whole)] != source[slice(*whole)]:
            return True
        leaf = _leaf_at(cursor, start)
        return leaf is not None and _is_name(leaf) and _extent(leaf, source) == whole

    return list(filter(is_named, words))


def words_of(source: bytes, name: str) -> list[int]:
    """The bytes at which a name begins and is no part of a longer word, whatever is around it."""
    return [found.start() for found in re.finditer(_bounded(name.encode()), source)]


def word_at(source: bytes, place: int) -> str:
    """The word that the byte at `place` belongs to; empty for none."""
    start = end = place
    while start > 0 and _WORD.match(source, start - 1):
        start -= 1
    while _WORD.match(source, end):
        end += 1
    return source[start:end].decode("utf-8", "replace") if _WORD.match(source, place) else ""


def _bounded(name: bytes) -> bytes:
    """The name, where it is no part of a longer word."""
    before = rb"(?<![\w\x80-\xff])" if _WORD.match(name) else b""
    after = rb"(?![\w\x80-\xff])" if _WORD.match(name[-1:]) else b""
    return before + re.escape(name) + after


def _readable(grammar: Grammar, source: bytes) -> bytes:
    return grammar.repair(source) if grammar.repair else source


def _leaf_at(cursor: TreeCursor, place: int) -> Node | None:
    """The leaf that the byte at `place` belongs to, with the cursor on it. Places of one cursor ascend.

    The cursor goes on from where it is: from the root each time, a list of a million names would be walked a million
    times.
    """
    while cursor.node and cursor.node.end_byte <= place:
        if not cursor.goto_next_sibling() and not cursor.goto_parent():
            return None
    while (node := cursor.node) and node.start_byte <= place:
        if not cursor.goto_first_child():
            return node
        while cursor.node and cursor.node.end_byte <= place:
            if not cursor.goto_next_sibling():
                return None
    return None


def _is_name(node: Node) -> bool:
    if node.child_count:
        return False
    if node.type == "word":
        return node.parent is not None and node.parent.type in _CALLED
    return node.type in _NAMES or node.type.endswith("identifier")


def _extent(node: Node, source: bytes) -> tuple[int, int]:
    return name_start(node, source), node.end_byte


def family_of(language: str) -> frozenset[str]:
    """The languages whose sources use each other's names, by one of them."""
    return next((family for family in _FAMILIES if language in family), frozenset({language}))
