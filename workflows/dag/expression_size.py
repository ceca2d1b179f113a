"""How much an expression may make: a few names and `+` can ask for more text than there is memory.

CEL keeps whatever it makes until the expression is evaluated, also in turns of a loop that have ended.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from workflows.dag.checked_ast import CheckedAst

_KINDS = (
    "const_expr",
    "ident_expr",
    "select_expr",
    "call_expr",
    "list_expr",
    "struct_expr",
    "comprehension_expr",
)
MAX_MADE = 128_000_000
"""Characters an expression may make on the way to its value."""

_MAKERS = ("_+_", "bytes", "items", "sortedKeys", "string")
"""Functions that copy; all else gives what is there, or a number."""


class _Size(NamedTuple):
    """The most a value can be."""

    characters: float = 1
    length: float = 1
    """Items of the longest list in it."""


def made_characters(ast: CheckedAst, *, characters: int, values: int) -> float:
    """The most characters an expression makes of variables with so many characters and values."""
    estimate = _Estimate(_Size(max(1, characters), max(1, values)))
    estimate.of(ast.root, {})
    return estimate.made


class _Estimate:
    def __init__(self, variable: _Size) -> None:
        self._variable = variable
        self._turns: float = 1
        self.made: float = 0

    def of(self, expr: Any, names: Mapping[str, _Size]) -> _Size:  # noqa: PLR0911 - a table of kinds
        """The size of what an expression gives; `names` are those of comprehensions."""
        match next((kind for kind in _KINDS if expr.HasField(kind)), None):
            case "const_expr":
                return _Size(1 + len(expr.const_expr.string_value) + len(expr.const_expr.bytes_value))
            case "ident_expr":
                return names.get(expr.ident_expr.name, self._variable)
            case "select_expr":
                return self.of(expr.select_expr.operand, names)
            case "call_expr":
                return self._call(expr.call_expr, names)
            case "list_expr":
                parts = [self.of(element, names) for element in expr.list_expr.elements]
                return _Size(_sum(parts).characters, max(len(parts), _most(parts).length))
            case "struct_expr":
                entries = expr.struct_expr.entries
                parts = [self.of(part, names) for entry in entries for part in (entry.map_key, entry.value)]
                return _Size(_sum(parts).characters, max(len(entries), _most(parts).length))
            case _:
                return self._loop(expr.comprehension_expr, names)

    def _call(self, call: Any, names: Mapping[str, _Size]) -> _Size:
        parts = [self.of(part, names) for part in ([call.target] if call.HasField("target") else []) + [*call.args]]
        size = _sum(parts) if call.function == "_+_" else _most(parts)
        if call.function in _MAKERS:
            self.made += self._turns * size.characters
        return size

    def _loop(self, loop: Any, names: Mapping[str, _Size]) -> _Size:
        whole = self.of(loop.iter_range, names)
        turns = max(1, whole.length)
        item = _Size(whole.characters / turns, whole.length)  # on the average: what is made is linear in it
        first = self.of(loop.accu_init, names)
        inner = {**names, loop.iter_var: item, loop.accu_var: _Size(0, 0)}
        around, self._turns = self._turns, self._turns * turns
        step = self.of(loop.loop_step, inner)
        self._turns = around
        collects = turns if loop.accu_init.HasField("list_expr") else 1
        return _Size(first.characters + collects * step.characters, max(first.length, collects, step.length))


def _sum(parts: list[_Size]) -> _Size:
    return _Size(sum(one.characters for one in parts), sum(one.length for one in parts))


def _most(parts: list[_Size]) -> _Size:
    return _Size(max((one.characters for one in parts), default=1), max((one.length for one in parts), default=1))
