"""Every control of the language, on the engine alone."""

import asyncio
from typing import Any

import pytest

from models.values import StoredValue, Value
from tests.unit.dag.definitions import definition, step
from tests.unit.dag.effects import Run, World, echo, failure, settle
from workflows.dag.effects import Answer
from workflows.dag.mailbox import AnswerRefusedError
from workflows.dag.progress import RunEnd

COMPLETED, FAILED, CANCELLED, DRAINED = RunEnd.COMPLETED, RunEnd.FAILED, RunEnd.CANCELLED, RunEnd.DRAINED


def echoes(**others: Any) -> World:
    """A world whose steps end at once: the steps named here with these values, all others as `flow.echo`."""
    names = [f"{letter}{number}" for letter in "abcdefs" for number in ("", 0, 1, 2, 3)]
    return World(at_once={**dict.fromkeys(names, echo), **others})


NUMBERS = {"type": "object", "properties": {"n": {"type": "integer"}, "list": {"type": "array"}}, "required": ["n"]}


class TestWhen:
    async def test_step_runs_when_its_condition_holds_and_is_skipped_when_not(self) -> None:
        raw = definition(
            step("a", input={"value": 3}),
            step("b", when='steps["a"].value > 2 && input.n == 1'),
            step("c", when='steps["a"].value > 9'),
            step("d", depends_on=["c"]),
            step("e", depends_on=["c"], join="none_failed"),
            input=NUMBERS,
        )
        run = Run(raw, {"n": 1}, echoes())
        assert await run.finish() is COMPLETED
        assert run.statuses == {
            "a": "succeeded",
            "b": "succeeded",
            "c": "skipped: condition",
            "d": "skipped: upstream",
            "e": "succeeded",
        }

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            ('steps["a"].value / 0 == 1', "divi"),
            ('steps["a"].value', "true or false belongs here"),
            ('steps["a"].value.x == 1', "not found"),
        ],
    )
    async def test_condition_that_gives_no_answer_fails_the_step(self, condition: str, message: str) -> None:
        run = Run(definition(step("a", input={"value": 3}), step("b", when=condition)), None, echoes())
        assert await run.finish() is FAILED
        assert run.failure == ("b", "expression-failed")
        assert run.execution.first_failure is not None
        assert message in run.execution.first_failure[1].message
        assert run.world.started == ["a"]

    async def test_condition_on_stored_values_is_evaluated_elsewhere_and_reads_only_what_it_uses(self) -> None:
        world = echoes(a=Value.of_stored(StoredValue("ab", 9_999)))
        world.blobs["ab"] = {"value": {"n": 7, "text": "x" * 9_000}}
        run = Run(definition(step("a"), step("b", when='steps["a"].value.n == 7')), None, world)
        assert await run.finish() is COMPLETED
        assert run.statuses["b"] == "succeeded"
        assert run.world.far == ['steps["a"].value.n == 7']


class TestSwitch:
    RAW = definition(
        {
            "id": "size",
            "switch": [
                {"when": "input.n > 100", "value": "large"},
                {"when": "input.n > 10", "value": {"of": "from:input.n"}},
                {"value": "small"},
            ],
        },
        step("b", input={"value": "from:size"}),
        input=NUMBERS,
    )

    @pytest.mark.parametrize(("n", "value"), [(500, "large"), (50, {"of": 50}), (5, "small")])
    async def test_first_case_that_holds_gives_the_value(self, n: int, value: Any) -> None:
        run = Run(self.RAW, {"n": n}, echoes())
        assert await run.finish() is COMPLETED
        assert run.world.input("b") == {"value": value}

    async def test_without_a_case_that_holds_the_value_is_null(self) -> None:
        raw = definition({"id": "s", "switch": [{"when": "input.n > 9", "value": 1}]}, output="from:s", input=NUMBERS)
        run = Run(raw, {"n": 5})
        assert await run.finish() is COMPLETED
        assert run.execution.output().json is None


