"""What a source file defines: matches of a language's query, named, nested and sorted."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from tree_sitter import Node, QueryCursor

from services.context.symbols.grammars import Grammar, definitions_query, grammar_of, parse
from services.context.symbols.positions import Columns

MAX_NAME = 1_000
"""Bytes of a name; nobody writes or looks for longer ones."""
MAX_MATCHES = 100_000
"""In one file; lists of a million constants are data."""
MAX_NESTING = 32
"""Of named containers. What lies deeper is listed under the last of them."""
_SCOPE = "scope"
"""A capture that contains definitions and is none itself."""
_MAX_WRAPPING = 64
_CAPITALS = re.compile(r"_*[A-Z][A-Z0-9_]+")
_NOBODY = frozenset({"exports", "module.exports", "this", "self", "window", "globalThis"})
"""What a function may be assigned to without becoming a member of it."""
_WHOLE_NAMES = frozenset({"operator_name", "destructor_name", "operator_cast", "namespace_identifier"})


class Kind(StrEnum):
    """What a symbol is. The queries' captures have these names."""

    CLASS = "class"
    INTERFACE = "interface"
    STRUCT = "struct"
    ENUM = "enum"
    TRAIT = "trait"
    FUNCTION = "function"
    METHOD = "method"
    CONSTANT = "constant"
    VARIABLE = "variable"
    TYPE = "type"
    MODULE = "module"
    MACRO = "macro"
    FIELD = "field"


_KINDS: dict[str, Kind | None] = {**{kind.value: kind for kind in Kind}, _SCOPE: None}
_VALUES = frozenset({Kind.CONSTANT, Kind.VARIABLE, Kind.FIELD})
_BODIES = frozenset({Kind.FUNCTION, Kind.METHOD})
_HAVE_METHODS = frozenset({Kind.CLASS, Kind.INTERFACE, Kind.STRUCT, Kind.ENUM, Kind.TRAIT, None})


class Symbol(NamedTuple):
    """One definition."""

    name: str
    kind: Kind
    line: int
    """Of the name, from 1."""
    column: int
    """Of the name's first character, from 1, in characters."""
    end_line: int
    """The last line of the definition."""
    container: str
    """The names around it, outermost first; empty at the top level."""


class _Found(NamedTuple):
    start: int
    end: int
    end_line: int
    kind: Kind | None
    name: Node
    owner: str
    """A container that the definition itself names: a receiver, a qualified name."""
    pattern: int


def symbols_of(language: str, source: bytes, path: str = "") -> list[Symbol] | None:
    """The definitions in a source, by position; local variables are none.

    `language` is a display name of `services/context/languages.py`; one without a grammar has no symbols. `path` tells
    dialects apart. None when the file is skipped: over `MAX_BYTES` or `MAX_MATCHES` definitions, nested or torn beyond
    `MAX_EXTENT`. tree-sitter is C and may hang or crash with what strangers wrote: call this in a child process.
    """
    grammar = grammar_of(language, source, path)
    if grammar is None:
        return []
    tree = parse(grammar, grammar.repair(source) if grammar.repair else source)
    if tree is None:
        return None
    matches = QueryCursor(definitions_query(grammar)).matches(tree.root_node)
    if len(matches) > MAX_MATCHES:
        return None
    found = _unique(_read(pattern, captures, source, grammar) for pattern, captures in matches)
    return _located(_nested(found, source, grammar), source)


def _read(pattern: int, captures: dict[str, list[Node]], source: bytes, grammar: Grammar) -> _Found | None:
    """One match of the query; None when it names nothing after all."""
    capture = next(name for name in captures if name in _KINDS)
    names = captures.get("name")
    owners = captures.get("container", [])
    name, scopes = (names[0], []) if names else _declared(captures["declarator"][0])
    if name is None:
        return None
    whole = captures[capture][0]
    end = whole.end_point
    return _Found(
        start=whole.start_byte,
        end=whole.end_byte,
        end_line=end.row + (1 if end.column or end.row == whole.start_point.row else 0),
        kind=_KINDS[capture],
        name=name,
        owner=_owner([_text(node, source) for node in (*owners, *scopes)], grammar),
        pattern=pattern,
    )


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", "replace")


