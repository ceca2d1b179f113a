"""What docs/workflows.md says is what the compiler does."""

import ast
import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel
from pydantic_core import from_json

from models import errors
from models.catalogue import CATALOGUE
from models.definition import (
    MAX_STEPS,
    MAX_WINDOW,
    NOT_YET_IN_DEFINITION,
    NOT_YET_IN_STEP,
    Definition,
    Limits,
    RetryOptions,
    StepDefinition,
    TimeoutOptions,
)
from models.documents import MAX_DEPTH, MAX_DIGITS, MAX_NODES, read_yaml
from models.errors import InvalidInputError
from models.runs import Run, RunStatus, StepStatus
from models.settings import CHECKOUT
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.findings import MAX_PROBLEMS
from workflows.dag.user_schemas import MAX_PARTS

PAGE = (CHECKOUT / "docs" / "workflows.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
RIGHT = [block for block in BLOCKS if not block.startswith("# refused\n")]
WRONG = [block for block in BLOCKS if block.startswith("# refused\n")]
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
COMPILER = [
    *sorted((CHECKOUT / "workflows" / "dag").glob("*.py")),
    CHECKOUT / "workflows" / "run_dag.py",
    CHECKOUT / "models" / "documents.py",
]


def section(title: str) -> str:
    _, _, rest = PAGE.partition(f"\n## {title}\n")
    assert rest, f"there is no section {title!r}"
    return rest.partition("\n## ")[0]


def codes_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", text))


def name_of(block: str) -> str:
    return re.findall(r"^id: (.*)$", block, re.MULTILINE)[0]


def problems_of(text: str) -> list[tuple[str, str]]:
    try:
        compiled = compile_definition(read_yaml(text.encode()), CATALOGUE)
    except InvalidInputError as error:
        return [(problem.code, problem.pointer) for problem in error.problems]
    found = compiled.warnings if isinstance(compiled, Compiled) else compiled
    return [(problem.code, problem.pointer) for problem in found]


@pytest.mark.parametrize("block", RIGHT, ids=name_of)
def test_example_compiles_without_problem_or_warning(block: str) -> None:
    assert problems_of(block) == []


@pytest.mark.parametrize("block", WRONG, ids=name_of)
def test_refused_example_has_exactly_the_problems_it_names(block: str) -> None:
    named = re.findall(r"^#   (\S+) +(\S+)$", block, re.MULTILINE)
    assert named
    assert sorted(problems_of(block)) == sorted(named)


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
            case ast.FunctionDef(args=arguments):
                names = [argument.arg for argument in arguments.args][-len(arguments.defaults) or None :]
                for name, default in zip(names, arguments.defaults, strict=False):
                    if name == "code" and isinstance(default, ast.Constant):
                        yield str(default.value)
            case _:
                pass


def test_every_code_of_compiler_and_engine_is_explained() -> None:
    written = {text for path in COMPILER for text in emitted(ast.parse(path.read_text())) if CODE.fullmatch(text)}
    assert {"cycle", "unreadable", "type-mismatch", "run-timeout"} <= written
    assert written <= codes_in(section("What is checked when you post"))


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


def written_names(model: type[BaseModel], *, without: tuple[str, ...]) -> set[str]:
    names = {field.alias or name for name, field in model.model_fields.items()}
    return names - set(without)


def test_tables_of_fields_name_all_that_run() -> None:
    definition, step = section("The file").split("| field of a step |")
    assert rows(definition) == written_names(Definition, without=NOT_YET_IN_DEFINITION)
    assert rows(step) == written_names(StepDefinition, without=NOT_YET_IN_STEP)


def rows(table: str) -> set[str]:
    firsts = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return {name for first in firsts for name in re.findall(r"`(\w+)`", first)}


@pytest.mark.parametrize(
    ("title", "options"), [("Retry", RetryOptions), ("Timeout", TimeoutOptions), ("Limits of a run", Limits)]
)
def test_tables_of_options_name_all_of_them(title: str, options: type[BaseModel]) -> None:
    assert rows(section(title)) == set(options.model_fields)


def test_sizes_are_those_of_the_code() -> None:
    table = dict(re.findall(r"^\| (.*?) \| (.*?) \|$", section("Sizes"), re.MULTILINE))
    expected = {
        "values in a document, aliases counted each time": MAX_NODES,
        "depth of a document": MAX_DEPTH,
        "digits of a number": MAX_DIGITS,
        "steps": MAX_STEPS,
        "parts of an input schema": MAX_PARTS,
        "`max_parallel`": MAX_WINDOW,
        "problems listed of one definition": MAX_PROBLEMS,
    }
    assert {name: table[name] for name in expected} == {name: f"{size:,}" for name, size in expected.items()}


def test_run_object_is_what_the_api_answers() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", section("Runs"), re.DOTALL)
    run = Run.model_validate_json(example)
    assert from_json(run.model_dump_json(exclude_unset=True)) == from_json(run.model_dump_json())


def test_every_status_of_runs_and_steps_is_explained() -> None:
    built_later = {RunStatus.PAUSED}
    text = section("How a run ends").lower().replace("timed out", "timed_out")
    for status in {*RunStatus, *StepStatus} - built_later:
        assert status.value in text