class TestMap:
    async def test_results_come_in_the_order_of_the_items_whatever_ends_first(self) -> None:
        raw = definition(
            step("m", map={"items": "from:input.list", "max_parallel": 2}, input={"value": "from:item.x"}),
            step("a", input={"value": "from:m"}),
            input={"type": "object", "properties": {"list": {"type": "array"}}, "required": ["list"]},
        )
        run = Run(raw, {"list": [{"x": n} for n in range(4)]}, World(at_once={"a": echo}))
        task = await run.begin()
        assert run.world.started == ["m[0]", "m[1]"]
        for call_id in ("m[1]", "m[2]", "m[0]", "m[3]"):
            await run.world.end(call_id, {"value": f"of {call_id}"})
        assert await task is COMPLETED
        assert [run.world.input(f"m[{n}]") for n in range(4)] == [{"value": n} for n in range(4)]
        assert run.world.input("a") == {"value": [{"value": f"of m[{n}]"} for n in range(4)]}
        assert run.world.calls["m[0]"].is_part  # type: ignore[union-attr]

    async def test_empty_list_gives_an_empty_list(self) -> None:
        run = Run(definition(step("m", map={"items": []})))
        assert await run.finish() is COMPLETED
        assert run.value("m") == []

    async def test_items_may_be_an_expression_and_have_a_name_of_their_own(self) -> None:
        raw = definition(
            step("m", map={"items": "[1, 2, 3].filter(n, n > input.n)", "as": "one"}, input={"value": "from:one"}),
            input=NUMBERS,
        )
        run = Run(raw, {"n": 1}, World(at_once={"m": echo}))
        assert await run.finish() is COMPLETED
        assert run.value("m") == [{"value": 2}, {"value": 3}]

    async def test_items_of_a_stored_list_are_read_by_the_workers(self) -> None:
        world = echoes(a=Value.of_stored(StoredValue("ab", 9_999)), m={"value": 0})
        world.blobs["ab"] = {"value": ["x" * 4_000] * 3}
        raw = definition(step("a"), step("m", map={"items": "from:a.value"}, input={"value": "from:item"}))
        run = Run(raw, None, world)
        assert await run.finish() is COMPLETED
        assert run.world.started == ["a", "m[0]", "m[1]", "m[2]"]
        (hole,) = run.world.calls["m[2]"].input.holes
        assert (hole.at, [read.path for read in hole.reads]) == (("value",), [("value",), (2,)])

    async def test_condition_that_names_the_item_decides_for_each(self) -> None:
        raw = definition(
            step("m", map={"items": [1, 2, 3]}, when="item != 2", input={"value": "from:item"}),
            step("b", map={"items": [1]}, when="input.n > 5", input={"value": "from:item"}),
            input=NUMBERS,
        )
        run = Run(raw, {"n": 1}, World(at_once={"m": echo}))
        assert await run.finish() is COMPLETED
        assert run.value("m") == [{"value": 1}, None, {"value": 3}]
        assert run.statuses["b"] == "skipped: condition"

    async def test_a_failed_item_fails_the_step_once_what_runs_has_ended(self) -> None:
        raw = definition(step("m", map={"items": [0, 1, 2, 3], "max_parallel": 2}), step("b", depends_on=["m"]))
        run = Run(raw)
        task = await run.begin()
        await run.world.end("m[1]", failure("unlucky"))
        assert not task.done()
        assert run.world.started == ["m[0]", "m[1]"]
        await run.world.end("m[0]", {"value": 0})
        assert await task is FAILED
        assert run.execution.first_failure is not None
        assert run.execution.first_failure[1].message == "item 1: unlucky luck"
        assert run.failure == ("m", "unlucky")
        assert run.statuses["b"] == "skipped: upstream"

    async def test_with_on_error_continue_a_failed_item_is_null(self) -> None:
        raw = definition(step("m", map={"items": [0, 1, 2], "on_error": "continue"}), output="from:m")
        run = Run(raw, None, World(at_once={"m": {"value": 1}, "m[1]": failure()}))
        assert await run.finish() is COMPLETED
        assert run.execution.output().json == [{"value": 1}, None, {"value": 1}]

    @pytest.mark.parametrize(("items", "code"), [({"a": 1}, "invalid-items"), (list(range(10_001)), "too-many-items")])
    async def test_what_is_no_list_or_too_long_fails_the_step(self, items: Any, code: str) -> None:
        raw = definition(step("m", map={"items": "from:input.x"}), input={"type": "object"})
        run = Run(raw, {"x": items})
        assert await run.finish() is FAILED
        assert run.failure == ("m", code)

    async def test_a_switch_per_item_takes_no_place(self) -> None:
        raw = definition(
            {
                "id": "m",
                "map": {"items": [1, 20]},
                "switch": [{"when": "item > 9", "value": "big"}, {"value": "small"}],
            },
            output="from:m",
        )
        run = Run(raw)
        assert await run.finish() is COMPLETED
        assert run.execution.output().json == ["small", "big"]

    async def test_continues_as_new_in_the_middle(self) -> None:
        raw = definition(step("m", map={"items": [0, 1, 2, 3], "max_parallel": 2}), step("a"), output="from:m")
        drain = False
        run = Run(raw, must_drain=lambda _: drain)
        task = await run.begin()
        drain = True
        await run.world.end("m[1]", {"value": 1})
        await run.world.end("a", {"value": 1})
        assert not task.done()
        await run.world.end("m[0]", {"value": 0})
        assert await task is DRAINED
        assert run.world.started == ["a", "m[0]", "m[1]"]
        rest = run.next_part(World(at_once={"m": {"value": 9}}))
        assert await rest.finish() is COMPLETED
        assert rest.world.started == ["m[2]", "m[3]"]
        assert rest.execution.output().json == [{"value": n} for n in (0, 1, 9, 9)]