def name_start(node: Node, source: bytes) -> int:
    """Where the name that a node has begins: the colon before a Ruby symbol is none of it."""
    return node.start_byte + source.startswith(b":", node.start_byte)


def _owner(names: list[str], grammar: Grammar) -> str:
    """The container that a definition names, without what only the syntax needs."""
    if len(names) != 1:
        return grammar.separator.join(names)
    name = names[0].removesuffix(".prototype")
    return "" if name in _NOBODY or len(name) > MAX_NAME else name


def _declared(node: Node) -> tuple[Node | None, list[Node]]:
    """The name that a declarator of C or C++ wraps, and the names that qualify it, outermost first."""
    scopes: list[Node] = []
    for _ in range(_MAX_WRAPPING):
        if node.type in _WHOLE_NAMES or (node.type.endswith("identifier") and node.type != "qualified_identifier"):
            return node, scopes
        if node.type == "qualified_identifier" and (scope := node.child_by_field_name("scope")):
            scopes.append(scope.child_by_field_name("name") or scope)
        inner = (
            node.child_by_field_name("declarator")
            or node.child_by_field_name("name")
            or next(reversed(node.named_children), None)
        )
        if inner is None:
            break
        node = inner
    return None, []


def _unique(found: Iterable[_Found | None]) -> list[_Found]:
    """Each name once, as the first pattern that matched it has it, outer definitions before inner ones."""
    first: dict[int, _Found] = {}
    for each in found:
        if each is None or each.name.end_byte - each.name.start_byte > MAX_NAME:
            continue
        place = each.name.start_byte
        if place not in first or each.pattern < first[place].pattern:
            first[place] = each
    return sorted(first.values(), key=lambda each: (each.start, -each.end))


def _nested(found: list[_Found], source: bytes, grammar: Grammar) -> Iterable[tuple[_Found, Kind, str, str]]:
    """Each definition with its kind, name and container."""
    around: list[tuple[_Found, str]] = []
    for each in found:
        while around and (each.start >= around[-1][0].end or each[:2] == around[-1][0][:2]):
            around.pop()
        outer, path = around[-1] if around else (None, "")
        if outer and outer.kind in _BODIES and each.kind in _VALUES:
            continue
        name = _name(each, source)
        container = grammar.separator.join(filter(None, (path, each.owner)))
        if each.kind is not None:
            yield each, _kind(each.kind, each.owner, outer, name), name, container
        if each.kind is not Kind.TYPE and len(around) < MAX_NESTING:
            around.append((each, grammar.separator.join(filter(None, (container, name)))))


def _name(found: _Found, source: bytes) -> str:
    """A name as people write it where they use it: no colon before a Ruby symbol, one spelling for operators."""
    text = _text(found.name, source).removeprefix(":")
    if found.name.type == "operator_cast":
        text = text.partition("(")[0]
    return re.sub(r"^operator (?=\W)", "operator", " ".join(text.split()))


def _kind(kind: Kind, owner: str, outer: _Found | None, name: str) -> Kind:
    """The kind that surroundings and spelling make of the query's."""
    if kind is Kind.FUNCTION and (owner or (outer and outer.kind in _HAVE_METHODS)):
        return Kind.METHOD
    if kind is Kind.VARIABLE and _CAPITALS.fullmatch(name):
        return Kind.CONSTANT
    return kind


def _located(named: Iterable[tuple[_Found, Kind, str, str]], source: bytes) -> list[Symbol]:
    """Symbols in the order of their names."""
    columns = Columns(source)
    symbols: list[Symbol] = []
    for found, kind, name, container in sorted(named, key=lambda each: each[0].name.start_byte):
        row, before = found.name.start_point
        start = name_start(found.name, source)
        column = columns.at(start, before + start - found.name.start_byte)
        symbols.append(Symbol(name, kind, row + 1, column, found.end_line, container))
    return symbols
