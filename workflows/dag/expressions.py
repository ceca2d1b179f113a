"""Conditions and lists in CEL (https://cel.dev), the same in every process and on every replay.

Compiled when a definition is posted. What they read of the run is found in their syntax tree: each chain of names
(`input.limit`, `steps["load"].commit`) is checked against the schema of its source, and only that is handed to CEL.

CEL iterates maps in random order, so a comprehension over anything but a list is refused. `sortedKeys(map)` gives the
keys in order, `items(list)` says of an untyped value that it is a list.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import isfinite
from string import ascii_letters, ascii_uppercase
from typing import Any, NamedTuple

from cel_expr_python import cel

from models.values import MISSING, Hole, Missing, Path, Read, Value, put, select
from workflows.dag.chains import Chain, chains_of, comprehensions, span
from workflows.dag.checked_ast import CheckedAst, TooDeepError
from workflows.dag.expression_size import MAX_MADE, made_characters
from workflows.dag.plan import Expression, Use

MAX_COLLECTED = 2_000
"""Values an expression with `map` or `filter` may see: these take time by the square of it."""
MAX_INLINE = 1_000
"""Values a comprehension may see inside of a workflow, whose activations must be short."""
TYPICAL_CHARACTERS = 4_096
"""What a value is taken to have when an expression is posted: longer ones lie elsewhere."""
MAX_RESULT = 100_000
MAX_RESULT_CHARACTERS = 4_000_000
"""What an expression may give. Lists may hold one value many times, so that the input bounds nothing."""
ROOTS = ("input", "steps")

_CEL_ERROR = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_CODE = re.compile(r"^[A-Z_]{4,}: |\s*\[[A-Z_]+\]\s*$")
_MIXED = re.compile(r"no matching overload .*\((?:u?int, double|double, u?int)\)")
_MIX_NUMBERS = "; integers and doubles are not mixed: write double(…) around the one, or int(…) around the other"
_TYPED_NAME = re.compile(r"\b([A-Z_])[A-Za-z]\b")
_PREFIXES = "_" + ascii_uppercase
_REMEDY = "sortedKeys(…) are an object's keys, items(…) says it is a list"
_STRINGS = cel.Type.List(cel.Type.STRING)
_ANYTHING = cel.Type.List(cel.Type.DYN)
_OBJECT = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)


class BadExpressionError(ValueError):
    """An expression that cannot be compiled; the message names the place in it."""


class ExpressionFailedError(Exception):
    """An expression gives no value for these variables."""


@dataclass(frozen=True)
class ReadExpression:
    """An expression whose grammar is right."""

    text: str
    item: str
    chains: tuple[Chain, ...]

    def uses(self, source_of: Callable[[Chain], tuple[int, Path, Path]]) -> Expression:
        """The compiled form. `source_of` gives a chain's source, the variable it stands behind, the path from there."""
        found: dict[tuple[int, Path], Use] = {}
        for chain in self.chains:
            source, variable, path = source_of(chain)
            found[source, path] = Use(source, variable, path)
        wholes = [
            use
            for (source, path), use in found.items()
            if not any((source, path[:length]) in found for length in range(len(path)))
        ]
        return Expression(self.text, tuple(wholes), self.item)


def read_expression(text: str, item: str = "item") -> ReadExpression:
    """Parse an expression and find what it reads. Raises BadExpressionError."""
    compiled = _compile(text, _environment(item))
    ast = _tree(compiled)
    made = made_characters(ast, characters=TYPICAL_CHARACTERS, values=1)
    if made > MAX_MADE:
        raise BadExpressionError(f"it grows too much: {_too_much(made)}")
    chains = tuple(chains_of(ast, ast.root, (*ROOTS, item)))
    for chain in chains:
        if chain.root == "steps" and not chain.path and chain.key is None:
            raise BadExpressionError(f'{where(text, chain.column)}: name one step: steps["id"]')
    return ReadExpression(text, item, chains)


class ValueType(NamedTuple):
    """What is known of a value's type: so many lists in lists of a base."""

    base: str = "dyn"
    lists: int = 0


MAX_LISTS = 4
"""Lists in lists that are told apart."""
_BASES = {
    "dyn": cel.Type.DYN,
    "boolean": cel.Type.BOOL,
    "integer": cel.Type.INT,
    "string": cel.Type.STRING,
    "null": cel.Type.NULL,
    "object": _OBJECT,
}
BASES = tuple(_BASES)
_LETTERS = {
    ValueType(base, lists): letter
    for letter, (base, lists) in zip(ascii_letters, product(_BASES, range(MAX_LISTS + 1)), strict=False)
}
"""A variable's last letter says its type, so that all expressions share an environment: making one takes long."""