class TestWhile:
    RAW = definition(
        {
            **step("w", input={"value": "from:w.value ?? 0"}),
            "while": {"condition": 'steps["w"].value < 3', "max": 10},
        },
        output="from:w.value",
    )

    async def test_turns_go_on_as_long_as_the_condition_holds_and_see_the_one_before(self) -> None:
        world = World(at_once={"w": lambda call: {"value": call.input.json["value"] + 1}})
        run = Run(self.RAW, None, world)
        assert await run.finish() is COMPLETED
        assert world.started == ["w#1", "w#2", "w#3"]
        assert run.execution.output().json == 3

    async def test_more_turns_than_max_fail_the_step(self) -> None:
        run = Run(self.RAW, None, World(at_once={"w": {"value": 0}}))
        assert await run.finish() is FAILED
        assert run.failure == ("w", "too-many-turns")
        assert len(run.world.started) == 10

    async def test_continues_as_new_between_turns(self) -> None:
        drain = False
        run = Run(self.RAW, must_drain=lambda _: drain)
        task = await run.begin()
        await run.world.end("w#1", {"value": 1})
        drain = True
        await run.world.end("w#2", {"value": 2})
        assert await task is DRAINED
        rest = run.next_part(World(at_once={"w": lambda call: {"value": call.input.json["value"] + 1}}))
        assert await rest.finish() is COMPLETED
        assert rest.world.started == ["w#3"]


