"""What can be known to fail, to be missing or to take too much when a definition is posted is refused then."""

from typing import Any

import pytest
from cel_expr_python import cel

from models.definition import MAX_HANDLERS, MAX_VERSION
from tests.unit.dag.definitions import ACTIONS, compiled, definition, problems, step
from workflows.dag import expressions
from workflows.dag.compile import compile_definition
from workflows.dag.expressions import BadExpressionError, ExpressionFailedError, evaluate, read_expression
from workflows.dag.signature import called_workflows


def growing(first: str, depth: int) -> str:
    """Text that each turn makes eight times as long."""
    inner = "true"
    for _ in range(depth):
        inner = f"[x+x+x+x+x+x+x+x].all(x, {inner})"
    return f"[{first}].all(x, {inner})"


def nested(macro: str, depth: int) -> str:
    inner = "true"
    for _ in range(depth):
        inner = f"[1].{macro}(x, {inner})"
    return inner


def messages(*steps: Any, **rest: Any) -> str:
    found = compile_definition(definition(*steps, **rest), ACTIONS)
    assert isinstance(found, list)
    return "\n".join(f"{one.code} {one.pointer} {one.message} {one.suggestion}" for one in found)


class TestGrowth:
    @pytest.mark.parametrize(
        "first", ['"aaaaaaaaaaaaaaaa"', 'b"aaaaaaaaaaaaaaaa"', "input.s", "item", "string(input.n)"]
    )
    def test_expression_that_would_take_gigabytes_is_refused(self, first: str) -> None:
        with pytest.raises(BadExpressionError, match="grows too much"):
            read_expression(growing(first, 9))

    def test_growth_in_a_loop_counts_as_often_as_it_turns(self) -> None:
        hundred = f"[{', '.join(map(str, range(100)))}]"
        long = f'"{"a" * 1_000}"'
        inner = f"{hundred}.all(i, {hundred}.all(j, size(x + x + x + x + x + x + x + x) > 0))"
        with pytest.raises(BadExpressionError, match="grows too much"):
            read_expression(f"[{long}].all(x, {inner})")

    @pytest.mark.parametrize(
        "text",
        [
            growing('"aa"', 4),
            growing("input.s", 2),
            "input.l.map(x, x + x).filter(x, x > 1)",
            "[[1, 2], [3]].map(row, row.map(x, x + 1))",
            " + ".join(f'"{number}"' for number in range(25)),
            f"[{', '.join(['1'] * 1_300)}].map(x, {{'a': x + 1}})",
            "{'a': input.s + 'b', 'c': [input.s, bytes(input.s)]}",
        ],
    )
    def test_expression_that_grows_within_reason_is_taken(self, text: str) -> None:
        assert read_expression(text).text == text

    def test_what_the_values_let_grow_too_much_is_stopped_in_the_run(self) -> None:
        text = "input.l.all(x, size(input.s + x) > 0)"
        read_expression(text)
        variables = {"input": {"s": "y" * 1_000_000, "l": ["a"] * 300}, "steps": {}, "item": None}
        with pytest.raises(ExpressionFailedError, match="characters on the way"):
            evaluate(text, "item", variables)
        assert evaluate(text, "item", {**variables, "input": {"s": "y" * 10_000, "l": ["a"] * 300}}) is True

    def test_many_items_are_no_growth(self) -> None:
        people = [{"first": "a" * 100, "last": "b" * 100} for _ in range(9_000)]
        variables = {"input": {"people": people}, "steps": {}, "item": None}
        assert evaluate("input.people.all(p, p.first + p.last != '')", "item", variables) is True

    def test_memory_that_is_not_there_fails_the_step_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Program:
            def eval(self, **_: Any) -> cel.Value:
                raise MemoryError

        def compiled_text(*_: Any) -> Any:
            program = expressions._Program  # pyright: ignore[reportPrivateUsage]
            return program(Program(), None, False, False, False)  # pyright: ignore[reportArgumentType]

        monkeypatch.setattr(expressions, "_program", compiled_text)
        with pytest.raises(ExpressionFailedError, match="memory"):
            evaluate("true", "item", {})


