"""What an expression reads: chains of names in its syntax tree, and where its comprehensions are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from models.values import Path
from workflows.dag.checked_ast import CheckedAst

Names = tuple[str, ...]

_PART = re.compile(r"""\s*\.\s*[A-Za-z_][A-Za-z0-9_]*|\s*\[\s*(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\]""")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Chain:
    """A value an expression reads: names behind one of its variables."""

    root: str
    path: Path
    column: int
    """Where its root stands in the text, from 1."""
    tested: bool = False
    """Whether it only asks if the value is there: `has(input.a)`."""
    key: str | None = None
    """What is looked for in it: `"a" in input`."""


def span(text: str, chain: Chain) -> tuple[int, int]:
    """Where a chain stands in its text; an empty stretch where it is written in another way."""
    start = chain.column - 1
    name = _NAME.match(text, start)
    end = name.end() if name else start
    for _ in chain.path:
        part = _PART.match(text, end)
        if part is None:
            return start, start
        end = part.end()
    return start, end


def chains_of(ast: CheckedAst, expr: Any, names: Names) -> Iterator[Chain]:
    """Every chain in an expression that starts with one of these names."""
    chain = _chain(ast, expr, names)
    if chain is not None:
        yield chain
        return
    for part, inner in _below(expr, names):
        yield from chains_of(ast, part, inner)


def _chain(ast: CheckedAst, expr: Any, names: Names) -> Chain | None:
    """The chain an expression is as a whole."""
    if _is_call(expr, "@in") and expr.call_expr.args[0].const_expr.HasField("string_value"):
        behind = _chain(ast, expr.call_expr.args[1], names)
        return behind and replace(behind, key=expr.call_expr.args[0].const_expr.string_value)
    parts: list[str | int] = []
    node = expr
    while not node.HasField("ident_expr"):
        if node.HasField("select_expr"):
            parts.append(node.select_expr.field)
            node = node.select_expr.operand
        elif _is_call(node, "_[_]") and node.call_expr.args[1].const_expr.HasField("string_value"):
            parts.append(node.call_expr.args[1].const_expr.string_value)
            node = node.call_expr.args[0]
        else:
            return None
    root = node.ident_expr.name
    tested = expr.HasField("select_expr") and expr.select_expr.test_only
    return Chain(root, tuple(reversed(parts)), ast.column(node), tested=tested) if root in names else None


def _is_call(expr: Any, function: str) -> bool:
    return expr.HasField("call_expr") and expr.call_expr.function == function


def _below(expr: Any, names: Names) -> Iterator[tuple[Any, Names]]:
    """The parts of an expression, each with the variables it sees: a comprehension's own names hide others."""
    if expr.HasField("select_expr"):
        yield expr.select_expr.operand, names
    elif expr.HasField("call_expr"):
        if expr.call_expr.HasField("target"):
            yield expr.call_expr.target, names
        yield from ((argument, names) for argument in expr.call_expr.args)
    elif expr.HasField("list_expr"):
        yield from ((element, names) for element in expr.list_expr.elements)
    elif expr.HasField("struct_expr"):
        for entry in expr.struct_expr.entries:
            yield from ((entry.map_key, names), (entry.value, names))
    elif expr.HasField("comprehension_expr"):
        loop = expr.comprehension_expr
        inner = tuple(name for name in names if name not in (loop.iter_var, loop.iter_var2))
        yield from ((loop.iter_range, names), (loop.accu_init, names))
        yield from ((loop.loop_condition, inner), (loop.loop_step, inner), (loop.result, inner))


def comprehensions(expr: Any) -> Iterator[Any]:
    """Every comprehension in an expression, also those that macros like `all` and `map` become."""
    if expr.HasField("comprehension_expr"):
        yield expr.comprehension_expr
    for below, _ in _below(expr, ()):
        yield from comprehensions(below)