class TestWait:
    async def test_waits_for_a_time_without_holding_a_place(self) -> None:
        raw = definition(
            {"id": "w", "wait": {"for": 0.05}}, step("a"), step("b", depends_on=["w"]), limits={"max_parallel": 1}
        )
        run = Run(raw)
        task = await run.begin()
        assert run.world.started == ["a"]
        await run.world.end("a", {"value": 1})
        async with asyncio.timeout(5):
            while run.world.started == ["a"]:  # noqa: ASYNC110 - a timer of the engine's own ends it
                await asyncio.sleep(0.01)
        await run.world.end("b", {"value": 1})
        assert await task is COMPLETED
        assert set(run.value("w")) == {"until"}

    @pytest.mark.parametrize("until", ["tomorrow", "2026-01-31T12:00:00"])
    async def test_until_has_to_be_an_instant(self, until: str) -> None:
        raw = definition({"id": "w", "wait": {"until": "from:input.at"}}, input={"type": "object"})
        run = Run(raw, {"at": until})
        assert await run.finish() is FAILED
        assert run.failure == ("w", "invalid-instant")

    async def test_an_instant_that_is_past_is_no_wait(self) -> None:
        run = Run(definition({"id": "w", "wait": {"until": "2020-01-31T12:00:00+02:00"}}))
        assert await run.finish() is COMPLETED
        assert run.value("w") == {"until": "2020-01-31T10:00:00.000Z"}

    SIGNAL = definition(
        {"id": "w", "wait": {"signal": "go", "schema": {"type": "object", "required": ["n"]}}}, output="from:w"
    )

    async def test_signal_that_comes_later_or_came_before_gives_its_payload(self) -> None:
        run = Run(self.SIGNAL)
        task = await run.begin()
        run.signal("other", {"n": 1})
        run.signal("go", "no object")
        await settle()
        assert not task.done()
        run.signal("go", {"n": 2})
        assert await task is COMPLETED
        assert run.execution.output().json == {"n": 2}
        early = Run(self.SIGNAL)
        early.signal("go", {"n": 3})
        assert await early.finish() is COMPLETED
        assert early.value("w") == {"n": 3}

    async def test_signal_sent_twice_counts_once(self) -> None:
        raw = definition(
            {"id": "a", "wait": {"signal": "go"}}, {"id": "b", "wait": {"signal": "go"}, "depends_on": ["a"]}
        )
        run = Run(raw)
        task = await run.begin()
        run.signal("go", 1, "first")
        run.signal("go", 1, "first")
        await settle()
        assert not task.done()
        run.signal("go", 2, "second")
        assert await task is COMPLETED
        assert (run.value("a"), run.value("b")) == (1, 2)

    async def test_signal_that_does_not_come_in_time_fails_the_step(self) -> None:
        run = Run(definition({"id": "w", "wait": {"signal": "go", "timeout": 0.01}}))
        assert await run.finish() is FAILED
        assert run.failure == ("w", "wait-timeout")

    async def test_wait_goes_on_in_the_next_part_with_the_signals_that_came(self) -> None:
        raw = definition(
            {"id": "w", "wait": {"signal": "go"}},
            {"id": "t", "wait": {"for": 3_600}},
            step("a"),
            {"id": "v", "wait": {"signal": "late"}, "depends_on": ["w"]},
        )
        drain = False
        run = Run(raw, must_drain=lambda _: drain)
        task = await run.begin()
        run.signal("late", 9)
        drain = True
        await run.world.end("a")
        assert await task is DRAINED
        rest = run.next_part()
        until = rest.progress.begun[rest.plan.numbers["t"]].until
        assert until == run.progress.begun[run.plan.numbers["t"]].until
        task = await rest.begin()
        rest.signal("go", 1)
        await settle()
        assert rest.value("v") == 9
        task.cancel()
        assert await task is CANCELLED
        assert rest.statuses["t"] == "cancelled"


def answer(*, approved: bool = True, by: str = "bob", role: str = "admin", data: Any = None) -> Answer:
    return Answer(approved, by, role, "2026-01-31T12:00:00Z", "fine", data)


