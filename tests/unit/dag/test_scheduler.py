"""Random graphs, random joins, random ends, random orders: held against a fixpoint that knows nothing of order."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runs import StepStatus
from tests.unit.dag.definitions import plan_of
from tests.unit.dag.strategies import graphs
from workflows.dag.graph import topological_order
from workflows.dag.plan import Join, Node, Plan
from workflows.dag.scheduler import CANCELLED, FAILED, NOT_REACHED, NOT_WANTED, SUCCEEDED, Ended, Scheduler

DATA = Path(__file__).parents[2] / "data" / "wfinstances"
SHARED = Path(__file__).parents[4] / "shared" / "cases" / "wfinstances"
Choose = Callable[[list[int]], int]


def _options(draw: st.DrawFn) -> dict[str, Any]:
    join = draw(st.sampled_from([Join.ALL, *Join]))
    return {"join": join.value, **({"on_error": "continue"} if draw(st.integers(0, 3)) == 0 else {})}


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of a random graph, numbered parents first; steps join as they like, some pass their failures over."""
    parents = draw(graphs())
    order = topological_order(parents)
    place = {old: new for new, old in enumerate(order)}
    options = [_options(draw) for _ in order]
    return plan_of([sorted(place[parent] for parent in parents[old]) for old in order], options=options)


def outcomes(plan: Plan) -> st.SearchStrategy[list[Ended]]:
    """How each step would end if it started."""
    size = len(plan.nodes)
    ends = st.sampled_from([SUCCEEDED, SUCCEEDED, SUCCEEDED, FAILED, NOT_WANTED, CANCELLED])
    return st.lists(ends, min_size=size, max_size=size)


def passes(node: Node, end: Ended) -> bool:
    """Whether what follows a step takes its end for a success."""
    return end == SUCCEEDED or (end == FAILED and node.continue_on_error)


def admits(join: Join, passed: list[bool], ends: list[Ended]) -> bool:
    """Whether a step runs, by what is said of each join in the contract; all its parents have ended."""
    match join:
        case Join.ALL:
            return all(passed)
        case Join.ANY:
            return any(passed) or not ends
        case Join.NONE_FAILED:
            return all(good or end == NOT_WANTED for good, end in zip(passed, ends, strict=True))
        case Join.ALL_DONE:
            return True


def expected(plan: Plan, ends: list[Ended]) -> dict[int, Ended]:
    """How every step ends: what the rules say, whatever the order. Any step in any order, until nothing changes."""
    ended: dict[int, Ended] = {}
    while True:
        before = dict(ended)
        for number in reversed(range(len(plan.nodes))):
            node = plan.nodes[number]
            if any(parent not in ended for parent in node.parents):
                continue
            above = [ended[parent] for parent in node.parents]
            passed = [passes(plan.nodes[parent], ended[parent]) for parent in node.parents]
            ended[number] = ends[number] if admits(node.join, passed, above) else NOT_REACHED
        if ended == before:
            return ended


def numbered(plan: Plan) -> dict[int, Node]:
    return dict(enumerate(plan.nodes))


class Run:
    """Drives a scheduler, noting its decisions and checking what always holds."""

    def __init__(self, plan: Plan, ends: list[Ended], ended: Mapping[int, Ended] | None = None) -> None:
        self.scheduler = Scheduler(numbered(plan), ended)
        self.decisions: list[tuple[int, ...]] = []
        self.ended: list[int] = []
        self._plan = plan
        self._ends = ends
        self._started = list(ended or {})
        self.start()

    def start(self) -> None:
        started = self.scheduler.start()
        for number in started:
            assert number not in self._started, "started twice"
            self._started.append(number)
            node, ended = self._plan.nodes[number], self.scheduler.ended
            done = [passes(self._plan.nodes[parent], ended[parent]) for parent in node.parents if parent in ended]
            assert len(done) == len(node.parents) or (node.join is Join.ANY and any(done)), "before its parents"
        assert started == sorted(started)
        self.decisions.append(tuple(started))

    def end(self, number: int) -> None:
        self.scheduler.end(number, self._ends[number])
        self.ended.append(number)
        self.start()

    def end_some(self, count: int, choose: Choose) -> None:
        for _ in range(count):
            if self.scheduler.running:
                self.end(choose(list(self.scheduler.running)))

    def finish(self, choose: Choose) -> dict[int, Ended]:
        self.end_some(len(self._plan.nodes), choose)
        assert self.scheduler.finished
        return self.scheduler.ended


def chooser(data: st.DataObject) -> Choose:
    return lambda running: data.draw(st.sampled_from(running))


