from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.definition import RetryOptions
from models.values import Read
from tests.unit.dag.definitions import ACTIONS, FIND, compiled, definition, plan_of, step
from tests.unit.dag.strategies import graphs, json_values
from tests.unit.dag.test_compile_robustness import EVERYTHING, SIGNATURES
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.graph import topological_order
from workflows.dag.outline import HISTORY_BYTES, HISTORY_EVENTS, outline
from workflows.dag.plan import (
    ERROR,
    INPUT,
    ITEM,
    Cache,
    Case,
    Concurrency,
    Each,
    Expression,
    Join,
    Loop,
    Pause,
    Plan,
    Question,
    Slot,
    SubRun,
    Template,
    Use,
    load_plan,
)


def test_plan_survives_json() -> None:
    result = compile_definition(EVERYTHING, ACTIONS, SIGNATURES)
    assert isinstance(result, Compiled)
    plan = result.plan
    assert load_plan(plan.json) == plan
    assert load_plan(plan.json).json == plan.json


@given(json_values(), json_values())
def test_any_literal_and_default_survive_json(literal: Any, default: Any) -> None:
    slot = Slot(("a", 0, "0"), INPUT, Read(("x", -1), has_default=True, default=default))
    plan = Plan("w", 1, "h", nodes=(), steps=0, output=Template(literal, (slot,)))
    assert load_plan(plan.json) == plan


@given(graphs())
def test_nodes_are_numbered_parents_first_as_written(parents: list[list[int]]) -> None:
    steps = [step(f"s{number}", depends_on=[f"s{one}" for one in above]) for number, above in enumerate(parents)]
    plan = compiled(definition(*steps)).plan
    assert [node.id for node in plan.nodes] == [f"s{number}" for number in topological_order(parents)]
    for number, node in enumerate(plan.nodes):
        assert all(parent < number for parent in node.parents)
        assert list(node.parents) == sorted(node.parents)
        assert node.children == tuple(n for n, other in enumerate(plan.nodes) if number in other.parents)


def test_references_become_numbers() -> None:
    raw = definition(
        step("late", input={"value": ["from:early.value.x ?? 1", "from:input"]}),
        step("early"),
        output={"late": "from:late"},
    )
    plan = compiled(raw).plan
    assert [node.id for node in plan.nodes] == ["early", "late"]
    assert plan.nodes[1].template == Template(
        {"value": [None, None]},
        (Slot(("value", 0), 0, Read(("value", "x"), has_default=True, default=1)), Slot(("value", 1), INPUT)),
    )
    assert plan.output.slots == (Slot(("late",), 1),)


def test_a_reference_and_depends_on_make_one_arrow() -> None:
    raw = definition(step("a"), step("b", depends_on=["a", "a"], input={"value": ["from:a", "from:a.value"]}))
    assert compiled(raw).plan.nodes[1].parents == (0,)


def test_each_kind_of_step_becomes_a_node() -> None:
    result = compile_definition(EVERYTHING, ACTIONS, SIGNATURES, version=3)
    assert isinstance(result, Compiled)
    plan = result.plan
    node = {one.id: one for one in plan.nodes}
    load, age, names = plan.numbers["load"], Use(INPUT, ("input",), ("age",)), Use(INPUT, ("input",), ("list",))
    per_item = Expression("one != '' && input.age > 1", (Use(ITEM, ("one",), ()), age), "one")
    assert node["each"].when is None
    assert node["each"].each == Each(
        Template(None, (Slot((), INPUT, Read(("list",))),)), max_parallel=2, goes_on=True, when=per_item
    )
    assert node["each"].cache == Cache(Template([None], (Slot((0,), ITEM),)), 3_600)
    assert node["listed"].each == Each(Expression("input.list.filter(x, x != '')", (names,)))
    own = plan.numbers["again"]
    turn = Use(own, ("steps", "again"), ("value",))
    assert node["again"].loop == Loop(Expression("steps.again.value != 5", (turn,)), 3)
    assert node["again"].template.slots == (Slot(("value",), own, Read(("value",), has_default=True, default=0)),)
    assert node["again"].parents == ()
    assert node["again"].mock == Template({"value": None}, (Slot(("value",), INPUT, Read(("age",))),))
    undo = node["again"].compensation
    assert undo is not None
    assert (undo.action.type, undo.template) == ("flow.count", Template({"key": "k", "by": 1}))
    has_zip = Expression("has(steps.load.address.zip)", (Use(load, ("steps", "load"), ("address", "zip")),))
    assert node["pick"].cases == (
        Case(Template(None, (Slot((), load, Read(("age",))),)), has_zip),
        Case(Template({"x": None}, (Slot(("x",), load, Read(("name",))),))),
    )
    assert node["sub"].run == SubRun("other", 2, wait=True)
    assert node["nap"].pause == Pause(seconds=300)
    assert node["noon"].pause == Pause(until=Template(None, (Slot((), plan.numbers["sub"], Read(("at",))),)))
    assert node["go"].pause == Pause(signal="go", schema={"type": "object", "required": ["x"]}, timeout=3_600)
    assert node["ask"].question == Question(("admin",), {"type": "integer"}, timeout=86_400, goes_on=True)
    assert node["ask"].join is Join.NONE_FAILED
    assert [one.id for one in plan.nodes[plan.steps :]] == ["tell"]
    assert node["tell"].template.slots[0].source == ERROR
    assert plan.concurrency == Concurrency(2, "queue", Template(None, (Slot((), INPUT, Read(("age",))),)))
    assert result.signature.calls == {"other": ("other",), "deep": ("other", "deep")}