class TestApproval:
    RAW = definition(
        step("a", input={"value": 7}),
        {
            "id": "ok",
            "approval": {"schema": {"type": "object", "required": ["limit"]}, "roles": ["admin"], "timeout": 60},
            "input": {"price": "from:a.value"},
        },
        step("b", input={"value": "from:ok.data.limit"}),
    )

    async def test_answer_is_what_later_steps_read(self) -> None:
        run = Run(self.RAW, None, echoes())
        task = await run.begin()
        assert run.world.asked == [("ok", {"price": 7})]
        run.execution.mailbox.check_answer("ok", answer(data={"limit": 5}), "ada")
        run.execution.mailbox.take_answer("ok", answer(data={"limit": 5}))
        assert await task is COMPLETED
        assert run.world.input("b") == {"value": 5}
        assert run.world.settled == [("ok", "bob")]
        assert run.value("ok")["decision"] == "approved"

    @pytest.mark.parametrize(
        ("given", "step_id", "code"),
        [
            (answer(by="ada", data={"limit": 1}), "ok", "forbidden"),
            (answer(role="learner", data={"limit": 1}), "ok", "forbidden"),
            (answer(data={}), "ok", "invalid-input"),
            (answer(data={"limit": 1}), "a", "not-waiting"),
            (answer(data={"limit": 1}), "none", "not-waiting"),
        ],
    )
    async def test_answers_that_cannot_be_taken_are_refused(self, given: Answer, step_id: str, code: str) -> None:
        run = Run(self.RAW, None, echoes())
        task = await run.begin()
        with pytest.raises(AnswerRefusedError) as refused:
            run.execution.mailbox.check_answer(step_id, given, "ada")
        assert refused.value.code == code
        task.cancel()
        assert await task is CANCELLED

    async def test_rejection_fails_the_step(self) -> None:
        run = Run(self.RAW, None, echoes())
        task = await run.begin()
        run.execution.mailbox.check_answer("ok", answer(approved=False), "ada")
        run.execution.mailbox.take_answer("ok", answer(approved=False))
        assert await task is FAILED
        assert run.failure == ("ok", "rejected")

    @pytest.mark.parametrize(("on_timeout", "end"), [("fail", FAILED), ("continue", COMPLETED)])
    async def test_no_answer_in_time(self, on_timeout: str, end: RunEnd) -> None:
        run = Run(definition({"id": "ok", "approval": {"timeout": 0.01, "on_timeout": on_timeout}}))
        assert await run.finish() is end
        assert run.world.settled == [("ok", None)]
        if end is COMPLETED:
            assert run.value("ok")["decision"] == "timed_out"
        else:
            assert run.failure == ("ok", "approval-timeout")

    async def test_question_is_put_once_however_many_parts_the_run_has(self) -> None:
        drain = False
        raw = definition({"id": "ok", "approval": {}}, step("a"))
        run = Run(raw, must_drain=lambda _: drain)
        task = await run.begin()
        drain = True
        await run.world.end("a")
        assert await task is DRAINED
        rest = run.next_part()
        task = await rest.begin()
        assert rest.world.asked == []
        rest.execution.mailbox.take_answer("ok", answer())
        assert await task is COMPLETED

    async def test_draining_takes_answers_as_long_as_something_runs(self) -> None:
        drain = False
        raw = definition({"id": "ok", "approval": {}}, step("long"), step("a"), step("b", depends_on=["ok"]))
        run = Run(raw, must_drain=lambda _: drain)
        task = await run.begin()
        drain = True
        await run.world.end("a")
        run.execution.mailbox.check_answer("ok", answer(), "ada")
        run.execution.mailbox.take_answer("ok", answer())
        await settle()
        assert run.world.settled == [("ok", "bob")]
        assert run.world.started == ["long", "a"]
        await run.world.end("long")
        assert await task is DRAINED
        rest = run.next_part(World(at_once={"b": echo}))
        assert await rest.finish() is COMPLETED
        assert rest.world.started == ["b"]

    async def test_answer_in_the_instant_of_the_time_out_counts(self) -> None:
        run = Run(definition({"id": "ok", "approval": {"timeout": 0.02}}))
        task = await run.begin()
        asyncio.get_running_loop().call_later(0.02, run.execution.mailbox.take_answer, "ok", answer())
        end = await task
        assert (end, run.world.settled) in [(COMPLETED, [("ok", "bob")]), (FAILED, [("ok", None)])]


def undone(name: str) -> dict[str, Any]:
    return {"service": "flow", "action": "echo", "input": {"value": f"from:{name}.value"}}


