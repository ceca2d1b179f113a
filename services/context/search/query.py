"""The query language: what people write, read into a tree. Pure.

A query is a boolean expression over files: a space is AND, `OR` binds less, `-` or `NOT` turns one operand around.
Operands are words, "phrases", /regular expressions/ and filters such as `path:` or `lang:`. `case:`, `rev:` and
`count:` are about the whole query.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from models.errors import InvalidInputError, Problem

LONGEST = 2_000
"""Characters of a query."""
DEEPEST = 50
"""Parentheses within each other."""
MOST_OPERANDS = 100
MOST_FILES = 1_000
"""That `count:` may ask for."""


@dataclass(frozen=True)
class Pattern:
    """A text to look for."""

    text: str
    regex: bool
    column: int
    """Where it begins in the query, from 1."""


@dataclass(frozen=True)
class Content:
    """The pattern is on a line of the file, or in its path."""

    pattern: Pattern


@dataclass(frozen=True)
class PathIs:
    """The path has the pattern in it: a text, a glob when it has `*` or `?`, or a regular expression."""

    pattern: Pattern


@dataclass(frozen=True)
class RepoIs:
    """The repository's name: a part of it, a glob or a regular expression; `.` is the platform's own checkout."""

    pattern: Pattern


@dataclass(frozen=True)
class LangIs:
    """The file is in a language."""

    name: str
    column: int


@dataclass(frozen=True)
class SymbolIs:
    """The file defines a symbol whose name has the pattern in it."""

    pattern: Pattern


@dataclass(frozen=True)
class Not:
    """The operand does not hold."""

    operand: "Node"


@dataclass(frozen=True)
class All:
    """Every operand holds; without any, every file matches."""

    operands: tuple["Node", ...]


@dataclass(frozen=True)
class AnyOf:
    """One of the operands holds."""

    operands: tuple["Node", ...]


Node = Content | PathIs | RepoIs | LangIs | SymbolIs | Not | All | AnyOf


@dataclass(frozen=True)
class Query:
    """A query that was understood."""

    root: Node
    case_sensitive: bool = False
    rev: str | None = None
    count: int | None = None
    """Files on a page."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int
    regex: bool = False
    quoted: bool = False


_FILTERS = ("repo", "path", "lang", "symbol", "case", "rev", "count")
_GLOBAL = frozenset({"case", "rev", "count"})
_KEY = re.compile(r"([A-Za-z]+):")
_WORD = re.compile(r'[^\s()"]+')


def parse(text: str) -> Query:
    """Read a query. Raises InvalidInputError with the column and what was expected there."""
    if len(text) > LONGEST:
        _refuse(LONGEST + 1, f"a query of at most {LONGEST:,} characters")
    return _Parser(list(_tokens(text)), len(text) + 1).parse()


def leaves(node: Node) -> Iterator[Content | PathIs | RepoIs | LangIs | SymbolIs]:
    """All operands, from left to right."""
    match node:
        case All(operands) | AnyOf(operands):
            for operand in operands:
                yield from leaves(operand)
        case Not(operand):
            yield from leaves(operand)
        case _:
            yield node


def refuse(column: int, message: str) -> NoReturn:
    """Raise InvalidInputError about a place in the query."""
    problem = Problem(pointer="/q", code="bad-query", message=f"column {column}: {message}")
    raise InvalidInputError("The query cannot be understood.", problems=[problem])


def _refuse(column: int, expected: str) -> NoReturn:
    refuse(column, f"expected {expected}")


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while place < len(text):
        char, column = text[place], place + 1
        if char.isspace():
            place += 1
        elif char in "()":
            yield _Token(char, char, column)
            place += 1
        elif char == "-" and place + 1 < len(text) and not text[place + 1].isspace():
            yield _Token("not", char, column)
            place += 1
        elif (key := _KEY.match(text, place)) and key[1].lower() in _FILTERS:
            value, place = _operand(text, key.end(), f"a value after {key[1]}:")
            yield _Token(key[1].lower(), value.text, value.column, value.regex, value.quoted)
        else:
            token, place = _operand(text, place, "a word")
            word = token.text if not (token.quoted or token.regex) else ""
            kind = {"OR": "or", "AND": "and", "NOT": "not"}.get(word, "content")
            yield _Token(kind, token.text, token.column, token.regex, token.quoted)


def _operand(text: str, place: int, expected: str) -> tuple[_Token, int]:
    """A word, a "phrase" or a /regular expression/, and where it ends."""
    column = place + 1
    if place < len(text) and text[place] == '"':
        value, end = _until(text, place + 1, '"', "a closing quotation mark")
        return _Token("content", value, column, quoted=True), end
    if place < len(text) and text[place] == "/" and "/" in text[place + 1 :]:
        value, end = _until(text, place + 1, "/", "a closing /", keep_escapes=True)
        if end == len(text) or text[end].isspace() or text[end] == ")":
            return _Token("content", value, column, regex=True), end
    word = _WORD.match(text, place)
    if word is None:
        _refuse(column, expected)
    return _Token("content", word[0], column), word.end()


