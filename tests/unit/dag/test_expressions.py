"""Conditions and lists: what is refused when a definition is posted, and what the rest gives."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import MISSING, Hole, Missing, Read, StoredValue, Value, put, walk
from tests.unit.dag.definitions import ACTIONS, compiled, definition, step
from tests.unit.dag.strategies import json_values
from workflows.dag.compile import compile_definition
from workflows.dag.expressions import (
    MAX_COLLECTED,
    MAX_INLINE,
    MAX_RESULT,
    MAX_RESULT_CHARACTERS,
    BadExpressionError,
    ExpressionFailedError,
    evaluate,
    is_short,
    read_expression,
    variables_of,
    where,
)
from workflows.dag.plan import INPUT, ITEM, Expression, Use

TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
SCHEMA = {
    "type": "object",
    "properties": {
        "n": INTEGER,
        "s": TEXT,
        "b": {"type": "boolean"},
        "h": {"type": "number"},
        "tags": {"type": "array", "items": TEXT},
        "grid": {"type": "array", "items": {"type": "array", "items": INTEGER}},
        "either": {"anyOf": [{"type": "array", "items": INTEGER}, {"type": "array", "items": TEXT}]},
        "map": {"type": "object", "additionalProperties": INTEGER},
        "nil": {"type": ["string", "null"]},
        "maybe": INTEGER,
        "deep": {"type": "object", "properties": {"x": INTEGER, "y": {"type": "object", "properties": {"z": INTEGER}}}},
        "opt": {"type": "object", "properties": {"x": INTEGER, "y": INTEGER}, "required": ["x"]},
        "odd key": INTEGER,
        "any": {},
    },
    "required": ["n", "s", "b", "h", "tags", "grid", "either", "map", "nil", "deep", "odd key", "any"],
    "additionalProperties": False,
}


def found(text: str, find: dict[str, Any] | None = None, **rest: Any) -> list[tuple[str, str, str]]:
    """Code, pointer and message of what is wrong with a condition; the step `find` comes before it."""
    steps = step("find", "people.find", **(find or {})), step("a", depends_on=["find"], when=text, **rest)
    result = compile_definition(definition(*steps, input=SCHEMA), ACTIONS)
    return [(one.code, one.pointer, one.message) for one in result] if isinstance(result, list) else []


def ask(text: str, **values: Any) -> Any:
    return evaluate(text, "item", {"input": {}, "steps": {}, "item": None, **values})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: "),
        ("1 +", "column 4: Syntax error"),
        ("input.n +\n   ", "line 2, column 4: Syntax error"),
        ("('x", "column 2: Syntax error"),
        ("true && foo", "column 9: undeclared reference to 'foo'"),
        ('"é😀" == foo', "column 9: undeclared reference to 'foo'"),
        ("nope(1)", "column 5: undeclared reference to 'nope'"),
        ("1 + 'a'", "column 3: found no matching overload for '_+_' applied to '(int, string)'"),
        ("steps", 'column 1: name one step: steps["id"]'),
        ("size(steps) > 1", 'column 6: name one step: steps["id"]'),
        ("steps[input.s]", 'column 1: name one step: steps["id"]'),
        ("input.?a", "column 1: unsupported syntax"),
        ("(" * 500 + "1" + ")" * 500, "recursion limit"),
        ("1" + "+1" * 500, "recursion depth"),
        ("[" * 200 + "]" * 200, "recursion limit"),
    ],
)
def test_text_that_is_no_expression_is_refused_with_its_column(text: str, message: str) -> None:
    with pytest.raises(BadExpressionError) as refused:
        read_expression(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "chains"),
    [
        ("input", [("input", ())]),
        ("input.a.b == 1", [("input", ("a", "b"))]),
        ('input["odd key"].c[0].d', [("input", ("odd key", "c"))]),
        ("input . a\n. b", [("input", ("a", "b"))]),
        ('steps["a-b"].c == steps.d', [("steps", ("a-b", "c")), ("steps", ("d",))]),
        ("input.list[input.n]", [("input", ("list",)), ("input", ("n",))]),
        ("dyn(input).a", [("input", ())]),
        ('{"x": input.a, input.b: [item.c]}', [("input", ("a",)), ("input", ("b",)), ("item", ("c",))]),
        ("input.l.all(x, x.a == input.b)", [("input", ("l",)), ("input", ("b",))]),
        ("[1].exists(input, input == 1)", []),
        ("[1].exists(x, x == 1) && input.x", [("input", ("x",))]),
        ("'input.a' == input.a", [("input", ("a",))]),
        ("input.f(input.a)", []),
    ],
)
def test_what_an_expression_reads_is_found(text: str, chains: list[tuple[str, Any]]) -> None:
    if not chains and "input.f" in text:
        with pytest.raises(BadExpressionError):  # functions of the language only
            read_expression(text)
        return
    assert [(one.root, one.path) for one in read_expression(text).chains] == chains


def test_questions_whether_a_value_is_there_are_told_from_reading_it() -> None:
    has, within, root = read_expression('has(input.a.b) && "k" in input.m && "a" in steps').chains
    assert (has.path, has.tested, has.key) == (("a", "b"), True, None)
    assert (within.path, within.tested, within.key) == (("m",), False, "k")
    assert (root.root, root.path, root.key) == ("steps", (), "a")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("input.nope == 1", "unknown-path", "column 1: input has no .nope"),
        ("true && input.s.x == 1", "unknown-path", "column 9: input.s has no .x"),
        ("steps.find.nme == ''", "unknown-path", "column 1: find has no .nme"),
        ("has(input.nope)", "unknown-path", "column 5: input has no .nope"),
        ('"nope" in input', "unknown-path", "input has no .nope"),
        ("input.deep.y.q == 1", "missing-field", "input.deep.y may be missing"),
        ("item.x == 1", "unknown-path", "column 1: there is no item here"),
        ("steps.nope == 1", "unknown-step", "there is no step nope"),
        ('"nope" in steps', "unknown-step", "there is no step nope"),
        ("input.maybe == 1", "missing-field", "column 1: input.maybe may be missing"),
        ("input.map.x == 1", "missing-field", "input.map.x may be missing"),
        ("has(input.opt) && input.opt.y == 1", "missing-field", "input.opt.y may be missing"),
        ('"x" in input.opt', "missing-field", "input.opt may be missing"),
        ("size(input.opt) > 1", "missing-field", "column 6: input.opt may be missing"),
        ("input.n == 'x'", "bad-expression", "column 9: found no matching overload"),
        ("input.n == 1 || input.s > 1", "bad-expression", "column 25: found no matching overload"),
        ("'é😀' == input.s || input.s > 1", "bad-expression", "column 28: found no matching overload"),
        ("input.tags[0] > 1", "bad-expression", "column 15: found no matching overload"),
        ("input.grid[0][0] == 'x'", "bad-expression", "column 18: found no matching overload"),
        ("steps.find.age == 'x'", "bad-expression", "column 16: found no matching overload"),
        ("input.s == null", "bad-expression", "found no matching overload"),
        ("input.n", "bad-expression", "it gives an integer, and true or false belongs here"),
        ("input.tags", "bad-expression", "it gives a list, and true or false belongs here"),
        ("input.s + input.s", "bad-expression", "it gives text, and true or false belongs here"),
        ("input.map.all(k, k != '')", "bad-expression", "column 1: only lists can be gone through"),
        ("input.any.all(x, x)", "bad-expression", "only lists can be gone through; sortedKeys(…)"),
        ("{'a': 1}.all(k, k != '')", "bad-expression", "column 1: only lists can be gone through"),
        ("input.all(x, true)", "bad-expression", "only lists can be gone through"),
        ("steps.find.all(x, true)", "bad-expression", "only lists can be gone through"),
        ("[{'a': 1}].all(m, m.all(k, true))", "bad-expression", "only lists can be gone through"),
        ("items(input.n) == []", "bad-expression", "found no matching overload for 'items'"),
        ("items(input.map) == []", "bad-expression", "found no matching overload for 'items'"),
        ("sortedKeys(input.tags) == []", "bad-expression", "found no matching overload for 'sortedKeys'"),
    ],
)
def test_condition_that_cannot_be_is_refused_with_its_place(text: str, code: str, message: str) -> None:
    ((found_code, pointer, found_message),) = found(text)
    assert (found_code, pointer) == (code, "/steps/1/when")
    assert message in found_message


@pytest.mark.parametrize(
    "text",
    [
        "input.n > 1 && input.s != '' && input.b",
        "input.h > 1 || input.h == 0.5",
        "input['odd key'] == 1",
        "has(input.maybe) && input.maybe == 1",
        "!has(input.maybe) || input.maybe == 1",
        '"maybe" in input && input.maybe == 1',
        '"x" in input.map && input.map.x == 1',
        "has(input.deep.y.z) && input.deep.y.z == 1",
        "has(input.opt) && has(input.opt.y) && input.opt.y == 1",
        "has(input.opt.y)",
        "input.nil == null || input.nil == 'x'",
        "input.any.what.ever == 1",
        "input.tags.all(t, t != '') && 'x' in input.tags",
        "input.grid.all(row, row.all(cell, cell > 0))",
        "input.either.exists(one, one == input.n)",
        "sortedKeys(input.map).all(k, k != '')",
        "items(input.any).all(x, x == 1)",
        "input.tags.all(_a, _a == input.s)",
        "input.tags.all(_a, input.tags.all(A_, A_ == input.s && input.n > 0))",
        "steps.find.age > 1 && 'find' in steps",
        "steps.find.friends.all(f, f.age > 1)",
        "steps['find'].name.startsWith('A')",
    ],
)
def test_condition_that_can_be_is_accepted(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("rest", "why"),
    [
        ({"find": {"on_error": "continue"}}, "find may fail and be passed over"),
        ({"join": "any"}, "with join: any this step may start while find has no value"),
        ({"join": "all_done"}, "with join: all_done this step may start while find has no value"),
        ({"join": "none_failed", "find": {"when": "input.b"}}, "find may be skipped by its condition"),
    ],
)
def test_step_that_may_have_no_value_is_asked_for_first(rest: dict[str, Any], why: str) -> None:
    ((code, pointer, message),) = found("steps.find.age > 1", **rest)
    assert (code, pointer) == ("missing-field", "/steps/1/when")
    assert why in message
    assert found("'find' in steps && steps.find.age > 1", **rest) == []
    assert found("has(steps.find) && steps.find.age > 1", **rest) == []
    assert [one[0] for one in found("has(steps.find.nickname)", **rest)] == ["missing-field"]


def test_has_asks_for_what_is_above_only_where_that_is_not_read_whole() -> None:
    assert found("has(input.opt.y)") == []
    messages = [message for _, _, message in found("has(input.opt.y) && size(input.opt) > 1")]
    assert [message.partition(" in ")[0] for message in messages] == [
        "column 5: input.opt may be missing",
        "column 26: input.opt may be missing",
    ]
    assert found("has(input.opt) && has(input.opt.y) && size(input.opt) > 1") == []


def test_list_of_a_map_is_a_list() -> None:
    def problems_of(items: str) -> list[tuple[str, str]]:
        result = compile_definition(definition(step("a", map={"items": items}), input=SCHEMA), ACTIONS)
        return [(one.code, one.pointer) for one in result] if isinstance(result, list) else []

    for items in ("input.tags", "input.tags.filter(t, t != '')", "input.any", "sortedKeys(input.map)", "[1, input.n]"):
        assert problems_of(items) == []
    for items in ("input.n", "input.map", "input.map.map(k, k)", "true", "1 +"):
        assert problems_of(items) == [("bad-expression", "/steps/0/map/items")]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("input.n == null", True),
        ("input.n", None),
        ("has(input.n)", True),
        ("has(input.x)", False),
        ('"n" in input', True),
        ("input.x == 1 || true", True),
        ("false && input.x == 1", False),
        ("input.i == input.f", True),
        ("input.i + 1", 2),
        ("input.l + [4]", [1, 2, 3, 4]),
        ("input.l.filter(x, x > 1).map(x, x * 2)", [4, 6]),
        ("input.l.exists_one(x, x == 2)", True),
        ('{"b": 1, "a": {"d": null, "c": [true]}}', {"a": {"c": [True], "d": None}, "b": 1}),
        ("sortedKeys(input.m)", ["a", "b", "é"]),
        ("items(input.l)[1]", 2),
        ("size('é😀')", 2),
        ("input.i in input.l ? 'yes' : 'no'", "yes"),
        ("'abc'.matches('^(a+)+b')", True),
        ("string(timestamp('2024-02-29T12:00:00+02:00'))", "2024-02-29T10:00:00Z"),
        ("timestamp('2024-03-01T00:00:00Z') - duration('24h') == timestamp('2024-02-29T00:00:00Z')", True),
        ("int('12') + int(1.9)", 13),
        ("5u", 5),
    ],
)
def test_value_of_an_expression(text: str, result: Any) -> None:
    value = {"n": None, "i": 1, "f": 1.0, "l": [1, 2, 3], "m": {"é": 1, "b": 2, "a": 3}}
    given = ask(text, input=value)
    assert (given, type(given)) == (result, type(result))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9223372036854775807 + 1", "integer overflow"),
        ("-9223372036854775807 - 2", "integer overflow"),
        ("1 / 0", "divide by zero"),
        ("1 % 0", "modulus by zero"),
        ("[1].all(x, x / 0 == 1)", "divide by zero"),
        ("input.x", 'Key not found in map : "x"'),
        ("input.n.x", "SELECT"),
        ("input.l[9]", "index=9 size=1"),
        ("input.l[-1]", "index=-1 size=1"),
        ("input.n > 1", "No matching overloads"),
        ("input.i + 1.0", "No matching overloads"),
        ("input.n ? 1 : 2", "No matching overloads"),
        ("input.big", "out of range"),
        ("int('x')", "cannot convert"),
        ("timestamp('x')", "Timestamp conversion failed"),
        ("'a'.matches('[')", "invalid regular expression"),
        ("sortedKeys(input.l)", "No matching overloads found : sortedKeys(list)"),
        ("items(input)", "No matching overloads found : items(map)"),
        ("1.0 / 0.0", "inf, which JSON does not have"),
        ("[double('nan')]", "nan, which JSON does not have"),
        ("timestamp('2024-01-01T00:00:00Z')", "a value of type datetime, which JSON does not have"),
        ("b'abc'", "a value of type bytearray, which JSON does not have"),
        ("{1: 2}", "a value of type dict, which JSON does not have"),
        ("type(1)", "a value of type Type, which JSON does not have"),
        (r"'a\u0000'", "a NUL character"),
        (r"{'a\u0000': 1}", "a NUL character"),
    ],
)
def test_expression_without_a_value_says_why(text: str, message: str) -> None:
    value: dict[str, Any] = {"n": None, "i": 1, "l": [1]}
    with pytest.raises(ExpressionFailedError) as failed:
        ask(text, input={**value, "big": 2**70} if "big" in text else value)
    assert message in str(failed.value)


def test_lists_and_results_are_bounded() -> None:
    """What a few characters could ask for otherwise takes longer than a workflow may think."""
    long = list(range(MAX_COLLECTED))
    for text, value, message in (
        ("input.map(x, x)", long, f"at most {MAX_COLLECTED:,} values"),
        ("input.all(x, x >= 0)", list(range(20_000)), "Iteration budget exceeded"),
        ("input.all(x, input.all(y, x + y >= 0))", long, "Iteration budget exceeded"),
        ("input.map(x, input)", long[:1_000], f"more than {MAX_RESULT:,} values"),
        (f"[{','.join(['input'] * 200)}]", long, f"more than {MAX_RESULT:,} values"),
        (f"[{','.join(['input'] * 50)}]", "x" * 100_000, f"{MAX_RESULT_CHARACTERS:,} characters"),
    ):
        with pytest.raises(ExpressionFailedError, match=message):
            ask(text, input=value)
    assert ask("input.map(x, x)", input=long[: MAX_COLLECTED - 10]) == long[: MAX_COLLECTED - 10]
    assert ask("input.all(x, x >= 0)", input=list(range(9_000))) is True


def test_only_short_expressions_are_evaluated_inside_of_a_workflow() -> None:
    loop, flat = Expression("input.all(x, x)"), Expression("size(input) > 1")
    few, many = Value({"input": [True] * 10}), Value({"input": [True] * (MAX_INLINE + 1)})
    assert (is_short(loop, few), is_short(loop, many), is_short(flat, many)) == (True, False, True)
    assert not is_short(flat, Value({"input": None}, (Hole(("input",), StoredValue("ab", 5_000)),)))


def fill(value: Value, store: dict[StoredValue, Any]) -> dict[str, Any]:
    """Variables as a worker makes them whole."""
    document = deepcopy(value.json)
    for hole in value.holes:
        part: Any = store[hole.stored]
        for read in hole.reads:
            part = read.of(part)
        document = put(document, hole.at, part)
    return document


INLINE: dict[str, Any] = {"a": {"b": 1, "none": None}, "l": [{"x": 1}], "s": "text", "unused": [0] * 100}


def everywhere(uses: tuple[Use, ...]) -> list[dict[str, Any]]:
    """Variables of one value that lies in history, outside of it, and half and half."""
    whole, part = StoredValue("00", 5_000), StoredValue("01", 5_000)
    store = {whole: {"kept": INLINE}, part: INLINE["a"]}
    values = (
        Value(INLINE),
        Value(None, (Hole((), whole, (Read(("kept",)),)),)),
        Value({**INLINE, "a": None}, (Hole(("a",), part),)),
    )
    return [fill(variables_of(Expression("", uses), lambda _: value), store) for value in values]  # noqa: B023 - at once


@pytest.mark.parametrize(
    ("path", "bound"),
    [
        ((), INLINE),
        (("a", "b"), {"a": {"b": 1}}),
        (("a",), {"a": INLINE["a"]}),
        (("l",), {"l": INLINE["l"]}),
        (("a", "none"), {"a": {"none": None}}),
        (("x",), {}),
        (("x", "y", "z"), {"x": {"y": {}}}),
        (("a", "x"), {"a": {}}),
        (("a", "none", "x"), {"a": {"none": {}}}),
        (("s", "x"), {"s": {}}),
    ],
)
def test_only_what_is_read_is_bound_wherever_the_value_lies(path: tuple[str, ...], bound: Any) -> None:
    for variables in everywhere((Use(INPUT, ("input",), path),)):
        assert variables == {"input": bound, "steps": {}, "item": None}


def test_has_is_the_same_wherever_the_value_lies() -> None:
    for text, path, result in (
        ("has(input.a.b)", ("a", "b"), True),
        ("has(input.a.x)", ("a", "x"), False),
        ("has(input.x.y.z)", ("x", "y", "z"), False),
        ("has(input.a.none.x)", ("a", "none", "x"), False),
    ):
        for variables in everywhere((Use(INPUT, ("input",), path),)):
            assert evaluate(text, "item", variables) is result


def test_skipped_step_is_no_step_and_the_item_is_there() -> None:
    uses = (Use(0, ("steps", "gone"), ("a",)), Use(1, ("steps", "here"), ("a",)), Use(ITEM, ("one",), ()))
    values: dict[int, Value | Missing] = {0: MISSING, 1: Value({"a": 1, "b": 2}), ITEM: Value(7)}
    found = variables_of(Expression("", uses, "one"), values.__getitem__)
    assert found == Value({"input": {}, "steps": {"here": {"a": 1}}, "one": 7})


@given(json_values(), st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map(tuple))
def test_what_a_path_leads_to_is_bound_to_it(value: Any, path: tuple[str, ...]) -> None:
    variables = variables_of(Expression("", (Use(INPUT, ("input",), path),)), lambda _: Value(value))
    assert walk(variables.json["input"], path) == walk(value, path)


def test_compiled_condition_reads_no_more_than_it_names() -> None:
    raw = definition(
        step("find", "people.find"),
        step("a", when="has(input.opt.y) && input.opt.y > input.n && 'x' in input.map && steps.find.age > 1"),
        input=SCHEMA,
    )
    node = compiled(raw).plan.nodes[1]
    assert node.when is not None
    assert node.when.uses == (
        Use(INPUT, ("input",), ("opt", "y")),
        Use(INPUT, ("input",), ("n",)),
        Use(INPUT, ("input",), ("map",)),
        Use(0, ("steps", "find"), ("age",)),
    )


def test_value_is_read_once_where_a_part_of_it_is_read_too() -> None:
    node = compiled(definition(step("a", when="input.deep == {} || has(input.deep.x)"), input=SCHEMA)).plan.nodes[0]
    assert node.when is not None
    assert node.when.uses == (Use(INPUT, ("input",), ("deep",)),)


def test_place_in_a_text_is_named() -> None:
    assert [where("ab\ncd", column) for column in (1, 3, 4, 5)] == [
        "column 1", "column 3", "line 2, column 1", "line 2, column 2",
    ]  # fmt: skip
