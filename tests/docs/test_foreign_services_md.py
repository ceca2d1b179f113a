"""What docs/foreign-services.md shows is what TooLoo does."""

import re
from dataclasses import asdict
from typing import Any

import pytest
from pydantic_core import from_json

from api.health import SEEN_WITHIN, ServiceHealth
from models.catalogue import CATALOGUE
from models.documents import read_yaml
from models.services import SCHEDULE_TO_START, NewService, actions_of
from models.settings import CHECKOUT
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.user_schemas import check_schema

PAGE = (CHECKOUT / "docs" / "foreign-services.md").read_text()
EXAMPLE = CHECKOUT / "examples" / "foreign-worker"
SERVICE, HEALTH = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
RIGHT, WRONG = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def compiled(service: str, definition: str) -> Compiled | list[Any]:
    actions = actions_of(NewService.model_validate_json(service))
    known = {**CATALOGUE, **{action.type: action for action in actions}}
    return compile_definition(read_yaml(definition.encode()), known)


@pytest.mark.parametrize("service", [SERVICE, (EXAMPLE / "service.json").read_text()], ids=["page", "example"])
def test_service_can_be_registered(service: str) -> None:
    for action in actions_of(NewService.model_validate_json(service)):
        assert check_schema(action.input_schema, "") == []
        assert check_schema(action.result_schema, "") == []


@pytest.mark.parametrize(
    ("service", "definition"),
    [(SERVICE, RIGHT), ((EXAMPLE / "service.json").read_text(), (EXAMPLE / "words.yaml").read_text())],
    ids=["page", "example"],
)
def test_workflow_compiles_without_problem_or_warning(service: str, definition: str) -> None:
    found = compiled(service, definition)
    assert isinstance(found, Compiled), found
    assert not found.warnings


def test_refused_workflow_has_exactly_the_problems_it_names() -> None:
    found = compiled(SERVICE, WRONG)
    assert isinstance(found, list)
    named = re.findall(r"^#   (\S+) +(\S+)$", WRONG, re.MULTILINE)
    assert sorted((problem.pointer, problem.code) for problem in found) == sorted(named)


def test_time_outs_are_those_of_the_code() -> None:
    (action,) = actions_of(NewService.model_validate({"name": "a", "task_queue": "a", "actions": [{"name": "b"}]}))
    table = dict(re.findall(r"^\| `(\w+)` \| .* \| (none|\d+ s) \|$", PAGE.partition("## Time-outs")[2], re.MULTILINE))
    told = {name: None if value == "none" else float(value.removesuffix(" s")) for name, value in table.items()}
    assert told == asdict(action.timeout)
    assert told["schedule_to_start"] == SCHEDULE_TO_START


def test_health_is_what_the_api_answers() -> None:
    assert from_json(ServiceHealth.model_validate_json(HEALTH).model_dump_json()) == from_json(HEALTH)
    assert f"the last {SEEN_WITHIN.total_seconds():g} seconds" in PAGE


def test_variables_of_the_example_are_those_it_reads() -> None:
    told = set(re.findall(r"TOOLOO_\w+", (EXAMPLE / "README.md").read_text()))
    assert told == set(re.findall(r"TOOLOO_\w+", (EXAMPLE / "main.go").read_text()))
