"""The engine on plain asyncio, with steps that end when a test says so."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.runs import StepStatus
from models.values import Read, StoredValue, Value
from tests.unit.dag.definitions import compiled, definition, plan_of, step
from tests.unit.dag.effects import World, failure, settle
from tests.unit.dag.strategies import graphs
from workflows.dag.effects import ActionCall, StepFailure
from workflows.dag.execution import Execution
from workflows.dag.graph import topological_order
from workflows.dag.progress import PROGRESS, Progress, RunEnd
from workflows.dag.scheduler import Ended

SUCCEEDED, FAILED, SKIPPED, CANCELLED = (
    StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED,
)  # fmt: skip


async def begin(execution: Execution) -> asyncio.Task[RunEnd]:
    task = asyncio.create_task(execution.run())
    await settle()
    return task


def statuses(execution: Execution) -> dict[str, StepStatus]:
    return {execution.plan.nodes[number].id: end.status for number, end in sorted(execution.progress.ended.items())}


DIAMOND = definition(
    step("a", input={"value": "from:input.x"}),
    step("b", input={"value": "from:a.value"}),
    step("c", input={"value": ["from:a.value", 1]}),
    step("d", input={"value": {"b": "from:b.value", "c": "from:c.value"}}),
    output={"d": "from:d.value", "x": "from:input.y ?? 0"},
)


async def test_values_flow_along_the_references() -> None:
    plan = compiled(DIAMOND).plan
    steps = World()
    execution = Execution(plan, {"x": 7}, steps)
    run = await begin(execution)
    assert steps.started == ["a"]
    await steps.end("a", {"value": "A"})
    assert steps.started == ["a", "b", "c"]
    await steps.end("c", {"value": "C"})
    assert steps.started == ["a", "b", "c"]
    await steps.end("b", {"value": "B"})
    await steps.end("d", {"value": "D"})
    assert await run is RunEnd.COMPLETED
    assert [steps.input(name) for name in "abcd"] == [
        {"value": 7}, {"value": "A"}, {"value": ["A", 1]}, {"value": {"b": "B", "c": "C"}},
    ]  # fmt: skip
    assert execution.output() == Value({"d": "D", "x": 0})
    assert statuses(execution) == dict.fromkeys("abcd", SUCCEEDED)
    assert execution.first_failure is None


async def test_stored_values_are_passed_on_as_holes() -> None:
    plan = compiled(DIAMOND).plan
    steps = World()
    execution = Execution(plan, {"x": 7}, steps)
    run = await begin(execution)
    stored = StoredValue("ab", 9_999)
    await steps.end("a", Value.of_stored(stored))
    assert [(hole.at, hole.stored, hole.reads) for hole in steps.calls["b"].input.holes] == [
        (("value",), stored, (Read(("value",)),))
    ]
    for name in "bcd":
        await steps.end(name, Value.of_stored(stored))
    assert await run is RunEnd.COMPLETED
    assert [hole.at for hole in execution.output().holes] == [("d",)]


async def test_failure_skips_what_follows_and_lets_the_rest_end() -> None:
    plan = plan_of([[], [0], [1], [], [3]])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("s0", failure())
    await steps.end("s3")
    await steps.end("s4")
    assert await run is RunEnd.FAILED
    assert list(statuses(execution).values()) == [FAILED, SKIPPED, SKIPPED, SUCCEEDED, SUCCEEDED]
    assert execution.first_failure == ("s0", StepFailure("bad", "bad luck", 1))


async def test_first_failure_is_the_one_that_happened_first() -> None:
    plan = plan_of([[], [], []], options=[{}, {}, {"on_error": "continue"}])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    for name in ("s2", "s1", "s0"):
        await steps.end(name, failure(name))
    assert await run is RunEnd.FAILED
    assert execution.first_failure == ("s1", StepFailure("s1", "s1 luck", 1))


async def test_failure_that_is_passed_over_gives_the_default() -> None:
    raw = definition(
        step("a", on_error="continue"),
        step("b", input={"value": "from:a.value.x ?? 5"}),
        output={"a": "from:a ?? null", "b": "from:b.value"},
    )
    plan = compiled(raw).plan
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("a", failure())
    assert steps.input("b") == {"value": 5}
    await steps.end("b", {"value": 1})
    assert await run is RunEnd.COMPLETED
    assert execution.output().json == {"a": None, "b": 1}
    assert statuses(execution) == {"a": FAILED, "b": SUCCEEDED}


async def test_missing_value_fails_the_step_that_needs_it() -> None:
    raw = definition(step("a"), step("b", input={"value": ["from:a.value.nope"]}), step("c", depends_on=["b"]))
    plan = compiled(raw).plan
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("a", {"value": {}})
    assert await run is RunEnd.FAILED
    assert steps.started == ["a"]
    assert execution.first_failure is not None
    assert execution.first_failure[0] == "b"
    assert execution.first_failure[1].code == "missing-value"
    assert statuses(execution) == {"a": SUCCEEDED, "b": FAILED, "c": SKIPPED}


@pytest.mark.parametrize(
    ("output", "value"),
    [
        (None, None),
        ("from:a.value", {"x": 1}),
        ("from:a.value.nope", None),
        ({"x": "from:a.value.x", "y": "from:a.value.nope"}, {"x": 1}),
        (["from:a.value.x", "from:a.value.nope"], None),
        (["from:a.value.x", "from:a.value.nope ?? 2"], [1, 2]),
    ],
)
async def test_output_leaves_out_what_is_missing(output: Any, value: Any) -> None:
    plan = compiled(definition(step("a"), output=output)).plan
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("a", {"value": {"x": 1}})
    assert await run is RunEnd.COMPLETED
    assert execution.output() == Value(value)


async def test_fail_fast_cancels_what_runs() -> None:
    plan = plan_of([[], [], [1], []], limits={"fail_fast": True}, options=[{}, {}, {}, {"on_error": "continue"}])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("s3", failure())
    assert not run.done()
    await steps.end("s0", failure())
    assert await run is RunEnd.FAILED
    assert list(statuses(execution).values()) == [FAILED, CANCELLED, CANCELLED, FAILED]


async def test_window_bounds_what_runs_at_once() -> None:
    plan = plan_of([[]] * 5, limits={"max_parallel": 2})
    steps = World()
    run = await begin(Execution(plan, None, steps))
    assert steps.started == ["s0", "s1"]
    await steps.end("s1")
    assert steps.started == ["s0", "s1", "s2"]
    for name in ("s0", "s2", "s3", "s4"):
        await steps.end(name)
    assert await run is RunEnd.COMPLETED


async def test_cancelling_waits_for_steps_to_end_and_keeps_their_results() -> None:
    plan = plan_of([[], [], [0], [1]])
    steps = World()
    steps.stubborn = ["s1"]
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    run.cancel()
    await settle()
    assert not run.done()
    run.cancel()
    await settle()
    assert not run.done()
    await steps.end("s1", {"value": "late"})
    assert await run is RunEnd.CANCELLED
    assert list(statuses(execution).values()) == [CANCELLED, SUCCEEDED, CANCELLED, CANCELLED]
    assert execution.progress.values == {1: Value({"value": "late"})}


@pytest.mark.parametrize("first", ["cancel", "end"])
async def test_cancelling_in_the_tick_in_which_a_step_ends(first: str) -> None:
    plan = plan_of([[], [0]])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    actions: list[Callable[[], Any]] = [run.cancel, lambda: steps.ends["s0"].set_result({"value": 1})]
    for action in actions if first == "cancel" else actions[::-1]:
        action()
    assert await run is RunEnd.CANCELLED
    assert steps.started == ["s0"]
    assert statuses(execution)["s1"] is CANCELLED


@pytest.mark.parametrize("ticks", range(8))
@pytest.mark.parametrize("how", ["cancel", "stop"])
async def test_stopping_at_any_tick_after_a_step_ended_never_hangs(ticks: int, how: str) -> None:
    """Also between creating a step's task and its first line."""
    plan = plan_of([[], [0], [0], [1]])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    steps.ends["s0"].set_result({"value": 1})
    for _ in range(ticks):
        await asyncio.sleep(0)
    if how == "cancel":
        run.cancel()
    else:
        execution.stop(RunEnd.TIMED_OUT)
    await settle()
    assert run.done()
    assert await run is (RunEnd.CANCELLED if how == "cancel" else RunEnd.TIMED_OUT)
    assert list(statuses(execution).values())[1:] == [CANCELLED] * 3


