"""Holding an expression against the schemas of what it reads."""

from collections.abc import Iterator

from models.errors import Problem
from models.values import Path
from workflows.dag.chains import Chain
from workflows.dag.expressions import BASES, MAX_LISTS, ROOTS, ReadExpression, ValueType, check_types, where
from workflows.dag.references import format_path
from workflows.dag.results import Results, Scope
from workflows.dag.schemas import DeadEnd, Place, Shape, branches, item_of


def check_expression(
    expression: ReadExpression, pointer: str, scope: Scope, results: Results, *, wants_list: bool
) -> list[Problem]:
    """What is wrong with an expression: paths that lead nowhere, values that may be missing, types that do not fit."""
    check = _Check(expression, pointer, scope, results)
    problems = list(check.problems())
    if problems:
        return problems
    wrong = check_types(expression, check.type_of, wants_list=wants_list)
    return [] if wrong is None else [check.problem("bad-expression", wrong)]


def source_and_path(chain: Chain, *, is_list: bool) -> tuple[str, Path]:
    """The source a chain asks of (`input`, an item's name, a step's id), and what it asks for.

    `is_list`: what `in` looks into is no object, so that all of it is read.
    """
    path = chain.path if chain.key is None or is_list else (*chain.path, chain.key)
    if chain.root != "steps":
        return chain.root, path
    return str(path[0]), path[1:]


def use_of(chain: Chain) -> tuple[str, Path]:
    """The source a chain reads from, and what of it CEL gets.

    What `in` looks into is read whole, for it may be a list; but not all of the input, nor all steps.
    """
    return source_and_path(chain, is_list=bool(chain.path) or chain.root not in ROOTS)


class _Check:
    def __init__(self, expression: ReadExpression, pointer: str, scope: Scope, results: Results) -> None:
        self._expression = expression
        self._pointer = pointer
        self._scope = scope
        self._results = results
        self._places: dict[Chain, Place] = {}
        self._tested: dict[tuple[str, Path], None] = {}
        self._read: dict[tuple[str, Path], None] = {}

    def problems(self) -> Iterator[Problem]:
        """Paths and missing values."""
        for chain in self._expression.chains:
            self._read[use_of(chain)] = None
            if chain.tested or chain.key is not None:
                self._tested[source_and_path(chain, is_list=False)] = None
        for chain in self._expression.chains:
            yield from self._chain(chain)

    def type_of(self, chain: Chain) -> ValueType:
        """The type of what a chain reads."""
        place = self._places.get(chain)
        return ValueType() if place is None else _type(place.shape, MAX_LISTS)

    def problem(self, code: str, message: str, suggestion: str | None = None) -> Problem:
        """A problem of this expression."""
        return Problem(
            pointer=self._pointer,
            code=code,
            message=f"{message} in {self._expression.text[:200]!r}",
            suggestion=suggestion,
        )

    def _chain(self, chain: Chain) -> Iterator[Problem]:
        if chain.root == self._expression.item and chain.root != self._scope.item:
            message = f"{self._at(chain)}: there is no {chain.root} here: it is the item of a map"
            yield self.problem("unknown-path", message)
            return
        source, path = source_and_path(chain, is_list=False)
        asked = path[: len(path) - 1] if chain.tested else path if chain.key is None else path[:-1]
        needed = not (chain.key is not None and chain.root == "steps" and not chain.path)
        if needed and (why := self._results.may_be_missing(source, self._scope)) and (source, ()) not in self._tested:
            yield self.problem("missing-field", f"{self._at(chain)}: {why}", f'ask first: "{source}" in steps && …')
        for length in range(1, len(path) + 1):
            place = self._results.place(source, path[:length], self._scope)
            if place is None:
                return
            if isinstance(place, DeadEnd):
                if not self._looks_into_list(chain, source, path):
                    yield self._dead_end(chain, source, path, place)
                return
            if place.optional and length <= len(asked) and not self._is_tested(source, path[:length]):
                name = f"{chain.root if chain.root != 'steps' else source}{format_path(path[:length])}"
                message = f"{self._at(chain)}: {name} may be missing"
                yield self.problem("missing-field", message, f"ask first: has({_written(chain, path[:length])}) && …")
                return
        place = self._results.place(source, chain.path if chain.root != "steps" else chain.path[1:], self._scope)
        if isinstance(place, Place) and chain.key is None:
            self._places[chain] = place

    def _is_tested(self, source: str, path: Path) -> bool:
        """Whether an expression asks for a value before it reads it.

        `has(input.a.b)` asks for `input.a` too, unless that is handed to CEL whole: then `has` wants it to be there.
        """
        if (source, path) in self._tested:
            return True
        if any((source, path[:length]) in self._read for length in range(len(path) + 1)):
            return False
        return any(name == source and tested[: len(path)] == path for name, tested in self._tested)

    def _looks_into_list(self, chain: Chain, source: str, path: Path) -> bool:
        """Whether `"x" in …` asks a list for an item, and no object for a key."""
        if chain.key is None:
            return False
        place = self._results.place(source, path[:-1], self._scope)
        return isinstance(place, Place) and any(one.types == ("array",) for one in branches(place.shape))

    def _dead_end(self, chain: Chain, source: str, path: Path, end: DeadEnd) -> Problem:
        wrong = path[end.depth]
        name = "input" if source == "input" else source
        message = f"{self._at(chain)}: {name}{format_path(path[: end.depth])} has no {format_path((wrong,))}"
        names = ", ".join(end.names[:12])
        return self.problem("unknown-path", message, f"there is {names}" if names else None)

    def _at(self, chain: Chain) -> str:
        return where(self._expression.text, chain.column)


def _written(chain: Chain, path: Path) -> str:
    root = chain.root if chain.root != "steps" else f"steps.{chain.path[0]}"
    return f"{root}{format_path(path)}"


def _type(shape: Shape, depth: int) -> ValueType:
    types: dict[ValueType, None] = {}
    for branch in branches(shape):
        if len(branch.types) != 1:
            return ValueType()
        kind = branch.types[0]
        if kind == "array" and depth:
            inner = _type((item_of(branch, None),), depth - 1)
            types[ValueType(inner.base, inner.lists + 1)] = None
        else:
            types[ValueType(kind if kind in BASES else "dyn")] = None
    if len(types) != 1:
        return ValueType("dyn", min((one.lists for one in types), default=0))
    return next(iter(types))