def _until(text: str, place: int, closing: str, expected: str, *, keep_escapes: bool = False) -> tuple[str, int]:
    """Up to the closing character; a backslash escapes it, and in a phrase itself."""
    found: list[str] = []
    while place < len(text):
        char = text[place]
        if char == "\\" and place + 1 < len(text):
            escaped = text[place + 1]
            is_ours = escaped == closing or (escaped == "\\" and not keep_escapes)
            found.append(escaped if is_ours else char + escaped)
            place += 2
        elif char == closing:
            return "".join(found), place + 1
        else:
            found.append(char)
            place += 1
    _refuse(len(text) + 1, expected)


@dataclass
class _Parser:
    tokens: list[_Token]
    end: int
    place: int = 0
    operands: int = 0
    globals: dict[str, _Token] = field(default_factory=dict[str, _Token])

    def parse(self) -> Query:
        root = self._any_of(0)
        if self.place < len(self.tokens):
            refuse(self.tokens[self.place].column, "there is no ( for this )")
        return Query(root, self._case(), self._rev(), self._count())

    def _peek(self) -> str:
        return self.tokens[self.place].kind if self.place < len(self.tokens) else ""

    def _any_of(self, depth: int) -> Node:
        operands = [self._all(depth)]
        while self._peek() == "or":
            self._need(operands[-1])
            self.place += 1
            operands.append(self._all(depth))
        if len(operands) == 1:
            return operands[0]
        self._need(operands[-1])
        return AnyOf(tuple(operands))

    def _need(self, operand: Node) -> None:
        if operand == All(()):
            _refuse(self._column(), "an operand on both sides of OR")

    def _all(self, depth: int) -> Node:
        operands: list[Node] = []
        while (kind := self._peek()) not in ("", "or", ")"):
            if kind == "and":
                self.place += 1
                if not operands or self._peek() in ("", "or", "and", ")"):
                    _refuse(self._column(), "an operand on both sides of AND")
                continue
            if kind in _GLOBAL:
                self._keep_global(depth)
                continue
            operands.append(self._one(depth))
        return operands[0] if len(operands) == 1 else All(tuple(operands))

    def _one(self, depth: int) -> Node:
        token = self.tokens[self.place]
        self.place += 1
        if token.kind == "not":
            if self._peek() in ("", "or", "and", ")") or self._peek() in _GLOBAL:
                _refuse(self._column(), "an operand after NOT")
            return Not(self._one(depth))
        if token.kind == "(":
            if depth == DEEPEST:
                _refuse(token.column, f"at most {DEEPEST} parentheses within each other")
            inner = self._any_of(depth + 1)
            if self._peek() != ")":
                _refuse(self._column(), "a closing )")
            if inner == All(()):
                _refuse(self._column(), "an operand between ( and )")
            self.place += 1
            return inner
        self.operands += 1
        if self.operands > MOST_OPERANDS:
            _refuse(token.column, f"at most {MOST_OPERANDS} operands")
        return _leaf(token)

    def _keep_global(self, depth: int) -> None:
        token = self.tokens[self.place]
        self.place += 1
        if depth:
            _refuse(token.column, f"{token.kind}: outside of parentheses, since it is about the whole query")
        if token.kind in self.globals:
            _refuse(token.column, f"{token.kind}: only once")
        self.globals[token.kind] = token

    def _column(self) -> int:
        return self.tokens[self.place].column if self.place < len(self.tokens) else self.end

    def _case(self) -> bool:
        token = self.globals.get("case")
        if token is not None and token.text.lower() not in ("yes", "no"):
            _refuse(token.column, "case:yes or case:no")
        return token is not None and token.text.lower() == "yes"

    def _rev(self) -> str | None:
        token = self.globals.get("rev")
        return None if token is None else token.text

    def _count(self) -> int | None:
        token = self.globals.get("count")
        if token is None:
            return None
        if not re.fullmatch("[0-9]{1,6}", token.text) or not 1 <= int(token.text) <= MOST_FILES:
            _refuse(token.column, f"a number from 1 to {MOST_FILES:,} after count:")
        return int(token.text)


def _leaf(token: _Token) -> Node:
    if not token.text:
        _refuse(token.column, "a text that is not empty")
    if "\x00" in token.text or "\n" in token.text:
        _refuse(token.column, "a text of one line")
    if any("\ud800" <= char <= "\udfff" for char in token.text):
        _refuse(token.column, "a text without halves of characters")
    pattern = Pattern(token.text, token.regex, token.column)
    match token.kind:
        case "path":
            return PathIs(pattern)
        case "repo":
            return RepoIs(pattern)
        case "lang":
            return LangIs(token.text, token.column)
        case "symbol":
            return SymbolIs(pattern)
        case _:
            return Content(pattern)