class TestCompensation:
    RAW = definition(
        step("a", input={"value": 1}, compensate=undone("a")),
        step("b", input={"value": 2}, compensate=undone("b")),
        step("c", depends_on=["a", "b"], compensate=undone("c")),
    )

    async def test_what_succeeded_is_undone_last_first_with_its_own_result(self) -> None:
        run = Run(self.RAW)
        task = await run.begin()
        await run.world.end("b", {"value": 2})
        await run.world.end("a", {"value": 1})
        await run.world.end("c", failure())
        assert run.world.started == ["a", "b", "c", "a:undo"]
        assert run.world.input("a:undo") == {"value": 1}
        await run.world.end("a:undo", {"value": None})
        await run.world.end("b:undo", {"value": None})
        assert await task is FAILED
        assert run.failure == ("c", "bad")
        assert run.progress.undone == {"a:undo": None, "b:undo": None}

    async def test_one_that_cannot_be_undone_stops_no_other(self) -> None:
        world = World(
            at_once={
                "a": {"value": 1},
                "b": {"value": 2},
                "c": failure(),
                "b:undo": failure("stuck"),
                "a:undo": {"value": 1},
            }
        )
        run = Run(self.RAW, None, world)
        assert await run.finish() is FAILED
        assert [one and one.code for one in run.progress.undone.values()] == ["stuck", None]
        assert run.failure == ("c", "bad")

    async def test_cancelling_undoes_too_and_does_not_stop_what_undoes(self) -> None:
        run = Run(self.RAW)
        task = await run.begin()
        await run.world.end("a", {"value": 1})
        task.cancel()
        await settle()
        assert run.world.started == ["a", "b", "a:undo"]
        task.cancel()
        await settle()
        assert not task.done()
        await run.world.end("a:undo", {"value": 1})
        assert await task is CANCELLED

    async def test_success_in_the_instant_of_a_cancellation_is_undone_too(self) -> None:
        run = Run(self.RAW)
        task = await run.begin()
        task.cancel()
        run.world.ends["a"].set_result({"value": 1})
        await settle()
        assert run.world.started == ["a", "b", "a:undo"]
        await run.world.end("a:undo", {"value": 1})
        assert await task is CANCELLED
        assert run.statuses == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}

    async def test_cancelling_while_it_is_undone_runs_no_handlers(self) -> None:
        run = Run({**self.RAW, "on_failure": [step("tell")]})
        task = await run.begin()
        await run.world.end("a", {"value": 1})
        await run.world.end("b", failure())
        task.cancel()
        await settle()
        await run.world.end("a:undo", {"value": 1})
        assert await task is FAILED
        assert run.statuses["tell"] == "cancelled"

    async def test_a_run_that_completes_undoes_nothing(self) -> None:
        run = Run(self.RAW, None, echoes())
        assert await run.finish() is COMPLETED
        assert run.world.started == ["a", "b", "c"]

    async def test_items_of_a_map_are_undone_each_by_itself_even_of_one_that_failed(self) -> None:
        raw = definition(
            step(
                "m",
                map={"items": [10, 20, 30], "max_parallel": 1},
                input={"value": "from:item"},
                compensate={"service": "flow", "action": "echo", "input": {"value": ["from:item", "from:m.value"]}},
            )
        )
        run = Run(raw, None, World(at_once={"m": echo, "m[2]": failure()}))
        assert await run.finish() is FAILED
        assert run.world.started == ["m[0]", "m[1]", "m[2]", "m[1]:undo", "m[0]:undo"]
        assert run.world.input("m[1]:undo") == {"value": [20, 20]}

    async def test_undoing_goes_on_in_the_next_part(self) -> None:
        drain = False
        run = Run(self.RAW, must_drain=lambda _: drain)
        task = await run.begin()
        await run.world.end("a", {"value": 1})
        await run.world.end("b", {"value": 2})
        await run.world.end("c", failure())
        drain = True
        await run.world.end("b:undo", {"value": 2})
        assert await task is DRAINED
        rest = run.next_part(World(at_once={"a:undo": {"value": 1}}))
        assert await rest.finish() is FAILED
        assert rest.world.started == ["a:undo"]
        assert rest.failure == ("c", "bad")