@pytest.mark.parametrize("macro", ["all", "exists", "exists_one"])
@pytest.mark.parametrize("depth", range(22, 41))
def test_macros_in_macros_are_read_or_refused(macro: str, depth: int) -> None:
    raw = definition(step("a", when=nested(macro, depth)))
    if depth <= 24:
        compiled(raw)
    else:
        assert problems(raw) == [("bad-expression", "/steps/0/when")]


@pytest.mark.parametrize("count", [MAX_HANDLERS + 1, 5_001])
def test_too_many_steps_of_on_failure_are_refused(count: int) -> None:
    handlers = [step(f"h{number}") for number in range(count)]
    assert problems(definition(step("a"), on_failure=handlers)) == [("too-large", "/on_failure")]
    assert len(compiled(definition(step("a"), on_failure=handlers[:MAX_HANDLERS])).plan.nodes) == 1 + MAX_HANDLERS


def undo(value: Any, **rest: Any) -> dict[str, Any]:
    """A step that is undone with a value."""
    return step("a", compensate={"service": "flow", "action": "echo", "input": {"value": value}}, **rest)


UNDONE = "/compensate/input/value"


class TestCompensation:
    @pytest.mark.parametrize("source", ["from:a.value", "from:before.value", "from:first.value", "from:other ?? 1"])
    def test_reads_what_surely_came_before(self, source: str) -> None:
        chain = (step("first"), step("before", depends_on=["first"]))
        compiled(definition(*chain, undo(source, depends_on=["before"]), step("other")))

    @pytest.mark.parametrize(
        "steps",
        [
            [undo("from:other.value"), step("other")],
            [undo("from:other.value"), step("other", depends_on=["a"])],
            [undo("from:other.value", depends_on=["b"]), step("b", depends_on=["other"], join="any"), step("other")],
            [undo("from:other.value", depends_on=["b"], join="all_done"), step("b"), step("other")],
            [undo("from:other.value", depends_on=["other"]), step("other", on_error="continue")],
        ],
    )
    def test_needs_a_default_for_what_may_have_no_value(self, steps: list[Any]) -> None:
        assert problems(definition(*steps)) == [("missing-field", f"/steps/0{UNDONE}")]

    def test_reads_no_step_of_on_failure(self) -> None:
        raw = definition(undo("from:told.value"), on_failure=[step("told")])
        assert problems(raw) == [("unknown-step", f"/steps/0{UNDONE}")]

    def test_cycle_is_all_that_is_said_of_one(self) -> None:
        raw = definition(undo("from:b.value", depends_on=["b"]), step("b", depends_on=["a"]))
        assert problems(raw) == [("cycle", "/steps/0")]


