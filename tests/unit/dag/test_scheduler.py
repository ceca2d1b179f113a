"""Random graphs, random ends, random orders: held against a fixpoint that knows nothing of order."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runs import StepStatus
from tests.unit.dag.definitions import plan_of
from tests.unit.dag.strategies import graphs
from workflows.dag.graph import topological_order
from workflows.dag.plan import Plan
from workflows.dag.scheduler import Scheduler

SUCCEEDED, FAILED, SKIPPED, CANCELLED = (
    StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED,
)  # fmt: skip
DATA = Path(__file__).parents[2] / "data" / "wfinstances"
SHARED = Path(__file__).parents[4] / "shared" / "cases" / "wfinstances"


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan of a random graph, numbered parents first; some steps pass their failures over."""
    parents = draw(graphs())
    order = topological_order(parents)
    place = {old: new for new, old in enumerate(order)}
    options: list[dict[str, Any]] = [{"on_error": "continue"} if draw(st.integers(0, 3)) == 0 else {} for _ in order]
    return plan_of([sorted(place[parent] for parent in parents[old]) for old in order], options=options)


def outcomes(plan: Plan) -> st.SearchStrategy[list[StepStatus]]:
    size = len(plan.nodes)
    return st.lists(st.sampled_from([SUCCEEDED, SUCCEEDED, SUCCEEDED, FAILED]), min_size=size, max_size=size)


def expected(plan: Plan, ends: list[StepStatus]) -> dict[int, StepStatus]:
    """How every step ends: what the rules say, whatever the order. Any step in any order, until nothing changes."""
    status: dict[int, StepStatus] = {}
    while True:
        before = dict(status)
        for number in reversed(range(len(plan.nodes))):
            parents = plan.nodes[number].parents
            if any(parent not in status for parent in parents):
                continue
            passed = [
                status[parent] is SUCCEEDED or (status[parent] is FAILED and plan.nodes[parent].continue_on_error)
                for parent in parents
            ]
            status[number] = ends[number] if all(passed) else SKIPPED
        if status == before:
            return status


class Run:
    """Drives a scheduler, noting its decisions and checking what always holds."""

    def __init__(
        self, plan: Plan, ends: list[StepStatus], window: int, ended: dict[int, StepStatus] | None = None
    ) -> None:
        self.scheduler = Scheduler(plan, ended)
        self.decisions: list[tuple[int, ...]] = []
        self.ended: list[int] = []
        self._plan = plan
        self._ends = ends
        self._window = window
        self._started = list(ended or {})
        self.start()

    def start(self) -> None:
        started = self.scheduler.start(self._window)
        for number in started:
            assert number not in self._started, "started twice"
            assert all(parent in self.scheduler.status for parent in self._plan.nodes[number].parents), (
                "before a parent"
            )
        self._started.extend(started)
        assert len(self.scheduler.running) <= self._window
        self.decisions.append(tuple(started))

    def end(self, number: int) -> None:
        self.scheduler.end(number, self._ends[number])
        self.ended.append(number)
        self.start()

    def finish(self, choose: Any) -> dict[int, StepStatus]:
        while self.scheduler.running:
            self.end(choose(list(self.scheduler.running)))
        assert self.scheduler.finished
        return self.scheduler.status


@given(plans(), st.integers(1, 6), st.data())
def test_every_step_ends_as_the_rules_say_in_any_order(plan: Plan, window: int, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends, window)
    assert run.finish(lambda running: data.draw(st.sampled_from(running))) == expected(plan, ends)


@given(plans(), st.integers(1, 6), st.data())
def test_the_same_history_gives_the_same_decisions(plan: Plan, window: int, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends, window)
    run.finish(lambda running: data.draw(st.sampled_from(running)))
    again = Run(plan, ends, window)
    for number in run.ended:
        again.end(number)
    assert again.decisions == run.decisions
    assert list(again.scheduler.status.items()) == list(run.scheduler.status.items())


@given(plans(), st.integers(1, 6), st.data())
def test_a_run_goes_on_from_any_drained_state(plan: Plan, window: int, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    first = Run(plan, ends, window)
    for _ in range(data.draw(st.integers(0, len(plan.nodes)))):
        if first.scheduler.running:
            first.end(data.draw(st.sampled_from(list(first.scheduler.running))))
    while first.scheduler.running:  # drains: what runs ends, nothing starts
        number = data.draw(st.sampled_from(list(first.scheduler.running)))
        first.scheduler.end(number, ends[number])
    ready_before = Scheduler(plan, first.scheduler.status).start(len(plan.nodes))
    assert ready_before == first.scheduler.start(len(plan.nodes))
    order = data.draw(st.permutations(list(first.scheduler.status.items())))
    second = Run(plan, ends, window, dict(order))
    assert second.finish(lambda running: data.draw(st.sampled_from(running))) == expected(plan, ends)


@given(plans(), st.data())
def test_free_steps_start_lowest_number_first_and_at_once(plan: Plan, data: st.DataObject) -> None:
    run = Run(plan, [SUCCEEDED] * len(plan.nodes), len(plan.nodes))
    run.finish(lambda running: data.draw(st.sampled_from(running)))
    done: list[int] = []
    for ended, started in zip([None, *run.ended], run.decisions, strict=True):
        done += [] if ended is None else [ended]
        free = [
            number
            for number, node in enumerate(plan.nodes)
            if all(parent in done for parent in node.parents) and (ended is None or ended in node.parents)
        ]
        assert list(started) == free


@given(plans(), st.integers(1, 6), st.data())
def test_cancelling_ends_everything_that_has_not_started(plan: Plan, window: int, data: st.DataObject) -> None:
    ends = data.draw(outcomes(plan))
    run = Run(plan, ends, window)
    for _ in range(data.draw(st.integers(0, len(plan.nodes)))):
        if run.scheduler.running:
            run.end(data.draw(st.sampled_from(list(run.scheduler.running))))
    before, running = dict(run.scheduler.status), list(run.scheduler.running)
    run.scheduler.cancel_rest()
    assert run.scheduler.start(window) == []
    for number in running:
        run.scheduler.end(number, CANCELLED)
    assert run.scheduler.finished
    assert run.scheduler.status == {number: before.get(number, CANCELLED) for number in range(len(plan.nodes))}


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
    run = Run(plan, [SUCCEEDED] * len(tasks), 20)
    seconds = [tasks[old]["runtime_s"] for old in order]
    assert run.finish(lambda running: min(running, key=seconds.__getitem__)) == expected(plan, [SUCCEEDED] * len(tasks))
