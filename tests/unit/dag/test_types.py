"""What is known of values before a run: results of every kind of step, and what is wrong with a reference into them."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from models.actions import ForeignAction
from models.errors import Problem
from models.values import MissingValueError, Value
from tests.unit.dag.definitions import ACTIONS, definition, step
from tests.unit.dag.strategies import json_values
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.plan import INPUT
from workflows.dag.signature import Signature, WorkflowKey, called_workflows
from workflows.dag.templates import fill_template
from workflows.dag.user_schemas import check_schema

Json = dict[str, Any]
TEXT, INTEGER, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def obj(*optional: str, **properties: Any) -> Json:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def foreign(name: str, wanted: Any, result: Any) -> ForeignAction:
    return ForeignAction(
        service="far", name=name, summary=name, input_schema=wanted, result_schema=result, task_queue="far"
    )


RESULT = obj(
    "maybe",
    n=INTEGER,
    f=NUMBER,
    s=TEXT,
    nil={"type": ["string", "null"]},
    maybe=TEXT,
    at={"type": "string", "format": "date-time"},
    few={"enum": ["a", "b"]},
    either={"anyOf": [INTEGER, TEXT]},
    list={"type": "array", "items": obj(id=INTEGER)},
    pair={"type": "array", "prefixItems": [TEXT, INTEGER], "items": False},
    map={"type": "object", "additionalProperties": INTEGER},
    open={"type": "object"},
    any={},
)
FAR = [
    foreign("get", {}, RESULT),
    foreign("text", obj(v=TEXT), obj(ok={"type": "boolean"})),
    foreign("int", obj(v=INTEGER), obj()),
    foreign("number", obj(v=NUMBER), obj()),
    foreign("optional", obj("v", v=TEXT), obj()),
    foreign("nullable", obj(v={"type": ["string", "null"]}), obj()),
    foreign("email", obj(v={"type": "string", "format": "email"}), obj()),
    foreign("bounded", obj(v={"type": "integer", "minimum": 5}), obj()),
    foreign("ids", obj(v={"type": "array", "items": obj(id=INTEGER)}), obj()),
    foreign("texts", obj(v={"type": "array", "items": TEXT}), obj()),
    foreign("map", obj(v={"type": "object", "additionalProperties": TEXT}), obj()),
    foreign("closed", obj(v=obj(id=INTEGER)), obj()),
    foreign("union", obj(v={"anyOf": [INTEGER, TEXT, {"type": "null"}]}), obj()),
    foreign("few", obj(v={"enum": ["a", "b", "c"]}), obj()),
    foreign("undo", obj("message", n=INTEGER, message=TEXT), obj()),
]
CATALOGUE = {**ACTIONS, **{spec.type: spec for spec in FAR}}
SIGNATURES: dict[WorkflowKey, Signature] = {
    ("sub", None): Signature("sub", 4, obj("note", v=INTEGER, note=TEXT), obj("y", x=TEXT, y=INTEGER), {}),
    ("sub", 2): Signature("sub", 2, None, TEXT, {"deeper": ("deeper",)}),
    ("loops", None): Signature("loops", 1, None, {}, {"test": ("middle", "test")}),
}
GET = step("get", "far.get")
SUB = {"id": "sub", "workflow": {"id": "sub"}, "input": {"v": 1}}
SUB_2 = {**SUB, "workflow": {"id": "sub", "version": 2}}
ASK = {"id": "ask", "approval": {"schema": obj(size=INTEGER)}}
ASK_ON = {"id": "ask", "approval": {"schema": obj(size=INTEGER), "timeout": "1h", "on_timeout": "continue"}}
SIGNAL = {"id": "wait", "wait": {"signal": "go", "schema": obj(n=INTEGER)}}
SLEEP = {"id": "wait", "wait": {"for": "5m"}}
MAP = step("each", "far.get", map={"items": "from:get.list"})
SWITCH = {
    "id": "pick",
    "switch": [{"when": "steps.get.n > 1", "value": "from:get.s"}, {"value": {"n": "from:get.n"}}],
}
HALF = {"id": "pick", "switch": [{"when": "steps.get.n > 1", "value": "from:get.s"}]}
FAIL = step("try", "far.get", on_error="continue")


def use(value: Any, action: str = "far.text", *before: Json, **rest: Any) -> Json:
    """A definition whose last step, `use`, gives an action a value."""
    return definition(GET, *before, step("use", action, input={"v": value}, **rest))


def result_of(raw: Json) -> Compiled | list[Problem]:
    return compile_definition(raw, CATALOGUE, SIGNATURES, version=1)


def problems(raw: Json) -> str:
    result = result_of(raw)
    return ", ".join(f"{one.code} {one.pointer}" for one in result) if isinstance(result, list) else ""


def loop(condition: str) -> Json:
    return {"while": {"condition": condition, "max": 2}}


AT = "/input/v"
USES: list[tuple[str, str, Json, str]] = [
    ("text for text", "", use("from:get.s"), ""),
    ("number for an integer", "type-mismatch", use("from:get.f", "far.int"), AT),
    ("integer for a number", "", use("from:get.n", "far.number"), ""),
    ("integer with bounds nobody promises", "", use("from:get.n", "far.bounded"), ""),
    ("another format is seen in the run only", "", use("from:get.at", "far.email"), ""),
    ("text where a format is wanted", "", use("from:get.s", "far.email"), ""),
    ("may be null", "type-mismatch", use("from:get.nil"), AT),
    ("null where it is allowed", "", use("from:get.nil", "far.nullable"), ""),
    ("default for null", "", use('from:get.nil ?? "x"'), ""),
    ("null as default", "type-mismatch", use("from:get.nil ?? null"), AT),
    ("may be missing", "missing-field", use("from:get.maybe"), AT),
    ("missing where nothing is needed", "", use("from:get.maybe", "far.optional"), ""),
    ("default for missing", "", use('from:get.maybe ?? ""'), ""),
    ("default of another type", "type-mismatch", use("from:get.maybe ?? 1"), AT),
    ("listed values for text", "", use("from:get.few"), ""),
    ("listed values for more of them", "", use("from:get.few", "far.few"), ""),
    ("text where values are listed", "", use("from:get.s", "far.few"), ""),
    ("integer where texts are listed", "type-mismatch", use("from:get.n", "far.few"), AT),
    ("one of several types too many", "type-mismatch", use("from:get.either"), AT),
    ("several types for more of them", "", use("from:get.either", "far.union"), ""),
    ("item of a list", "", use("from:get.list[0].id", "far.int"), ""),
    ("last item of a list", "", use("from:get.list[-1].id", "far.int"), ""),
    ("item of a list is no text", "type-mismatch", use("from:get.list[0].id"), AT),
    ("item has no such field", "unknown-path", use("from:get.list[0].nope"), AT),
    ("name into a list", "unknown-path", use("from:get.list.id"), AT),
    ("items that are described one by one", "", use("from:get.pair[1]", "far.int"), ""),
    ("the first of them", "type-mismatch", use("from:get.pair[0]", "far.int"), AT),
    ("one too many", "unknown-path", use("from:get.pair[2]", "far.int"), AT),
    ("lists item by item", "", use("from:get.list", "far.ids"), ""),
    ("list of other items", "type-mismatch", use("from:get.list", "far.texts"), AT),
    ("value of a map may be missing", "missing-field", use("from:get.map.x", "far.int"), AT),
    ("value of a map with a default", "", use("from:get.map.x ?? 0", "far.int"), ""),
    ("map of other values", "type-mismatch", use("from:get.map", "far.map"), AT),
    ("unknown fields where none are allowed", "type-mismatch", use("from:get", "far.closed"), AT),
    ("map where only known fields are allowed", "type-mismatch", use("from:get.map", "far.closed"), AT),
    ("field of an open object", "", use("from:get.open.what.ever", "far.int"), ""),
    ("anything", "", use("from:get.any.x[3]", "far.int"), ""),
    (
        "fields of another action",
        "missing-field",
        definition(GET, step("use", "far.text", input={"w": "from:get.s"})),
        "/input/v, unknown-field /steps/1/input/w",
    ),
    ("list of a map", "type-mismatch", use("from:each", "far.text", MAP), AT),
    ("item of a map's results", "", use("from:each[0].s", "far.text", MAP), ""),
    ("result of a map as if of one", "unknown-path", use("from:each.s", "far.text", MAP), AT),
    (
        "failed item is null",
        "type-mismatch",
        use(
            "from:each",
            "far.ids",
            {
                "id": "each",
                "map": {"items": [1, 2], "on_error": "continue"},
                "switch": [{"value": {"id": "from:item"}}],
            },
        ),
        AT,
    ),
    (
        "no item is null where a failed one fails the step",
        "",
        use(
            "from:each", "far.ids", {"id": "each", "map": {"items": [1, 2]}, "switch": [{"value": {"id": "from:item"}}]}
        ),
        "",
    ),
    (
        "item of a passed over map",
        "missing-field",
        use("from:each[0].s", "far.text", {**MAP, "map": {"items": "from:get.list", "on_error": "continue"}}),
        AT,
    ),
    ("skipped item is null", "missing-field", use("from:each[0].s", "far.text", {**MAP, "when": "item.id > 1"}), AT),
    ("default for a skipped item", "", use('from:each[0].s ?? ""', "far.text", {**MAP, "when": "item.id > 1"}), ""),
    ("item", "", use("from:item.id", "far.int", map={"items": "from:get.list"}), ""),
    ("item of another type", "type-mismatch", use("from:item.id", "far.text", map={"items": "from:get.list"}), AT),
    ("item has no such field", "unknown-path", use("from:item.x", "far.int", map={"items": "from:get.list"}), AT),
    ("item by another name", "", use("from:one.id", "far.int", map={"items": "from:get.list", "as": "one"}), ""),
    ("item of literals", "", use("from:item", "far.int", map={"items": [1, 2]}), ""),
    ("one literal is another", "type-mismatch", use("from:item", "far.int", map={"items": [1, "x"]}), AT),
    ("item of an expression", "", use("from:item", "far.int", map={"items": "steps.get.list.map(x, x.id)"}), ""),
    ("no list", "type-mismatch", definition(GET, step("use", map={"items": "from:get.map"})), "/map/items"),
    (
        "list that may be missing",
        "missing-field",
        definition(GET, FAIL, step("use", map={"items": "from:try.list"})),
        "/map/items",
    ),
    (
        "default that is no list",
        "type-mismatch",
        definition(GET, FAIL, step("use", map={"items": "from:try.list ?? 0"})),
        "/map/items",
    ),
    ("switch gives one of its values", "type-mismatch", use("from:pick", "far.text", SWITCH), AT),
    ("field of one of a switch's values", "missing-field", use("from:pick.n", "far.int", SWITCH), AT),
    ("it has a default", "", use("from:pick.n ?? 0", "far.int", SWITCH), ""),
    ("switch without a last case may be null", "type-mismatch", use("from:pick", "far.text", HALF), AT),
    ("null of a switch has a default", "", use('from:pick ?? "x"', "far.text", HALF), ""),
    ("output of a workflow", "", use("from:sub.x", "far.text", SUB), ""),
    (
        "output of another version",
        "",
        use("from:sub", "far.text", {**SUB, "workflow": {"id": "sub", "version": 2}}),
        "",
    ),
    ("field of a workflow may be missing", "missing-field", use("from:sub.y", "far.int", SUB), AT),
    ("workflow has no such output", "unknown-path", use("from:sub.z", "far.int", SUB), AT),
    (
        "workflow nobody waits for names its run",
        "",
        use("from:sub.run_id", "far.text", {**SUB, "workflow": {"id": "sub", "wait": False}}),
        "",
    ),
    (
        "it has no output",
        "unknown-path",
        use("from:sub.x", "far.text", {**SUB, "workflow": {"id": "sub", "wait": False}}),
        AT,
    ),
    ("answer to an approval", "", use("from:ask.data.size", "far.int", ASK), ""),
    ("who answered", "", use("from:ask.by", "far.text", ASK), ""),
    ("approval has no such data", "unknown-path", use("from:ask.data.weight", "far.int", ASK), AT),
    ("nobody may have answered", "missing-field", use("from:ask.data.size", "far.int", ASK_ON), AT),
    ("nobody may have been it", "type-mismatch", use("from:ask.by", "far.text", ASK_ON), AT),
    ("payload of a signal", "", use("from:wait.n", "far.int", SIGNAL), ""),
    ("payload has no such field", "unknown-path", use("from:wait.x", "far.int", SIGNAL), AT),
    ("any payload", "", use("from:wait.x", "far.int", {"id": "wait", "wait": {"signal": "go"}}), ""),
    ("end of a pause", "", use("from:wait.until", "far.text", SLEEP), ""),
    ("passed over without default", "missing-field", use("from:try.s", "far.text", FAIL), AT),
    ("passed over with default", "", use('from:try.s ?? ""', "far.text", FAIL), ""),
    ("any", "missing-field", use("from:get.s", "far.text", join="any"), AT),
    ("all_done", "missing-field", use("from:get.s", "far.text", join="all_done"), AT),
    (
        "none_failed after a condition",
        "missing-field",
        use("from:pick", "far.text", {**SWITCH, "when": "steps.get.n > 1"}, join="none_failed"),
        AT,
    ),
    ("none_failed without one", "", use("from:get.s", "far.text", join="none_failed"), ""),
    ("own last turn", "missing-field", use("from:use.ok", "far.text", **loop("false")), AT),
    ("own last turn with default", "type-mismatch", use('from:use.ok ?? "x"', "far.text", **loop("false")), AT),
    (
        "own last turn for anything",
        "",
        definition(step("use", input={"value": "from:use.value ?? 0"}, **loop("steps.use.value != 1"))),
        "",
    ),
    ("own result without a loop", "cycle", use("from:use", "far.get"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("code", "raw", "at"), [case[1:] for case in USES], ids=[case[0] for case in USES])
def test_reference_into_a_result_is_checked(code: str, raw: Json, at: str) -> None:
    assert problems(raw) == (f"{code} /steps/{len(raw['steps']) - 1}{at}" if code else "")


def undo(service: str, action: str, **given: Any) -> Json:
    return {"compensate": {"service": service, "action": action, "input": given}}


def failing(*handlers: Json, **rest: Any) -> Json:
    return definition(GET, on_failure=list(handlers), **rest)


INPUT_SCHEMA = obj("team", user=TEXT, n=INTEGER, team=TEXT)
OTHERS: list[tuple[str, Json, str]] = [
    (
        "compensation reads what its step gave",
        definition(step("a", "far.get", **undo("far", "undo", n="from:a.n"))),
        "",
    ),
    (
        "it fits no better than elsewhere",
        definition(step("a", "far.get", **undo("far", "undo", n="from:a.s"))),
        "type-mismatch /steps/0/compensate/input/n",
    ),
    (
        "it gives what is not there",
        definition(step("a", "far.get", **undo("far", "undo", n="from:a.x"))),
        "unknown-path /steps/0/compensate/input/n",
    ),
    (
        "it lacks a field",
        definition(step("a", "far.get", **undo("far", "undo"))),
        "missing-field /steps/0/compensate/input/n",
    ),
    (
        "literal of the wrong type",
        definition(step("a", "far.get", **undo("far", "undo", n="x"))),
        "type-mismatch /steps/0/compensate/input/n",
    ),
    (
        "unknown action of a compensation",
        definition(step("a", "far.get", **undo("far", "nope"))),
        "unknown-action /steps/0/compensate/action",
    ),
    (
        "unknown service of a compensation",
        definition(step("a", "far.get", **undo("nope", "undo"))),
        "unknown-service /steps/0/compensate/service",
    ),
    (
        "compensation reads a step that is not there",
        definition(step("a", "far.get", **undo("far", "undo", n="from:b.n"))),
        "unknown-step /steps/0/compensate/input/n",
    ),
    (
        "compensation of a map reads its item",
        definition(step("a", "far.get", map={"items": [1]}, **undo("far", "undo", n="from:item"))),
        "",
    ),
    (
        "compensation of a turn reads the turn",
        definition(step("a", "far.get", map={"items": [1]}, **undo("far", "undo", n="from:a.n"))),
        "",
    ),
    ("handler reads the failure", failing(step("h", "far.text", input={"v": "from:error.message"})), ""),
    (
        "handler reads what a failure has not",
        failing(step("h", "far.text", input={"v": "from:error.msg"})),
        "unknown-path /on_failure/0/input/v",
    ),
    (
        "step of a failure may be none",
        failing(step("h", "far.text", input={"v": "from:error.step"})),
        "type-mismatch /on_failure/0/input/v",
    ),
    (
        "handler reads a step that may not have been reached",
        failing(step("h", "far.text", input={"v": "from:get.s"})),
        "missing-field /on_failure/0/input/v",
    ),
    ("with a default it does", failing(step("h", "far.text", input={"v": 'from:get.s ?? ""'})), ""),
    ("handler reads another", failing(GET | {"id": "g"}, step("h", "far.text", input={"v": "from:g.s"})), ""),
    ("handler waits for a step", failing(step("h", depends_on=["get"])), "unknown-step /on_failure/0/depends_on/0"),
    (
        "step reads a handler",
        definition(step("a", input={"value": "from:h"}), on_failure=[step("h")]),
        "unknown-step /steps/0/input/value",
    ),
    (
        "step reads the failure",
        definition(step("a", input={"value": "from:error"}), on_failure=[step("h")]),
        "unknown-step /steps/0/input/value",
    ),
    ("condition on the failure's code", failing(step("h", when="steps.get.n > 1")), "missing-field /on_failure/0/when"),
    ("cycle of handlers", failing(step("h", depends_on=["i"]), step("i", depends_on=["h"])), "cycle /on_failure/0"),
    ("mock is a result", definition(step("a", "far.text", input={"v": ""}, mock={"ok": True})), ""),
    (
        "mock is none",
        definition(step("a", "far.text", input={"v": ""}, mock={"ok": 1})),
        "type-mismatch /steps/0/mock/ok",
    ),
    (
        "mock lacks a field",
        definition(step("a", "far.text", input={"v": ""}, mock={})),
        "missing-field /steps/0/mock/ok",
    ),
    (
        "mock says too much",
        definition(step("a", "far.text", input={"v": ""}, mock={"ok": True, "x": 1})),
        "unknown-field /steps/0/mock/x",
    ),
    (
        "mock of an item is of one item",
        definition(step("a", "far.text", input={"v": ""}, map={"items": [True]}, mock={"ok": "from:item"})),
        "",
    ),
    (
        "item does not fit the mock",
        definition(step("a", "far.text", input={"v": ""}, map={"items": ["x"]}, mock={"ok": "from:item"})),
        "type-mismatch /steps/0/mock/ok",
    ),
    (
        "mock reads a step",
        definition(GET, step("a", "far.text", input={"v": ""}, mock={"ok": "from:get.any"})),
        "unknown-step /steps/1/mock/ok",
    ),
    (
        "mock of an approval",
        definition({**ASK, "mock": {"decision": "no"}}),
        ", ".join(
            [
                *(f"missing-field /steps/0/mock/{name}" for name in ("at", "by", "comment", "data")),
                "type-mismatch /steps/0/mock/decision",
            ]
        ),
    ),
    ("mock of a workflow", definition({**SUB, "mock": {"x": 1}}), "type-mismatch /steps/0/mock/x"),
    ("key of the input", definition(step("a"), input=INPUT_SCHEMA, concurrency={"key": "from:input.user"}), ""),
    (
        "key of nothing",
        definition(step("a"), input=INPUT_SCHEMA, concurrency={"key": "from:input.usr"}),
        "unknown-path /concurrency/key",
    ),
    ("key of a step", definition(step("a"), concurrency={"key": ["from:a"]}), "unknown-step /concurrency/key/0"),
    ("input of a workflow", definition({**SUB, "input": {"v": "x"}}), "type-mismatch /steps/0/input/v"),
    ("reference into it", definition(GET, {**SUB, "input": {"v": "from:get.s"}}), "type-mismatch /steps/1/input/v"),
    (
        "workflow without an input schema",
        definition(GET, {**SUB, "workflow": {"id": "sub", "version": 2}, "input": 7}),
        "",
    ),
    ("input of a workflow lacks a field", definition({**SUB, "input": {}}), "missing-field /steps/0/input/v"),
    ("no such workflow", definition({**SUB, "workflow": {"id": "nope"}}), "unknown-workflow /steps/0/workflow/id"),
    (
        "no such version",
        definition({**SUB, "workflow": {"id": "sub", "version": 3}}),
        "unknown-workflow /steps/0/workflow/id",
    ),
    ("workflow runs itself", definition({**SUB, "workflow": {"id": "test"}}), "cycle /steps/0/workflow"),
    (
        "workflow runs itself through others",
        definition({**SUB, "workflow": {"id": "loops"}}),
        "cycle /steps/0/workflow",
    ),
    ("instant of a wait", definition(GET, {"id": "a", "wait": {"until": "from:get.at"}}), ""),
    (
        "number as an instant",
        definition(GET, {"id": "a", "wait": {"until": "from:get.n"}}),
        "type-mismatch /steps/1/wait/until",
    ),
    ("no instant", definition({"id": "a", "wait": {"until": 5}}), "type-mismatch /steps/0/wait/until"),
    (
        "schema of a signal",
        definition({"id": "a", "wait": {"signal": "x", "schema": {"type": "txt"}}}),
        "type-mismatch /steps/0/wait/schema/type",
    ),
    (
        "schema of an approval",
        definition({"id": "a", "approval": {"schema": {"$ref": "#"}}}),
        "cycle /steps/0/approval/schema",
    ),
    (
        "cache key of nothing",
        definition(GET, step("a", cache={"key": "from:get.x", "ttl": 5})),
        "unknown-path /steps/1/cache/key",
    ),
    (
        "value of a case",
        definition(GET, {"id": "a", "switch": [{"value": ["from:get.x"]}]}),
        "unknown-path /steps/1/switch/0/value/0",
    ),
    (
        "condition of a case",
        definition(GET, {"id": "a", "switch": [{"when": "steps.get.n", "value": 1}]}),
        "bad-expression /steps/1/switch/0/when",
    ),
    ("loop reads its turn", definition(step("a", "far.get", **loop("steps.a.n > 1"))), ""),
    (
        "loop reads what no turn gives",
        definition(step("a", "far.get", **loop("steps.a.x > 1"))),
        "unknown-path /steps/0/while/condition",
    ),
    (
        "output of a conditional step may be missing where it can be left out",
        definition(step("a", "far.get", when="input.n > 1"), input=INPUT_SCHEMA, output={"n": "from:a.n"}),
        "",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "found"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS])
def test_every_other_place_is_checked_as_well(raw: Json, found: str) -> None:
    assert problems(raw) == found


def test_cycle_of_workflows_is_named_in_full() -> None:
    result = result_of(definition({**SUB, "workflow": {"id": "loops"}}))
    assert isinstance(result, list)
    assert result[0].message == "these workflows run each other: test → loops → middle → test"


def signature_of(raw: Json) -> Signature:
    result = result_of(raw)
    assert isinstance(result, Compiled), result
    return result.signature


def test_signature_is_what_the_definition_takes_and_gives() -> None:
    raw = definition(GET, step("a"), input=INPUT_SCHEMA, output={"n": "from:get.n", "list": ["from:get.s", 1]})
    found = signature_of(raw)
    assert (found.workflow, found.version, found.input_schema) == ("test", 1, INPUT_SCHEMA)
    assert found.output_schema == {
        "type": "object",
        "properties": {
            "n": INTEGER,
            "list": {"type": "array", "prefixItems": [TEXT, {"const": 1}], "items": False, "minItems": 2},
        },
        "required": ["n", "list"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("output", "before", "good", "bad"),
    [
        ("from:get.n", {}, [1], ["x", None]),
        ("from:get.n", {"when": "input.n > 1"}, [1, None], ["x"]),
        ({"n": "from:get.n"}, {"when": "input.n > 1"}, [{"n": 1}, {}], [{"n": None}, {"m": 1}]),
        ({"n": "from:get.n ?? 0"}, {"when": "input.n > 1"}, [{"n": 1}], [{}]),
        ({"m": "from:get.maybe"}, {}, [{"m": "x"}, {}], [{"m": 1}]),
        ("from:get.either", {}, [1, "x"], [None, 1.5]),
        (None, {}, [None], [1]),
        ([], {}, [[]], [[1]]),
    ],
)
def test_output_of_a_run_fits_its_schema(output: Any, before: Json, good: list[Any], bad: list[Any]) -> None:
    schema = signature_of(definition({**GET, **before}, input=INPUT_SCHEMA, output=output)).output_schema
    assert check_schema(schema, "") == []
    assert [value for value in good if not Draft202012Validator(schema).is_valid(value)] == []
    assert [value for value in bad if Draft202012Validator(schema).is_valid(value)] == []


def test_workflows_that_are_run_and_those_they_run_are_known() -> None:
    raw = definition({**SUB, "workflow": {"id": "sub", "version": 2}}, on_failure=[{**SUB, "id": "again"}])
    assert signature_of(raw).calls == {"sub": ("sub",), "deeper": ("sub", "deeper")}
    assert called_workflows(raw) == [("sub", 2), ("sub", None)]
    assert called_workflows({"steps": [1, {"workflow": 5}, {"workflow": {"id": "a", "version": True}}]}) == [
        ("a", None)
    ]


def test_workflow_is_used_as_a_step_by_what_it_published() -> None:
    """All the way: a definition's output schema, read as another's step, tells good from bad."""
    inner = signature_of(
        definition(GET, MAP, SWITCH, output={"all": "from:each", "one": "from:pick", "n": "from:get.n"})
    )
    signatures = {**SIGNATURES, ("inner", None): inner}
    for value, action, found in (
        ("from:in.n", "far.int", []),
        ("from:in.n", "far.text", ["type-mismatch"]),
        ("from:in.all[0].list", "far.ids", []),
        ("from:in.all[0].list", "far.texts", ["type-mismatch"]),
        ("from:in.one.n ?? 0", "far.int", []),
        ("from:in.two", "far.int", ["unknown-path"]),
    ):
        raw = definition({"id": "in", "workflow": {"id": "inner"}}, step("use", action, input={"v": value}))
        result = compile_definition(raw, CATALOGUE, signatures)
        assert ([one.code for one in result] if isinstance(result, list) else []) == found


def literal(value: Any) -> Any:
    """A value as a template that stands for it."""
    match value:
        case str() if value.startswith("from:"):
            return "from:" + value[len("from") :]
        case list():
            return [literal(item) for item in value]
        case dict():
            return {name: literal(item) for name, item in value.items()}
        case _:
            return value


def templates() -> st.SearchStrategy[Any]:
    """Templates of literals and references to a run's input."""
    leaves = json_values(3).map(literal) | st.sampled_from(
        ["from:input", "from:input.user", "from:input.n", "from:input.nope ?? 1", 'from:input.team ?? "none"']
    )
    inner = st.recursive(
        leaves,
        lambda below: (
            st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c d"]), below, max_size=3)
        ),
        max_leaves=6,
    )
    return inner | st.dictionaries(st.sampled_from(["a", "b"]), inner | st.just("from:input.team"), max_size=2)


RUN_INPUTS = st.fixed_dictionaries(
    {"user": st.sampled_from(["", "ada"]), "n": st.integers()}, optional={"team": st.sampled_from(["red", "x"])}
)


@given(templates(), RUN_INPUTS)
def test_what_a_template_becomes_fits_the_schema_it_was_given(template: Any, run_input: Json) -> None:
    open_input = {**INPUT_SCHEMA, "properties": {**INPUT_SCHEMA["properties"], "nope": INTEGER}}
    result = result_of(definition(step("a"), input=open_input, output=template))
    assert isinstance(result, Compiled), result
    assert {slot.source for slot in result.plan.output.slots} <= {INPUT}
    before = deepcopy(run_input)
    try:
        output = fill_template(result.plan.output, lambda _: Value(run_input)).json
    except MissingValueError:
        output = None
    assert Draft202012Validator(result.signature.output_schema).is_valid(output)
    assert run_input == before