async def test_timeout_ends_the_run_as_timed_out() -> None:
    plan = plan_of([[], [0]])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    execution.stop(RunEnd.TIMED_OUT)
    execution.stop(RunEnd.FAILED)
    run.cancel()
    assert await run is RunEnd.TIMED_OUT
    assert list(statuses(execution).values()) == [CANCELLED, CANCELLED]


async def test_step_that_somebody_else_cancelled_fails_the_run() -> None:
    plan = plan_of([[], [0]])
    steps = World()
    execution = Execution(plan, None, steps)
    run = await begin(execution)
    await steps.end("s0", asyncio.CancelledError())
    assert await run is RunEnd.FAILED
    assert execution.first_failure is not None
    assert execution.first_failure[1].code == "cancelled"
    assert list(statuses(execution).values()) == [FAILED, SKIPPED]


async def test_defect_of_the_engine_is_raised_and_hangs_nothing() -> None:
    plan = plan_of([[], []])
    steps = World()
    run = await begin(Execution(plan, None, steps))
    await steps.end("s0", KeyError("defect"))
    with pytest.raises(KeyError, match="defect"):
        await run


async def test_defect_of_the_last_step_is_raised() -> None:
    plan = plan_of([[]])
    steps = World()
    run = await begin(Execution(plan, None, steps))
    await steps.end("s0", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await run


async def test_run_is_over_at_once_when_nothing_is_left() -> None:
    plan = plan_of([[]])
    steps = World()
    progress = Progress(ended={0: Ended(SUCCEEDED)})
    assert await Execution(plan, None, steps, progress=progress).run() is RunEnd.COMPLETED
    assert steps.started == []


async def test_changes_are_shown() -> None:
    plan = plan_of([[], [0]])
    steps = World()
    shown: list[tuple[int, int]] = []
    execution = Execution(
        plan,
        None,
        steps,
        on_change=lambda one: shown.append((len(one.scheduler.ended), len(one.scheduler.running))),
    )
    run = await begin(execution)
    await steps.end("s0")
    await steps.end("s1")
    await run
    assert shown == [(0, 1), (1, 1), (2, 0)]


async def test_draining_starts_nothing_and_the_rest_runs_in_the_next_part() -> None:
    plan = plan_of([[], [], [0], [1], [2, 3]], options=[{}, {"on_error": "continue"}, {}, {}, {}])
    steps = World()
    drain = False
    execution = Execution(plan, None, steps, must_drain=lambda _: drain)
    run = await begin(execution)
    drain = True
    await steps.end("s0", {"value": 1})
    drain = False  # once begun it is carried through
    await steps.end("s1", failure())
    assert await run is RunEnd.DRAINED
    assert steps.started == ["s0", "s1"]

    progress = PROGRESS.validate_json(PROGRESS.dump_json(execution.progress))
    assert progress == execution.progress
    rest = World()
    second = Execution(plan, None, rest, progress=progress)
    run = await begin(second)
    assert rest.started == ["s2", "s3"]
    for name in ("s3", "s2", "s4"):
        await rest.end(name, Value.of_stored(StoredValue("ab", 5_000)))
    assert await run is RunEnd.COMPLETED
    assert list(statuses(second).values()) == [SUCCEEDED, FAILED, SUCCEEDED, SUCCEEDED, SUCCEEDED]
    assert PROGRESS.validate_json(PROGRESS.dump_json(second.progress)) == second.progress


async def test_a_failure_before_the_drain_fails_the_run_after_it() -> None:
    plan = plan_of([[], [], [1]])
    steps = World()
    execution = Execution(plan, None, steps, must_drain=lambda _: bool(steps.started))
    run = await begin(execution)
    await steps.end("s0", failure("first"))
    await steps.end("s1")
    assert await run is RunEnd.DRAINED
    rest = World()
    second = Execution(plan, None, rest, progress=PROGRESS.validate_json(PROGRESS.dump_json(execution.progress)))
    run = await begin(second)
    await rest.end("s2", failure("second"))
    assert await run is RunEnd.FAILED
    assert second.first_failure is not None
    assert second.first_failure[1].code == "first"


def test_deadline_is_fixed_by_the_first_part() -> None:
    progress = Progress()
    assert progress.deadline_after(100.0, 60.0) == 160.0
    later = PROGRESS.validate_json(PROGRESS.dump_json(progress))
    assert later.deadline_after(150.0, 60.0) == 160.0


@given(graphs(), st.data())
def test_any_run_in_parts_ends_as_in_one(parents: list[list[int]], data: st.DataObject) -> None:
    order = topological_order(parents)
    place = {old: new for new, old in enumerate(order)}
    fails = data.draw(st.lists(st.integers(0, 3).map(lambda n: n == 0), min_size=len(order), max_size=len(order)))
    plan = plan_of([sorted(place[parent] for parent in parents[old]) for old in order], limits={"max_parallel": 3})

    class Busy(World):
        async def act(self, call: ActionCall) -> Value:
            for _ in range(data.draw(st.integers(0, 3))):
                await asyncio.sleep(0)
            number = int(call.id[1:])
            if fails[number]:
                raise failure(str(number))
            return Value({"value": number})

    async def run(must_drain: Callable[[bool], bool]) -> tuple[RunEnd, Progress]:
        progress = Progress()
        while True:
            execution = Execution(plan, None, Busy(), progress=progress, must_drain=must_drain)
            end = await execution.run()
            progress = PROGRESS.validate_json(PROGRESS.dump_json(execution.progress))
            if end is not RunEnd.DRAINED:
                return end, progress

    def finished(must_drain: Callable[[bool], bool]) -> tuple[RunEnd, Progress]:
        with asyncio.Runner() as runner:
            return runner.run(run(must_drain))

    asked = 0

    def now_and_then(_: bool) -> bool:
        nonlocal asked
        asked += 1
        return asked % 3 == 0

    whole = finished(lambda _: False)
    parts = finished(now_and_then)
    assert parts[0] is whole[0]
    assert parts[1].ended == whole[1].ended
    assert parts[1].values == whole[1].values