def check_types(read: ReadExpression, type_of: Callable[[Chain], ValueType], *, wants_list: bool) -> str | None:
    """What is wrong with an expression whose chains have these types; None when it fits."""
    prefix = _free_prefix(read.text)
    text = _with_typed_names(read, type_of, prefix)
    wanted = _ANYTHING if wants_list else cel.Type.BOOL
    try:
        compiled = _compile(text, _typed_environment(read.item, prefix))
    except BadExpressionError as error:
        return str(error)
    ast = _tree(compiled)
    for comprehension in comprehensions(ast.root):
        if not ast.is_list(comprehension.iter_range):
            place = where(read.text, ast.column(comprehension.iter_range))
            return f"{place}: only lists can be gone through; {_REMEDY}"
    given = compiled.return_type()
    are_lists = given.name().startswith("LIST") and wanted.name().startswith("LIST")
    if given != cel.Type.DYN and not are_lists and not wanted.is_assignable_from(given):
        return f"it gives {_named(given)}, and {_named(wanted)} belongs here"
    return None


def _named(one: cel.Type) -> str:
    return {"BOOL": "true or false", "INT": "an integer", "STRING": "text", "DOUBLE": "a number"}.get(
        one.name(), "a list" if one.name().startswith("LIST") else f"a value of type {one.name().lower()}"
    )


def variables_of(expression: Expression, value_of: Callable[[int], Value | Missing]) -> Value:
    """What an expression is evaluated with: of each source only what it reads."""
    document: dict[str, Any] = {"input": {}, "steps": {}, expression.item: None}
    holes: list[Hole] = []
    for use in expression.uses:
        source = value_of(use.source)
        if not isinstance(source, Missing):
            _bind(document, holes, use, source)
    return Value(document, tuple(holes))


def _bind(document: dict[str, Any], holes: list[Hole], use: Use, value: Value) -> None:
    """Put what is used in its place.

    What is not there is not there for CEL either, but what would hold it is: `has(input.a.b)` is false without `a`,
    as it is when `input` lies elsewhere.
    """
    at = use.variable
    for depth, part in enumerate(use.path):
        rest = use.path[depth:]
        if value.holes and value.holes[0].at == ():
            holes.append(_open(document, (*at, *rest), value.holes[0], Read(rest)))
            return
        found = select(value, Read((part,))) if isinstance(value.json, dict) else MISSING
        if isinstance(found, Missing):
            _container(document, (*at, *rest[:-1]))
            return
        at, value = (*at, part), found
    _container(document, at[:-1])
    put(document, at, value.json)
    holes.extend(Hole((*at, *hole.at), hole.stored, hole.reads) for hole in value.holes)


def _open(document: dict[str, Any], at: Path, hole: Hole, rest: Read) -> Hole:
    _container(document, at[:-1])
    put(document, at, None)
    return Hole(at, hole.stored, (*hole.reads, rest))


def _container(document: Any, at: Path) -> None:
    for part in at:
        if not isinstance(document.get(part), dict):
            document[part] = {}
        document = document[part]


def evaluate(text: str, item: str, variables: Mapping[str, Any]) -> Any:
    """The JSON value of an expression. Raises ExpressionFailedError."""
    program = _program(text, item)
    if program.collects and _size(variables, MAX_COLLECTED) > MAX_COLLECTED:
        raise ExpressionFailedError(f"map and filter go through at most {MAX_COLLECTED:,} values in all")
    if program.makes and (made := _made(program.ast, variables)) > MAX_MADE:
        raise ExpressionFailedError(_too_much(made))
    try:
        result = program.compiled.eval(data=dict(variables))
    except MemoryError as error:
        raise ExpressionFailedError("it takes more memory than there is") from error
    except RuntimeError as error:
        raise ExpressionFailedError(_plain(str(error))) from error
    if result.type() == cel.Type.ERROR:
        raise ExpressionFailedError(_plain(str(result.plain_value())))
    return _JsonWriter().json(result)


def is_short(expression: Expression, variables: Value) -> bool:
    """Whether an expression can be evaluated inside of a workflow: nothing lies elsewhere, and it takes no time."""
    if variables.holes:
        return False
    return not _program(expression.text, expression.item).iterates or _size(variables.json, MAX_INLINE) <= MAX_INLINE


@dataclass(frozen=True)
class _Program:
    compiled: cel.Expression
    ast: CheckedAst
    iterates: bool
    collects: bool
    makes: bool


@lru_cache(maxsize=4_096)
def _program(text: str, item: str) -> _Program:
    compiled = _compile(text, _environment(item))
    ast = _tree(compiled)
    loops = list(comprehensions(ast.root))
    collects = any(loop.accu_init.HasField("list_expr") for loop in loops)
    return _Program(compiled, ast, bool(loops), collects, makes=made_characters(ast, characters=1, values=1) > 0)


def _made(ast: CheckedAst, variables: Mapping[str, Any]) -> float:
    return made_characters(ast, characters=_characters(variables), values=_size(variables, MAX_MADE))


def _too_much(made: float) -> str:
    return f"it may make {made:,.0f} characters on the way to its value; at most {MAX_MADE:,} are allowed"


def _sorted_keys(value: Mapping[str, Any]) -> list[str]:
    return sorted(value)


def _items(value: list[Any]) -> list[Any]:
    return value