class TestOnFailure:
    RAW = definition(
        step("a"),
        on_failure=[
            step("tell", input={"value": ["from:error.step", "from:error.code", "from:a.value ?? 0"]}),
            step("then", depends_on=["tell"]),
        ],
    )

    async def test_handlers_run_when_the_run_has_failed_and_know_why(self) -> None:
        run = Run(self.RAW, None, World(at_once={"a": failure(), "tell": echo, "then": echo}))
        assert await run.finish() is FAILED
        assert run.world.started == ["a", "tell", "then"]
        assert run.world.input("tell") == {"value": ["a", "bad", 0]}
        assert run.failure == ("a", "bad")

    async def test_handlers_do_not_run_otherwise(self) -> None:
        run = Run(self.RAW, None, echoes())
        assert await run.finish() is COMPLETED
        assert run.statuses == {"a": "succeeded", "tell": "skipped: condition", "then": "skipped: condition"}
        run = Run(self.RAW)
        task = await run.begin()
        task.cancel()
        assert await task is CANCELLED
        assert run.world.started == ["a"]

    async def test_handlers_run_after_a_time_out_and_after_fail_fast(self) -> None:
        run = Run({**self.RAW, "limits": {"timeout": 60}}, None, World(at_once={"tell": echo, "then": echo}))
        task = await run.begin()
        run.execution.stop(RunEnd.TIMED_OUT)
        assert await task is RunEnd.TIMED_OUT
        assert run.world.input("tell")["value"][1] == "run-timeout"
        fast = Run(
            {**self.RAW, "limits": {"fail_fast": True}},
            None,
            World(at_once={"a": failure(), "tell": echo, "then": echo}),
        )
        assert await fast.finish() is FAILED
        assert fast.world.started == ["a", "tell", "then"]

    async def test_a_handler_that_fails_does_not_hide_the_first_failure(self) -> None:
        run = Run(self.RAW, None, World(at_once={"a": failure(), "tell": failure("worse")}))
        assert await run.finish() is FAILED
        assert run.failure == ("a", "bad")
        assert run.statuses == {"a": "failed", "tell": "failed", "then": "skipped: upstream"}

    async def test_compensations_come_before_the_handlers(self) -> None:
        raw = definition(step("a", compensate=undone("a")), step("b", depends_on=["a"]), on_failure=[step("tell")])
        run = Run(raw, None, World(at_once={"a": {"value": 1}, "a:undo": {"value": 1}, "b": failure(), "tell": echo}))
        assert await run.finish() is FAILED
        assert run.world.started == ["a", "b", "a:undo", "tell"]


class TestDryRun:
    async def test_only_what_touches_nothing_runs(self) -> None:
        raw = definition(
            step("a", input={"value": 4}),
            step("count", "flow.count", input={"key": "k"}, mock={"key": "k", "value": "from:input.n"}),
            {
                "id": "ok",
                "approval": {},
                "mock": {"decision": "approved", "by": "x", "at": "2026-01-01T00:00:00Z", "comment": None, "data": 1},
            },
            {"id": "pause", "wait": {"for": 3_600}},
            {"id": "go", "wait": {"signal": "go"}, "mock": 6},
            step(
                "b",
                input={"value": ["from:count.value", "from:ok.data", "from:go", "from:a.value"]},
                depends_on=["pause"],
            ),
            step("m", "flow.count", map={"items": [1, 2]}, input={"key": "k"}, mock={"key": "k", "value": "from:item"}),
            input=NUMBERS,
        )
        run = Run(raw, {"n": 5}, echoes(), dry_run=True)
        assert await run.finish() is COMPLETED
        assert run.world.started == ["a", "b"]
        assert run.world.input("b") == {"value": [5, 1, 6, 4]}
        assert run.value("m") == [{"key": "k", "value": 1}, {"key": "k", "value": 2}]
        assert run.world.asked == []

    async def test_step_without_a_mock_fails(self) -> None:
        run = Run(definition(step("count", "flow.count", input={"key": "k"})), None, dry_run=True)
        assert await run.finish() is FAILED
        assert run.failure == ("count", "missing-mock")


async def test_work_without_a_break_is_counted() -> None:
    cases = [{"when": f"input.n == {n}", "value": n} for n in range(50)]
    raw = definition({"id": "m", "map": {"items": list(range(100))}, "switch": cases}, input=NUMBERS)
    run = Run(raw, {"n": 49})
    assert await run.finish() is COMPLETED
    assert run.world.breaths >= 100 * 50


@pytest.mark.parametrize("name", ["action", "cache", "priority"])
async def test_options_reach_the_call(name: str) -> None:
    options: dict[str, Any] = {"cache": {"key": ["from:input.n"], "ttl": "1h"}, "priority": 2}
    run = Run(
        definition(step("a", **({name: options[name]} if name in options else {})), input=NUMBERS), {"n": 5}, echoes()
    )
    assert await run.finish() is COMPLETED
    call: Any = run.world.calls["a"]
    assert call.action.type == "flow.echo"
    assert call.priority == (2 if name == "priority" else None)
    assert (None if call.cache is None else (call.cache.value.json, call.cache.ttl)) == (
        ([5], 3600.0) if name == "cache" else None
    )
