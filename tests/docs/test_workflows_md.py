"""What docs/workflows.md says is what the compiler does."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest
from annotated_types import MaxLen
from pydantic import BaseModel
from pydantic_core import from_json

from models import errors
from models.catalogue import CATALOGUE
from models.definition import (
    MAX_STEPS,
    MAX_TURNS,
    MAX_WINDOW,
    NOT_YET_IN_DEFINITION,
    NOT_YET_IN_STEP,
    ActionCall,
    Approval,
    CacheOptions,
    Concurrency,
    Definition,
    DefinitionHead,
    Limits,
    MapOptions,
    RetryOptions,
    StepDefinition,
    SubWorkflow,
    SwitchCase,
    TimeoutOptions,
    Wait,
    WhileOptions,
    definition_schema,
)
from models.documents import MAX_DEPTH, MAX_DIGITS, MAX_NODES
from models.runs import Run, RunStatus, StepStatus
from models.settings import CHECKOUT
from tests.docs.workflow_examples import PAGE, RIGHT, WRONG, compile_block, name_of, signatures
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.expressions import (
    MAX_COLLECTED,
    MAX_INLINE,
    MAX_RESULT,
    MAX_RESULT_CHARACTERS,
    ExpressionFailedError,
    evaluate,
)
from workflows.dag.findings import MAX_PROBLEMS
from workflows.dag.mailbox import MAX_SIGNALS
from workflows.dag.plan import Join
from workflows.dag.reading import Kind
from workflows.dag.user_schemas import MAX_PARTS

DOCS = CHECKOUT / "docs"
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
COMPILER = [
    *sorted((CHECKOUT / "workflows" / "dag").glob("*.py")),
    CHECKOUT / "workflows" / "compiled.py",
    CHECKOUT / "workflows" / "effects_in_temporal.py",
    CHECKOUT / "workflows" / "run_dag.py",
    CHECKOUT / "models" / "documents.py",
]
RAISE_CODES = ("failed", "StepFailure", "AnswerRefusedError")
"""What takes a code as its first argument."""
NO_CODES = {
    "date-time": "a format of JSON Schema",
    "tooloo-answer": "an update of Temporal",
    "tooloo-steps": "a query of Temporal",
}
CEL_ITERATIONS = 9_999
"""Turns of a comprehension that the CEL library allows."""
SIGNATURES = signatures()


def section(title: str) -> str:
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    assert rest, f"there is no section {title!r}"
    return rest.partition("\n## ")[0]


def problems_of(block: str) -> list[tuple[str, str]]:
    found = compile_block(block, SIGNATURES)
    assert not isinstance(found, Compiled), "it compiles"
    return sorted(found)


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", text))


@pytest.mark.parametrize("block", RIGHT, ids=name_of)
def test_example_compiles_without_problem_or_warning(block: str) -> None:
    compiled = compile_block(block, SIGNATURES)
    assert isinstance(compiled, Compiled), compiled
    assert compiled.warnings == ()


@pytest.mark.parametrize("block", WRONG, ids=name_of)
def test_refused_example_has_exactly_the_problems_it_names(block: str) -> None:
    named = re.findall(r"^#   (\S+) +(\S+)$", block, re.MULTILINE)
    assert named
    assert problems_of(block) == sorted(named)


def test_page_has_examples_of_both_kinds() -> None:
    assert len(RIGHT) > 5
    assert len(WRONG) > 5


def emitted(tree: ast.Module) -> Iterator[str]:
    """Codes written in a module: hyphenated words, what is given for `code`, the second argument of what notes one."""
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if "-" in text:
                yield text
            case ast.keyword(arg="code", value=ast.Constant(value=str(text))):
                yield text
            case ast.Call(func=ast.Attribute(attr="add" | "_problem"), args=[_, ast.Constant(value=str(text)), *_]):
                yield text
            case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)), *_]) if name in RAISE_CODES:
                yield text
            case ast.FunctionDef(args=arguments):
                names = [argument.arg for argument in arguments.args][-len(arguments.defaults) or None :]
                for name, default in zip(names, arguments.defaults, strict=False):
                    if name == "code" and isinstance(default, ast.Constant):
                        yield str(default.value)
            case _:
                pass


def test_every_code_of_compiler_and_engine_is_explained() -> None:
    written = {text for path in COMPILER for text in emitted(ast.parse(path.read_text())) if CODE.fullmatch(text)}
    assert {"cycle", "unreadable", "type-mismatch", "run-timeout", "too-deep", "rejected", "cancelled"} <= written
    assert written - set(NO_CODES) <= codes_in(section("What is checked when you post"))


def test_every_code_of_errors_that_actions_raise_is_explained() -> None:
    raised = {kind.code for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "code")}
    only_of_the_api = {"unauthorized"}
    assert raised - only_of_the_api <= codes_in(section("What is checked when you post"))


def test_every_refusal_in_the_table_is_shown_by_an_example() -> None:
    table, _, _ = section("What is checked when you post").partition("Codes of steps")
    explained = set(re.findall(r"^\| `([a-z-]+)` \| (?!a warning)", table, re.MULTILINE))
    shown = {code for block in WRONG for code, _ in problems_of(block)}
    too_long_to_show = {"unreadable", "too-large"}
    assert explained - too_long_to_show == shown


def test_fields_that_do_not_run_yet_are_those_of_the_compiler() -> None:
    lines = re.findall(r"^- of a (step|definition): (.*)$", section("Not yet"), re.MULTILINE)
    listed = {kind: re.findall(r"`(\w+)`", names) for kind, names in lines}
    assert listed == {"step": list(NOT_YET_IN_STEP), "definition": list(NOT_YET_IN_DEFINITION)}


def written_names(model: type[BaseModel], *, without: tuple[str, ...] = ()) -> set[str]:
    names = {field.alias or name for name, field in model.model_fields.items()}
    return names - set(without)


def test_tables_of_fields_name_all_that_run() -> None:
    definition, step, kinds = re.split(r"\| field of a step \||\| field \| action \|", section("The file"))
    assert rows(definition) == written_names(Definition, without=NOT_YET_IN_DEFINITION)
    assert rows(step) == written_names(StepDefinition, without=NOT_YET_IN_STEP)
    assert rows(kinds) < rows(step)


def rows(table: str) -> set[str]:
    firsts = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


ECHO = {"service": "flow", "action": "echo"}
OF_KIND: dict[Kind, dict[str, Any]] = {
    Kind.ACTION: ECHO,
    Kind.SWITCH: {"switch": [{"value": 1}]},
    Kind.WORKFLOW: {"workflow": {"id": "result"}},
    Kind.WAIT: {"wait": {"for": 1}},
    Kind.APPROVAL: {"approval": {}},
}
WITH_FIELD: dict[str, Any] = {
    "input": {},
    "map": {"items": [1]},
    "while": {"condition": "true", "max": 2},
    "retry": {"max_attempts": 1},
    "timeout": {"heartbeat": 1},
    "compensate": ECHO,
    "cache": {"key": 1, "ttl": 1},
    "priority": 1,
    "mock": None,
    "description": "it is",
    "depends_on": ["before"],
    "when": "true",
    "join": "any",
    "on_error": "continue",
}
EVERYWHERE = {"description", "depends_on", "when", "join", "on_error"}


def is_refused(kind: Kind, field: str) -> bool:
    """Whether a field means nothing in a step of that kind."""
    step = {"id": "one", **OF_KIND[kind], field: WITH_FIELD[field]}
    raw = {"id": "kinds", "steps": [{"id": "before", **ECHO}, step]}
    found = compile_definition(raw, CATALOGUE, SIGNATURES)
    problems = () if isinstance(found, Compiled) else found
    return ("unknown-field", f"/steps/1/{field}") in {(one.code, one.pointer) for one in problems}


def test_table_of_kinds_says_which_field_belongs_to_which() -> None:
    _, _, table = section("The file").partition("| field | action |")
    lines = ("| field | action |" + table).partition("\n\n")[0].split("\n")
    head, _, *rest = [line.strip("| ").split(" | ") for line in lines]
    assert head[1:] == list(Kind)
    said = {name.strip("`"): cells for name, *cells in rest}
    assert said == {field: ["no" if is_refused(kind, field) else "yes" for kind in Kind] for field in said}
    assert set(said) | EVERYWHERE == set(WITH_FIELD)


@pytest.mark.parametrize("kind", Kind)
def test_other_fields_belong_to_every_kind(kind: Kind) -> None:
    says = section("The file").partition("Every kind takes")[2].partition(";")[0]
    assert set(re.findall(r"`(\w+)`", says)) - {"id"} == EVERYWHERE
    assert not any(is_refused(kind, field) for field in EVERYWHERE)


OPTIONS: dict[str, type[BaseModel]] = {
    "Switch": SwitchCase,
    "Map": MapOptions,
    "While": WhileOptions,
    "Workflows as steps": SubWorkflow,
    "Wait": Wait,
    "Approval": Approval,
    "Retry": RetryOptions,
    "Timeout": TimeoutOptions,
    "Compensation": ActionCall,
    "Limits of a run": Limits,
    "Concurrency": Concurrency,
    "Cache": CacheOptions,
}


@pytest.mark.parametrize("title", OPTIONS)
def test_tables_of_options_name_all_of_them(title: str) -> None:
    assert rows(section(title)) == written_names(OPTIONS[title])


def test_every_kind_of_options_has_its_table() -> None:
    objects = {name for name, schema in definition_schema()["$defs"].items() if "properties" in schema}
    of_other_sections = {"StepDefinition", "Access"}
    assert objects - of_other_sections == {options.__name__ for options in OPTIONS.values()}


def test_every_join_and_policy_is_explained() -> None:
    assert rows(section("Joins")) - {"join"} == {join.value for join in Join}
    policies = set(re.findall(r"^- `(\w+)`:", section("Concurrency"), re.MULTILINE))
    assert policies == set(definition_schema()["$defs"]["Concurrency"]["properties"]["policy"]["enum"])


def bounds(title: str) -> dict[str, str]:
    return dict(re.findall(r"^\| (.*?) \| (.*?) \|$", section(title), re.MULTILINE))


def longest(model: type[BaseModel], name: str) -> int:
    return next(one.max_length for one in model.model_fields[name].metadata if isinstance(one, MaxLen))


def test_sizes_are_those_of_the_code() -> None:
    effects = (CHECKOUT / "workflows" / "effects_in_temporal.py").read_text()
    deepest = int(re.findall(r"^MAX_DEPTH = (\d+)$", effects, re.MULTILINE)[0])
    most_runs = definition_schema()["$defs"]["Concurrency"]["properties"]["max"]["maximum"]
    expected: dict[str, Any] = {
        "values in a document, aliases counted each time": MAX_NODES,
        "depth of a document": MAX_DEPTH,
        "digits of a number": MAX_DIGITS,
        "steps": MAX_STEPS,
        "parts of a schema": MAX_PARTS,
        "items of a map, turns of a `while`": MAX_TURNS,
        "runs in runs": deepest,
        "signals kept for steps that do not wait yet": MAX_SIGNALS,
        "`concurrency.max`": most_runs,
        "`max_parallel`": MAX_WINDOW,
        "problems listed of one definition": MAX_PROBLEMS,
    }
    table = bounds("Sizes")
    assert {name: table[name] for name in expected} == {name: f"{size:,}" for name, size in expected.items()}
    of_lists = f"{longest(StepDefinition, 'switch')}; {longest(DefinitionHead, 'on_failure')}"
    assert table["cases of a `switch`; steps of `on_failure`"] == of_lists


def test_bounds_of_expressions_are_those_of_the_code() -> None:
    longest_text = definition_schema()["$defs"]["WhileOptions"]["properties"]["condition"]["maxLength"]
    expected = {
        "characters": longest_text,
        "values it may be given when it goes through a list; with more, a local activity evaluates it": MAX_INLINE,
        "values it may be given when it has `map` or `filter`": MAX_COLLECTED,
        "items it goes through in all": CEL_ITERATIONS,
        "values it may give": MAX_RESULT,
        "characters it may give": MAX_RESULT_CHARACTERS,
    }
    table = bounds("Expressions")
    assert {name: table[name] for name in expected} == {name: f"{size:,}" for name, size in expected.items()}


def test_expression_goes_through_no_more_items_than_said() -> None:
    text = "items(input.list).exists(one, one == 1)"
    assert evaluate(text, "item", {"input": {"list": [0] * CEL_ITERATIONS}, "steps": {}, "item": None}) is False
    with pytest.raises(ExpressionFailedError, match="budget"):
        evaluate(text, "item", {"input": {"list": [0] * (CEL_ITERATIONS + 1)}, "steps": {}, "item": None})


FUNCTIONS = {
    "==": "1 == 1",
    "!=": "1 != 2",
    "<": "1 < 2",
    ">": "2 > 1",
    "&&": "true && true",
    "||": "false || true",
    "!": "!false",
    "?:": "true ? true : false",
    "in": "1 in [1]",
    "+": "1 + 1 == 2",
    "-": "1 - 1 == 0",
    "*": "2 * 2 == 4",
    "/": "7 / 2 == 3",
    "%": "7 % 2 == 1",
    "size": "size([1]) == 1",
    "has": "has(input.a)",
    "startsWith": '"ab".startsWith("a")',
    "endsWith": '"ab".endsWith("b")',
    "contains": '"ab".contains("a")',
    "matches": '"ab".matches("^a")',
    "int": 'int("1") == 1',
    "double": "double(1) == 1.0",
    "string": 'string(1) == "1"',
    "timestamp": 'timestamp("2026-01-31T12:00:00Z") == timestamp("2026-01-31T13:00:00+01:00")',
    "duration": 'duration("60s") == duration("1m")',
    "type": "type(1) == int",
    "exists": "[1].exists(x, x == 1)",
    "all": "[1].all(x, x == 1)",
    "exists_one": "[1].exists_one(x, x == 1)",
    "map": "[1].map(x, x + 1) == [2]",
    "filter": "[1, 2].filter(x, x > 1) == [2]",
    "sortedKeys(object)": 'sortedKeys(input) == ["a"]',
    "items(list)": "items([1]) == [1]",
}


def test_every_function_of_expressions_that_is_listed_works() -> None:
    listed = " ".join(section("Expressions").split()).partition("**What there is.**")[2].partition("A whole number")[0]
    assert set(re.findall(r"`([^`]+)`", listed)) == set(FUNCTIONS)
    for text in FUNCTIONS.values():
        assert evaluate(text, "item", {"input": {"a": 1}, "steps": {}, "item": None}) is True, text


def anchors() -> set[str]:
    titles = re.findall(r"^##+ (.*)$", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= anchors()
    files = {link.partition("#")[0] for link in links if not link.startswith(("#", "https://"))}
    assert "truth-table.md" in files
    assert {name for name in files if not (DOCS / name).is_file()} == set()


def test_contents_name_every_section() -> None:
    contents = PAGE.partition("```")[0]
    titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert re.findall(r"\[(.*?)\]\(#", contents) == titles


def test_run_object_is_what_the_api_answers() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", section("Runs"), re.DOTALL)
    run = Run.model_validate_json(example)
    assert from_json(run.model_dump_json(exclude_unset=True)) == from_json(run.model_dump_json())
    assert run.compensations
    assert any(step.detail for step in run.steps)


def test_every_status_of_runs_and_steps_is_explained() -> None:
    built_later = {RunStatus.PAUSED}
    text = section("How a run ends").lower().replace("timed out", "timed_out")
    for status in {*RunStatus, *StepStatus} - built_later:
        assert status.value in text