_FUNCTIONS = [
    cel.FunctionDecl(
        "sortedKeys",
        [cel.Overload("sortedKeys_map", return_type=_STRINGS, parameters=[_OBJECT], impl=_sorted_keys)],
    ),
    cel.FunctionDecl("items", [cel.Overload("items_list", return_type=_ANYTHING, parameters=[_ANYTHING], impl=_items)]),
]


@lru_cache(maxsize=256)
def _environment(item: str) -> cel.Env:
    variables = {"input": cel.Type.DYN, "steps": _OBJECT, item: cel.Type.DYN}
    return cel.NewEnv(variables=variables, functions=_FUNCTIONS)


def _compile(text: str, environment: cel.Env) -> cel.Expression:
    try:
        return environment.compile(text)
    except RuntimeError as error:
        found = _CEL_ERROR.search(str(error))
        if found is None or int(found[1]) < 0:
            raise BadExpressionError(_plain(found[3] if found else str(error))) from error
        lines = text.split("\n")
        column = sum(len(line) + 1 for line in lines[: int(found[1]) - 1]) + int(found[2])
        remedy = _MIX_NUMBERS if _MIXED.search(found[3]) else ""
        raise BadExpressionError(f"{where(text, column)}: {_plain(found[3])}{remedy}") from error


def _tree(compiled: cel.Expression) -> CheckedAst:
    try:
        return CheckedAst(compiled.serialize())
    except TooDeepError as error:
        raise BadExpressionError(str(error)) from error


def where(text: str, column: int) -> str:
    """Where a column of a text is, in words."""
    before = text[: column - 1]
    line = before.count("\n") + 1
    inside = column - (before.rfind("\n") + 1)
    return f"column {inside}" if line == 1 else f"line {line}, column {inside}"


def _plain(message: str) -> str:
    return _CODE.sub("", message).strip()[:500]


def _free_prefix(text: str) -> str:
    """First letter of the typed variables, such that the text has none of them."""
    taken = dict.fromkeys(_TYPED_NAME.findall(text))
    return next((prefix for prefix in _PREFIXES if prefix not in taken), _PREFIXES[0])


@lru_cache(maxsize=256)
def _typed_environment(item: str, prefix: str) -> cel.Env:
    variables = {"input": cel.Type.DYN, "steps": _OBJECT, item: cel.Type.DYN}
    for (base, lists), letter in _LETTERS.items():
        one = _BASES[base]
        for _ in range(lists):
            one = cel.Type.List(one)
        variables[prefix + letter] = one
    return cel.NewEnv(variables=variables, functions=_FUNCTIONS)


def _with_typed_names(read: ReadExpression, type_of: Callable[[Chain], ValueType], prefix: str) -> str:
    """The text with a name of known type in place of each chain, padded so that columns stay."""
    text = read.text
    for chain in read.chains:
        start, end = span(text, chain)
        if chain.path and not chain.tested and end > start:
            text = text[:start] + (prefix + _LETTERS[type_of(chain)]).ljust(end - start) + text[end:]
    return text


def _size(value: Any, enough: int) -> int:
    """How many values there are in a value; counting ends a little behind `enough`."""
    count = 0
    ahead = [value]
    while ahead and count <= enough:
        one = ahead.pop()
        count += 1
        if isinstance(one, dict):
            ahead.extend(one.values())
        elif isinstance(one, list):
            ahead.extend(one)
    return count


def _characters(value: Any) -> int:
    """The characters of a value's texts, and one for each value that is none."""
    count = 0
    ahead = [value]
    while ahead:
        one = ahead.pop()
        count += 1 + len(one) if isinstance(one, str) else 1
        if isinstance(one, dict):
            ahead.extend(one)
            ahead.extend(one.values())
        elif isinstance(one, list):
            ahead.extend(one)
    return count


class _JsonWriter:
    """Makes JSON of a value of CEL, in which a few characters can stand for more than there is memory."""

    def __init__(self) -> None:
        self._values = MAX_RESULT
        self._characters = MAX_RESULT_CHARACTERS

    def json(self, value: cel.Value) -> Any:
        """The same value as JSON. Raises ExpressionFailedError."""
        plain = value.value()
        self._values -= 1
        match plain:
            case None | bool() | int():
                return plain
            case float() if isfinite(plain):
                return plain
            case str():
                return self._text(plain)
            case list():
                self._bound(len(plain))
                return [self.json(item) for item in plain]
            case dict() if all(isinstance(name, str) for name in plain):
                self._bound(len(plain))
                return {self._text(name): self.json(plain[name]) for name in sorted(plain)}
            case _:
                name = plain if isinstance(plain, float) else f"a value of type {type(plain).__name__}"
                raise ExpressionFailedError(f"it gives {name}, which JSON does not have")

    def _text(self, text: str) -> str:
        self._characters -= len(text)
        self._bound(0)
        if "\0" in text:
            raise ExpressionFailedError("it gives text with a NUL character, which cannot be stored")
        return text

    def _bound(self, more: int) -> None:
        if more > self._values or self._characters < 0:
            message = f"it gives more than {MAX_RESULT:,} values or {MAX_RESULT_CHARACTERS:,} characters"
            raise ExpressionFailedError(message)