@given(plans(), st.data())
def test_every_step_ends_as_the_rules_say_in_any_order(plan: Plan, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    assert Run(plan, ends).finish(chooser(data)) == expected(plan, ends)


@given(plans(), st.data())
def test_the_same_history_gives_the_same_decisions(plan: Plan, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends)
    run.finish(chooser(data))
    again = Run(plan, ends)
    for number in run.ended:
        again.end(number)
    assert again.decisions == run.decisions
    assert list(again.scheduler.ended.items()) == list(run.scheduler.ended.items())


@given(plans(), st.data())
def test_a_run_goes_on_from_any_drained_state(plan: Plan, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    first = Run(plan, ends)
    first.end_some(data.draw(st.integers(0, len(plan.nodes))), chooser(data))
    for number in data.draw(st.permutations(list(first.scheduler.running))):  # drains: nothing starts
        if data.draw(st.booleans()):
            first.scheduler.end(number, ends[number])
        else:
            first.scheduler.put_back(number)
    order = data.draw(st.permutations(list(first.scheduler.ended.items())))
    assert Scheduler(numbered(plan), dict(order)).start() == first.scheduler.start()
    second = Run(plan, ends, dict(order))
    assert second.finish(chooser(data)) == expected(plan, ends)


@given(plans(), st.data())
def test_free_steps_start_lowest_number_first_and_at_once(plan: Plan, data: st.DataObject) -> None:
    run = Run(plan, [SUCCEEDED] * len(plan.nodes))
    run.finish(chooser(data))

    def free(done: list[int]) -> list[int]:
        """Steps that may run when these have succeeded and no other has ended."""
        return [
            number
            for number, node in enumerate(plan.nodes)
            if (any if node.join is Join.ANY and node.parents else all)(parent in done for parent in node.parents)
        ]

    assert list(run.decisions[0]) == free([])
    for count, started in enumerate(run.decisions[1:]):
        before = free(run.ended[:count])
        assert list(started) == [number for number in free(run.ended[: count + 1]) if number not in before]


@given(plans(), st.data())
def test_step_is_skipped_as_soon_as_its_fate_is_sealed(plan: Plan, data: st.DataObject) -> None:
    """No step waits for parents that cannot change what becomes of it."""
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends)
    run.end_some(data.draw(st.integers(0, len(plan.nodes))), chooser(data))
    ended = run.scheduler.ended
    for number, node in enumerate(plan.nodes):
        above = {parent: ended[parent] for parent in node.parents if parent in ended}
        lost = [end for parent, end in above.items() if not passes(plan.nodes[parent], end)]
        sealed = {
            Join.ALL: bool(lost),
            Join.ANY: bool(node.parents) and len(lost) == len(node.parents),
            Join.NONE_FAILED: any(end != NOT_WANTED for end in lost),
            Join.ALL_DONE: False,
        }[node.join]
        assert (ended.get(number) == NOT_REACHED) == sealed


@given(plans(), st.data())
def test_cancelling_ends_everything_that_has_not_started(plan: Plan, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends)
    run.end_some(data.draw(st.integers(0, len(plan.nodes))), chooser(data))
    before, running = dict(run.scheduler.ended), list(run.scheduler.running)
    run.scheduler.cancel_rest()
    assert run.scheduler.start() == []
    for number in running:
        run.scheduler.end(number, CANCELLED)
    assert run.scheduler.start() == []
    assert run.scheduler.finished
    assert run.scheduler.ended == {number: before.get(number, CANCELLED) for number in range(len(plan.nodes))}


@given(plans(), st.data())
def test_parents_outside_of_the_graph_do_not_count(plan: Plan, data: st.DataObject) -> None:
    """As the steps of `on_failure` are a graph of their own."""
    chosen = data.draw(st.lists(st.sampled_from(range(len(plan.nodes))), unique=True, min_size=1).map(sorted))
    place = {old: new for new, old in enumerate(chosen)}
    nodes = [plan.nodes[old] for old in chosen]
    alone = plan_of(
        [[place[parent] for parent in node.parents if parent in place] for node in nodes],
        options=[
            {"join": node.join.value, "on_error": "continue" if node.continue_on_error else "fail"} for node in nodes
        ],
    )
    ends = data.draw(outcomes(plan))
    scheduler = Scheduler({old: plan.nodes[old] for old in chosen})
    while started := scheduler.start():
        for number in started:
            scheduler.end(number, ends[number])
    expectation = expected(alone, [ends[old] for old in chosen])
    assert scheduler.ended == {old: expectation[place[old]] for old in chosen}


def test_any_starts_at_the_first_success_and_only_once() -> None:
    plan = plan_of([[], [], [0, 1]], options=[{}, {}, {"join": "any"}])
    scheduler = Scheduler(numbered(plan))
    assert scheduler.start() == [0, 1]
    scheduler.end(1, SUCCEEDED)
    assert scheduler.start() == [2]
    scheduler.end(0, FAILED)
    assert scheduler.start() == []
    scheduler.end(2, SUCCEEDED)
    assert scheduler.finished
    assert scheduler.ended == {1: SUCCEEDED, 0: FAILED, 2: SUCCEEDED}


def test_why_a_step_was_skipped_is_known() -> None:
    assert (NOT_WANTED.status, NOT_WANTED.reason) == (StepStatus.SKIPPED, "condition")
    assert (NOT_REACHED.status, NOT_REACHED.reason) == (StepStatus.SKIPPED, "upstream")


def instances() -> list[Path]:
    return sorted(dict.fromkeys([*DATA.glob("*.json"), *SHARED.glob("*.json")]))


@pytest.mark.parametrize("path", instances(), ids=lambda path: path.stem)
def test_real_workflow_runs_through(path: Path) -> None:
    tasks = json.loads(path.read_text())["tasks"]
    number = {task["id"]: index for index, task in enumerate(tasks)}
    parents = [[number[parent] for parent in task["parents"]] for task in tasks]
    order = topological_order(parents)
    place = {old: new for new, old in enumerate(order)}
    plan = plan_of([sorted(place[parent] for parent in parents[old]) for old in order])
    run = Run(plan, [SUCCEEDED] * len(tasks))
    seconds = [tasks[old]["runtime_s"] for old in order]
    assert run.finish(lambda running: min(running, key=seconds.__getitem__)) == expected(plan, [SUCCEEDED] * len(tasks))
