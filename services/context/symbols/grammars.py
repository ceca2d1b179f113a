"""tree-sitter's grammars and our queries, loaded once, and parsing within bounds of size."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from operator import sub
from pathlib import Path, PurePosixPath

import tree_sitter_bash
import tree_sitter_c
import tree_sitter_cpp
import tree_sitter_go
import tree_sitter_java
import tree_sitter_javascript
import tree_sitter_python
import tree_sitter_ruby
import tree_sitter_rust
import tree_sitter_typescript
from tree_sitter import Language, Parser, Query, Tree

from services.context.symbols.repairs import without_backquotes, without_macros

MAX_BYTES = 2 * 2**20
"""Of a source file; larger ones are generated or data."""
SECONDS = 5.0
"""For one file, in a child process: several times what two megabytes of usual source take."""
MAX_EXTENT = 1_000
"""Brackets inside each other, levels of a syntax tree, tokens side by side in it: far more than people write."""
MAX_NODES = 1_000_000
"""Of a syntax tree; two megabytes of usual source have 600,000."""
_BRACKETS = {**dict.fromkeys(b"([{", 1), **dict.fromkeys(b")]}", -1)}
_NO_BRACKETS = bytes(set(range(256)) - _BRACKETS.keys())
_QUERIES = Path(__file__).with_name("queries")
_CPP_MARK = re.compile(
    rb"^[ \t]*(?:(?:inline )?namespace\b|template[ \t]*<|class[ \t]+\w|(?:public|private|protected)[ \t]*:)",
    re.MULTILINE,
)


@dataclass(frozen=True, eq=False)
class Grammar:
    """How one language is parsed, and what in it is a definition."""

    language: Callable[[], object]
    queries: tuple[str, ...]
    """Files in `queries/`, without their extension; patterns of the first come first."""
    separator: str = "."
    """Stands between the names of nested containers."""
    repair: Callable[[bytes], bytes] | None = None
    """Takes out of a source what the grammar is known to misread, without moving the rest."""


_C = Grammar(tree_sitter_c.language, ("c",), "::", without_macros)
_CPP = Grammar(tree_sitter_cpp.language, ("cpp", "c"), "::", without_macros)
_TSX = Grammar(tree_sitter_typescript.language_tsx, ("ecmascript", "typescript"))

_GRAMMARS = {
    "C": _C,
    "C++": _CPP,
    "Go": Grammar(tree_sitter_go.language, ("go",)),
    "Java": Grammar(tree_sitter_java.language, ("java",)),
    "JavaScript": Grammar(tree_sitter_javascript.language, ("ecmascript", "javascript")),
    "Python": Grammar(tree_sitter_python.language, ("python",)),
    "Ruby": Grammar(tree_sitter_ruby.language, ("ruby",), "::"),
    "Rust": Grammar(tree_sitter_rust.language, ("rust",), "::"),
    "Shell": Grammar(tree_sitter_bash.language, ("bash",), repair=without_backquotes),
    "TypeScript": Grammar(tree_sitter_typescript.language_typescript, ("ecmascript", "typescript")),
}
LANGUAGES = frozenset(_GRAMMARS)
"""Display names, as `services/context/languages.py` has them, of the languages that have symbols."""


class _Parsers(threading.local):
    def __init__(self) -> None:
        self.by_grammar: dict[Grammar, Parser] = {}


_parsers = _Parsers()


def grammar_of(language: str, source: bytes, path: str) -> Grammar | None:
    """The grammar for a file; None for languages that have none.

    The extension tells dialects of one language apart. A header is C++ when it says things that C cannot.
    """
    match language, PurePosixPath(path).suffix.lower():
        case "TypeScript", ".tsx":
            return _TSX
        case "C", ".h" if _CPP_MARK.search(source):
            return _CPP
        case "Shell", ".fish":
            return None
        case _:
            return _GRAMMARS.get(language)


@cache
def _loaded(grammar: Grammar) -> Language:
    return Language(grammar.language())


@cache
def definitions_query(grammar: Grammar) -> Query:
    """What finds the definitions of a language, compiled."""
    text = "\n".join((_QUERIES / f"{name}.scm").read_text("utf-8") for name in grammar.queries)
    return Query(_loaded(grammar), text)


def _parser(grammar: Grammar) -> Parser:
    """The parser of a grammar for this thread: parsers keep state and cannot be shared."""
    parsers = _parsers.by_grammar
    if grammar not in parsers:
        parsers[grammar] = Parser(_loaded(grammar))
    return parsers[grammar]


def parse(grammar: Grammar, source: bytes) -> Tree | None:
    """The syntax tree of a source, errors in it marked; None when it is too large, or too costly to query."""
    if len(source) > MAX_BYTES or _nesting(source) > MAX_EXTENT:
        return None
    # A NUL looks like the end: at one, Bash's scanner turns in circles for ever.
    tree = _parser(grammar).parse(source.replace(b"\0", b" "))
    return None if _is_costly(tree) else tree


def _nesting(source: bytes) -> int:
    """How deep brackets are nested, wherever they stand: with 100,000 open ones, C++'s parser overflows the stack."""
    steps = map(_BRACKETS.__getitem__, source.translate(None, _NO_BRACKETS))
    heights = list(accumulate(steps, initial=0))
    return max(map(sub, heights, accumulate(heights, min)))


def _is_costly(tree: Tree) -> bool:
    """Whether a query would take long: by nodes, and by the square of the depth and of tokens side by side.

    Fast, because a node with few nodes below it has neither.
    """
    if tree.root_node.descendant_count > MAX_NODES:
        return True
    cursor = tree.walk()
    tokens = 0
    while node := cursor.node:
        tokens = 0 if node.is_named else tokens + 1
        if tokens > MAX_EXTENT:
            return True
        if node.descendant_count > MAX_EXTENT and cursor.goto_first_child():
            tokens = 0
            if cursor.depth > MAX_EXTENT:
                return True
            continue
        while not cursor.goto_next_sibling():
            tokens = 0
            if not cursor.goto_parent():
                return False
    return False
