from typing import Any

import pytest

from models.definition import MAX_STEPS, NOT_YET_IN_DEFINITION, NOT_YET_IN_STEP
from tests.unit.dag.definitions import ACTIONS, compiled, definition, problems, step
from workflows.dag.compile import compile_definition
from workflows.dag.findings import MAX_PROBLEMS

FIND = step("find", "people.find")


def greet(**given: Any) -> dict[str, Any]:
    return definition(FIND, step("greet", "people.greet", input=given), input=INPUT)


INPUT = {
    "type": "object",
    "properties": {
        "sure": {"type": "string"},
        "unsure": {"type": "string"},
        "person": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
    "required": ["sure", "person"],
}

CASES: list[tuple[str, Any, str]] = [
    ("no object", [], "type-mismatch"),
    ("null", None, "type-mismatch"),
    ("empty", {}, "missing-field /id, missing-field /steps"),
    ("steps are no list", {"id": "a", "steps": {}}, "type-mismatch /steps"),
    ("no steps", definition(), "type-mismatch /steps"),
    ("null as step", definition(None), "type-mismatch /steps/0"),
    ("too many steps", definition(*[step("a")] * (MAX_STEPS + 1)), "too-large /steps"),
    ("too many values", definition(step("a", input={"value": [0] * 200_000})), "too-large"),
    ("no JSON", definition(step("a", input={"value": float("nan")})), "unreadable"),
    ("bad id", definition(step("a"), id="A b"), "type-mismatch /id"),
    ("id of the platform", definition(step("a"), id="tooloo-x"), "reserved-id /id"),
    ("id of a route", definition(step("a"), id="validate"), "reserved-id /id"),
    ("unknown top-level field", definition(step("a"), stepz=1), "unknown-field /stepz"),
    ("odd field", definition(step("a"), **{"a/b~c": 1}), "unknown-field /a~1b~0c"),
    ("python's name of a field", definition({**step("a"), "while_": {}}), "unknown-field /steps/0/while_"),
    ("bad limits", definition(step("a"), limits={"max_parallel": 0}), "type-mismatch /limits/max_parallel"),
    ("too parallel", definition(step("a"), limits={"max_parallel": 501}), "type-mismatch /limits/max_parallel"),
    ("unknown limit", definition(step("a"), limits={"x": 1}), "unknown-field /limits/x"),
    ("unknown role", definition(step("a"), access={"execute": ["admin", "god"]}), "type-mismatch /access/execute/1"),
    ("bad step id", definition(step("A")), "type-mismatch /steps/0/id"),
    ("no step id", definition({"service": "flow", "action": "echo"}), "missing-field /steps/0/id"),
    ("reserved step id", definition(step("input"), step("item")), "reserved-id /steps/0/id, reserved-id /steps/1/id"),
    ("duplicate", definition(step("a"), step("b"), step("a")), "duplicate-step-id /steps/2/id"),
    ("unknown service", definition(step("a", "nope.echo")), "unknown-service /steps/0/service"),
    ("unknown action", definition(step("a", "flow.nope")), "unknown-action /steps/0/action"),
    ("no service", definition({"id": "a", "action": "echo"}), "missing-field /steps/0/service"),
    ("no action", definition({"id": "a", "service": "flow"}), "missing-field /steps/0/action"),
    ("unknown parent", definition(step("a", depends_on=["b"])), "unknown-step /steps/0/depends_on/0"),
    ("unknown source", definition(step("a", input={"value": ["from:b"]})), "unknown-step /steps/0/input/value/0"),
    ("item outside of a map", definition(step("a", input={"value": "from:item"})), "unknown-step /steps/0/input/value"),
    ("unknown source of the output", definition(step("a"), output={"x": "from:b"}), "unknown-step /output/x"),
    (
        "a bad step is known",
        definition(step("a", timeout=1), step("b", depends_on=["a"])),
        "type-mismatch /steps/0/timeout",
    ),
    ("waits for itself", definition(step("a", depends_on=["a"])), "cycle /steps/0"),
    ("reads itself", definition(step("a", input={"value": "from:a"})), "cycle /steps/0"),
    (
        "two cycles",
        definition(
            step("a", depends_on=["b"]),
            step("b", depends_on=["a"]),
            step("c", depends_on=["a", "d"]),
            step("d", depends_on=["c"]),
        ),
        "cycle /steps/0, cycle /steps/2",
    ),
    ("no reference", definition(step("a", input={"value": "from:"})), "bad-expression /steps/0/input/value"),
    ("bad default", definition(step("a", input={"value": "from:input ?? x"})), "bad-expression /steps/0/input/value"),
    ("bad output", definition(step("a"), output=["from:a", "from:a["]), "bad-expression /output/1"),
    ("unknown path", greet(name="from:find.nme"), "unknown-path /steps/1/input/name"),
    ("path too deep", greet(name="from:find.name.first"), "unknown-path /steps/1/input/name"),
    ("index into an object", greet(name="from:find[0]"), "unknown-path /steps/1/input/name"),
    ("unknown input", greet(name="from:input.person.age"), "unknown-path /steps/1/input/name"),
    ("unknown path in the output", definition(FIND, output="from:find.x"), "unknown-path /output"),
    ("wrong type", greet(name="from:find.age"), "type-mismatch /steps/1/input/name"),
    ("may be null", greet(name="from:find.nickname"), "type-mismatch /steps/1/input/name"),
    ("number for an integer", greet(name="x", age="from:find.height"), "type-mismatch /steps/1/input/age"),
    ("wrong default", greet(name="from:find.nickname ?? 0"), "type-mismatch /steps/1/input/name"),
    ("null as default", greet(name="from:find.nickname ?? null"), "type-mismatch /steps/1/input/name"),
    ("wrong items", greet(name="x", tags=["from:find.name", 5]), "type-mismatch /steps/1/input/tags/1"),
    (
        "a part lacks a field",
        greet(name="x", address={"zip": "from:find.name"}),
        "missing-field /steps/1/input/address/city",
    ),
    ("whole lacks a field", greet(name="x", address="from:input.person"), "type-mismatch /steps/1/input/address"),
    ("value for an object", greet(name="x", address="from:find.name"), "type-mismatch /steps/1/input/address"),
    ("list for an object", greet(name="x", address=["from:find.name"]), "type-mismatch /steps/1/input/address"),
    ("wrong values of a map", greet(name="x", scores={"a": "from:find.name"}), "type-mismatch /steps/1/input/scores/a"),
    ("literal beside a reference", greet(name="from:find.name", age="x"), "type-mismatch /steps/1/input/age"),
    ("literal value", greet(name=5), "type-mismatch /steps/1/input/name"),
    (
        "text is no number",
        definition(step("a", "flow.sleep", input={"seconds": "5"})),
        "type-mismatch /steps/0/input/seconds",
    ),
    ("not one of", greet(name="x", role="owner"), "type-mismatch /steps/1/input/role"),
    ("not one of, beside a reference", greet(name="from:find.name", role="owner"), "type-mismatch /steps/1/input/role"),
    (
        "input is no object",
        definition(FIND, step("a", "people.greet", input="from:find.name")),
        "type-mismatch /steps/1/input",
    ),
    ("literal input is no object", definition(step("a", "people.greet", input=5)), "type-mismatch /steps/0/input"),
    ("unknown field", greet(name="x", nme="y"), "unknown-field /steps/1/input/nme"),
    ("unknown field beside a reference", greet(name="from:find.name", nme="y"), "unknown-field /steps/1/input/nme"),
    ("unknown reference", greet(name="x", nme="from:find.name"), "unknown-field /steps/1/input/nme"),
    (
        "unknown field of a part",
        greet(name="x", address={"city": "x", "a/b": 1}),
        "unknown-field /steps/1/input/address/a~1b",
    ),
    ("field of an action is missing", definition(step("a", "people.greet")), "missing-field /steps/0/input/name"),
    ("the same beside a reference", greet(age="from:find.age"), "missing-field /steps/1/input/name"),
    ("may be missing", greet(name="from:input.unsure"), "missing-field /steps/1/input/name"),
    (
        "a map's value may be missing",
        greet(name="x", age="from:find.scores.x", tags=["from:input.unsure"]),
        "missing-field /steps/1/input/tags/0",
    ),
    (
        "the output may be missing",
        definition(step("a"), input=INPUT, output="from:input.unsure"),
        "missing-field /output",
    ),
    (
        "passed over without default",
        definition(
            step("find", "people.find", on_error="continue"),
            step("b", input={"value": "from:find.name"}),
            output="from:find",
        ),
        "missing-field /output, missing-field /steps/1/input/value",
    ),
    ("input is no schema", definition(step("a"), input={"type": "text"}), "type-mismatch /input/type"),
    ("input has a bad pattern", definition(step("a"), input={"pattern": "(?<=a)b"}), "bad-expression /input/pattern"),
    ("input refers to nothing", definition(step("a"), input={"$ref": "#/$defs/x"}), "unknown-path /input/$ref"),
    ("input stands for itself", definition(step("a"), input={"$ref": "#"}), "cycle /input"),
    (
        "too short a duration",
        definition(step("a", timeout={"heartbeat": 1e-9})),
        "type-mismatch /steps/0/timeout/heartbeat",
    ),
    ("no duration", definition(step("a", retry={"initial": "5 minutes"})), "type-mismatch /steps/0/retry/initial"),
    ("true as a duration", definition(step("a", retry={"initial": True})), "type-mismatch /steps/0/retry/initial"),
    ("backoff below 1", definition(step("a", retry={"backoff": 0.5})), "type-mismatch /steps/0/retry/backoff"),
    (
        "too many codes",
        definition(step("a", retry={"non_retryable": ["x"] * 51})),
        "too-large /steps/0/retry/non_retryable",
    ),
    ("long description", definition(step("a", description="x" * 2_001)), "too-large /steps/0/description"),
    ("a field that does not run yet", definition(step("a", fuse=True)), "not-supported-yet /steps/0/fuse"),
]


@pytest.mark.parametrize(("raw", "found"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_mistake_is_found_with_code_and_place(raw: Any, found: str) -> None:
    assert ", ".join(f"{code} {pointer}".strip() for code, pointer in problems(raw)) == found


def test_every_code_of_the_contract_is_covered() -> None:
    contract = {
        *("duplicate-step-id", "unknown-service", "unknown-action", "unknown-step", "cycle", "unknown-path"),
        *("type-mismatch", "unknown-field", "missing-field", "bad-expression", "too-large", "not-supported-yet"),
    }
    assert contract <= {problem.split()[0] for _, _, found in CASES for problem in found.split(", ")}


def test_five_different_mistakes_come_back_at_once() -> None:
    raw = definition(
        step("a", depends_on=["b"]),
        step("b", depends_on=["a"]),
        step("c", "flow.nope"),
        step("c"),
        step("find", "people.find"),
        step("d", "people.greet", input={"name": "from:find.nme", "age": "from:find.name"}),
    )
    assert problems(raw) == [
        ("cycle", "/steps/0"),
        ("unknown-action", "/steps/2/action"),
        ("duplicate-step-id", "/steps/3/id"),
        ("type-mismatch", "/steps/5/input/age"),
        ("unknown-path", "/steps/5/input/name"),
    ]


def messages(raw: Any) -> list[tuple[str, str | None]]:
    result = compile_definition(raw, ACTIONS)
    assert isinstance(result, list)
    return [(problem.message, problem.suggestion) for problem in result]


def test_cycle_is_named_in_full_along_the_arrows() -> None:
    steps = [step(f"s{number}", depends_on=[f"s{(number - 1) % 50}"]) for number in range(50)]
    ((message, suggestion),) = messages(definition(*steps))
    assert message.endswith(" → ".join([*(f"s{number}" for number in range(50)), "s0"]))
    assert suggestion == "take one of these dependencies out"


@pytest.mark.parametrize(
    ("raw", "suggestion"),
    [
        (definition(step("a", "floww.echo")), "did you mean flow?"),
        (definition(step("a", "flow.ecko")), "did you mean echo?"),
        (definition(step("load"), step("b", depends_on=["laod"])), "did you mean load?"),
        (definition(step("a", depend_on=["b"])), "did you mean depends_on?"),
        (definition(step("a"), outputs=1), "did you mean output?"),
        (greet(name="from:find.nme"), "did you mean name?"),
        (greet(name="from:input.zzz"), "there is sure, unsure, person"),
        (greet(name="from:find.nickname"), None),
    ],
)
def test_remedy_is_suggested(raw: Any, suggestion: str | None) -> None:
    assert messages(raw)[0][1] == suggestion


@pytest.mark.parametrize("name", NOT_YET_IN_STEP)
def test_field_of_a_step_that_does_not_run_yet_is_refused_by_name(name: str) -> None:
    assert ("not-supported-yet", f"/steps/0/{name}") in problems(definition(step("a", **{name: "x"})))


@pytest.mark.parametrize("name", NOT_YET_IN_DEFINITION)
def test_field_of_a_definition_that_does_not_run_yet_is_refused_by_name(name: str) -> None:
    assert ("not-supported-yet", f"/{name}") in problems(definition(step("a"), **{name: {}}))


def test_default_of_a_field_that_does_not_run_yet_is_no_mistake() -> None:
    compiled(definition(step("a", join="all", when=None, map=None, fuse=None), on_failure=None, triggers=None))


@pytest.mark.parametrize(
    "given",
    [
        {"name": "from:find.name"},
        {"name": 'from:find.nickname ?? "none"'},
        {"name": 'from:input.unsure ?? "none"'},
        {"name": "from:input.person.name", "nickname": "from:input.unsure"},
        {"name": "x", "nickname": "from:find.nickname", "height": "from:find.age", "role": "from:find.role"},
        {"name": "x", "role": "from:input.sure"},  # text that may be one of the listed values
        {"name": "x", "age": "from:find.scores.total"},  # left out when it is missing
        {"name": "x", "scores": "from:find.scores", "tags": "from:find.tags", "address": "from:find.address"},
        {"name": "x", "scores": {"a": "from:find.age", "b": 5}, "tags": ["from:find.name", "x"]},
        {"name": "x", "friends": ["from:find", "from:find.friends[0]"]},
        {"name": "x", "friends": "from:find.friends"},
        {"name": "x", "anything": {"deep": ["from:find", "from:input"]}},
        {"name": "from:find.anything.whatever.it[3].is", "age": "from:find.anything"},
        {"name": "x", "address": {"city": "from:find.address.city", "zip": "from:find.address.zip"}},
        {"name": "from::literal"},
    ],
)
def test_value_that_may_fit_is_accepted(given: dict[str, Any]) -> None:
    compiled(greet(**given))


def test_step_that_may_fail_is_read_with_a_default() -> None:
    raw = definition(
        step("find", "people.find", on_error="continue"),
        step("greet", "people.greet", input={"name": 'from:find.name ?? "nobody"'}),
        step("after", depends_on=["find"]),
        output='from:find ?? "nobody"',
    )
    plan = compiled(raw).plan
    assert [node.continue_on_error for node in plan.nodes] == [True, False, False]


def test_unused_input_is_a_warning() -> None:
    raw = definition(step("a", input={"value": "from:input.sure"}), input=INPUT, output=["from:input.person.name"])
    assert [(one.code, one.pointer) for one in compiled(raw).warnings] == [
        ("unused-input", "/input/properties/unsure"),
    ]


def test_whole_input_uses_all_of_it() -> None:
    assert compiled(definition(step("a", input={"value": "from:input"}), input=INPUT)).warnings == ()


def test_platform_may_use_its_own_ids() -> None:
    raw = definition(step("a"), id="tooloo-x")
    assert not isinstance(compile_definition(raw, ACTIONS, platform=True), list)


def test_endless_mistakes_are_listed_up_to_a_bound() -> None:
    raw = definition(*[step(f"s{n}", depends_on=[f"x{n}-{m}" for m in range(30)]) for n in range(2_000)])
    found = problems(raw)
    assert len(found) == MAX_PROBLEMS + 1
    assert found[-1] == ("too-large", "")
    assert "59,000 more" in messages(raw)[-1][0]


def test_largest_knot_is_compiled() -> None:
    """As many arrows as a document can hold."""
    width = 440
    layers = (
        [step(f"a{n}") for n in range(width)],
        [step(f"b{n}", depends_on=[f"a{m}" for m in range(width)]) for n in range(width)],
    )
    plan = compiled(definition(*layers[0], *layers[1])).plan
    assert sum(len(node.parents) for node in plan.nodes) == width * width