WHILE = {"condition": 'steps["w"].value == 1', "max": 2}
ASK = {"id": "ask", "approval": {"timeout": 1, "roles": ["admin", "service"]}}
CASES: dict[str, tuple[Any, list[tuple[str, str]]]] = {
    "output reads a step of on_failure": (
        definition(step("a"), on_failure=[step("told")], output={"x": "from:told.value"}),
        [("unknown-step", "/output/x")],
    ),
    "a map's list reads its item": (
        definition(step("a", map={"items": "from:item"})),
        [("unknown-step", "/steps/0/map/items")],
    ),
    "a part of it does": (
        definition(step("a", map={"items": [1, "from:one"], "as": "one"})),
        [("unknown-step", "/steps/0/map/items/1")],
    ),
    "an expression does": (
        definition(step("a", map={"items": "[item]"})),
        [("unknown-path", "/steps/0/map/items")],
    ),
    "when reads the step itself": (
        definition(step("w", "flow.echo", **{"while": WHILE}, when='steps["w"].value == 1')),
        [("cycle", "/steps/0")],
    ),
    "a step depends on itself": (
        definition(step("w", "flow.echo", **{"while": WHILE}, depends_on=["w"])),
        [("cycle", "/steps/0")],
    ),
    "version": (
        definition({"id": "w", "workflow": {"id": "x", "version": 10**30}}),
        [("type-mismatch", "/steps/0/workflow/version")],
    ),
    "mock": (
        definition(step("a"), step("b", mock=["from:a", "from:input.x", "from:nobody"])),
        [("unknown-step", "/steps/1/mock/0"), ("unknown-step", "/steps/1/mock/2")],
    ),
    "concurrency": (
        definition(step("a"), concurrency={"key": ["from:a", "from:input.x", "from:nobody"]}),
        [("unknown-step", "/concurrency/key/0"), ("unknown-step", "/concurrency/key/2")],
    ),
    "signal of the platform": (
        definition({"id": "w", "wait": {"signal": "tooloo-pause"}}),
        [("reserved-id", "/steps/0/wait/signal")],
    ),
    "a service answers": (definition(ASK), [("type-mismatch", "/steps/0/approval/roles/1")]),
    "nothing to go on from": (
        definition({"id": "ask", "approval": {"on_timeout": "continue"}}),
        [("type-mismatch", "/steps/0/approval/on_timeout")],
    ),
    "error as a step": (
        definition(step("a"), on_failure=[step("h", when='steps["error"].code == "x"')]),
        [("unknown-step", "/on_failure/0/when")],
    ),
    "input as a step": (
        definition(step("a", when='steps["input"].x == 1')),
        [("unknown-step", "/steps/0/when")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_with_its_place(name: str) -> None:
    raw, found = CASES[name]
    assert problems(raw) == found


def test_while_knows_its_turns_in_its_templates_and_its_condition() -> None:
    cache = {"key": "from:w.value ?? 0", "ttl": 60}
    compiled(
        definition(step("w", "flow.echo", input={"value": ["from:w.value ?? 0"]}, cache=cache, **{"while": WHILE}))
    )


@pytest.mark.parametrize(
    "text", ["tomorrow", "", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:59:59Z",
     "9999-01-01T00:00:00Z", "9998-13-01T00:00:00Z"]
)  # fmt: skip
def test_text_that_is_no_instant_is_not_waited_for(text: str) -> None:
    assert problems(definition({"id": "w", "wait": {"until": text}})) == [("type-mismatch", "/steps/0/wait/until")]


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "1970-01-01T00:00:00+00:00", "9998-12-31T23:59:59.5-14:00"])
def test_instant_is_waited_for(text: str) -> None:
    compiled(definition({"id": "w", "wait": {"until": text}}))


@pytest.mark.parametrize(
    "name", ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "type", "null_type", "dyn", "function"]
)
def test_item_has_no_name_of_a_type(name: str) -> None:
    raw = definition(step("a", map={"items": "[1]", "as": name}))
    assert ("reserved-id", "/steps/0/map/as") in problems(raw)


def test_only_versions_there_can_be_are_looked_up() -> None:
    versions = [None, 1, MAX_VERSION, MAX_VERSION + 1, 10**30, 0, -1]
    steps = [{"id": f"s{at}", "workflow": {"id": "x", "version": one}} for at, one in enumerate(versions)]
    assert called_workflows({"steps": steps}) == [("x", None), ("x", 1), ("x", MAX_VERSION)]


def test_remedies_are_named() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert "write double(…)" in messages(step("a", when="input.n > 1.5"), input=schema)
    assert "write double(…)" in messages(step("a", when="2.5 * 2 > 1.0"))
    assert "double(…)" not in messages(step("a", when="1 > 'a'"))
    handler = step("h", when="error.code == 'x'")
    assert "error is for references only: from:error" in messages(step("a"), on_failure=[handler])
    assert "error is for references only" in messages(step("a"), on_failure=[step("h", when='"error" in steps')])