def test_every_value_a_node_reads_is_among_its_sources() -> None:
    """The engine keeps a value as long as a node that has it among its sources may read it."""
    result = compile_definition(EVERYTHING, ACTIONS, SIGNATURES)
    assert isinstance(result, Compiled)
    plan = result.plan
    for node in plan.nodes:
        own = plan.numbers[node.id]
        assert all(source in (*node.parents, own) or source < plan.steps <= own for source in node.sources)
    assert plan.numbers["load"] in plan.nodes[plan.numbers["pick"]].sources
    assert plan.numbers["sub"] in plan.nodes[plan.numbers["noon"]].sources


def test_what_a_step_leaves_out_comes_from_its_action() -> None:
    raw = definition(
        step("a", "people.find"),
        step("b", "people.find", retry={"max_attempts": 1, "initial": "2h"}, timeout={"start_to_close": 4}),
        step("c", "people.find", retry={"non_retryable": ["x"]}, timeout={"schedule_to_close": "1d"}, description="C"),
        limits={"max_parallel": 7, "timeout": "1h", "fail_fast": True},
        labels={"team": "x"},
    )
    plan = compiled(raw).plan
    a, b, c = (node.action for node in plan.nodes)
    assert a is not None
    assert b is not None
    assert c is not None
    assert (a.retry, a.timeout, a.type, a.queue) == (FIND.retry, FIND.timeout, "people.find", "people")
    assert [node.summary for node in plan.nodes] == ["a: Find a person", "b: Find a person", "C"]
    assert (b.retry.max_attempts, b.retry.initial, b.retry.max_interval) == (1, 7_200, 7_200)
    assert (b.timeout.start_to_close, b.timeout.heartbeat) == (4, 4)
    assert (c.retry.non_retryable, c.retry.initial) == (("x",), FIND.retry.initial)
    assert (c.timeout.schedule_to_close, c.timeout.start_to_close) == (86_400, 60)
    assert (plan.workflow, plan.version, plan.max_parallel, plan.timeout, plan.fail_fast, plan.labels) == (
        "test", 3, 7, 3_600, True, {"team": "x"},
    )  # fmt: skip


def test_unset_options_are_told_from_set_ones() -> None:
    """The compiler takes an action's own policy whole when a step says nothing."""
    assert not RetryOptions().model_fields_set
    assert RetryOptions(max_attempts=None).model_fields_set


def test_outline_shows_order_groups_and_the_critical_path() -> None:
    raw = definition(
        step("report", input={"value": "from:analyze"}),
        step("analyze", input={"value": "from:load"}),
        step("load"),
        step("aside"),
    )
    shown = outline(compiled(raw).plan)
    assert shown.order == ("load", "analyze", "report", "aside")
    assert shown.parallel_groups == (("load", "aside"), ("analyze",), ("report",))
    assert shown.critical_path == ("load", "analyze", "report")
    assert shown.budget.steps == 4


def chain(size: int, **rest: Any) -> Plan:
    return plan_of([[number - 1] if number else [] for number in range(size)], **rest)


@given(st.integers(1, 60))
def test_budget_grows_with_each_step(size: int) -> None:
    one, more = outline(chain(size)).budget, outline(chain(size + 1)).budget
    assert more.history_events >= one.history_events + 6
    assert more.history_bytes > one.history_bytes


def test_budget_counts_every_event_of_the_longest_history() -> None:
    # start, first task (3); the step: activity (3), its task (3), one cancel request;
    # a cancellation with its task (4), two markers, a search attribute, the end
    assert outline(chain(1)).budget.history_events == 1 + 3 + 3 + 3 + 1 + 4 + 2 + 1 + 1
    # the deadline's timer starts and fires, and wakes the workflow
    assert outline(chain(1, limits={"timeout": 1})).budget.history_events == 19 + 2 + 3


def test_budget_counts_the_parts_of_a_long_run() -> None:
    size = 3_000
    budget = outline(chain(size, limits={"max_parallel": 1})).budget
    parts = 1 + (6 * size + 1) // HISTORY_EVENTS + budget.history_bytes // HISTORY_BYTES
    assert budget.history_events <= 6 * size + 8 + 5 * parts
    assert budget.history_events > 6 * size + 5 * (6 * size // HISTORY_EVENTS)


def test_budget_of_bytes_does_not_grow_with_what_is_kept_outside() -> None:
    large, larger = (
        outline(compiled(definition(step("a", input={"value": "x" * size}))).plan).budget for size in (10_000, 100_000)
    )
    assert large.history_bytes == larger.history_bytes
