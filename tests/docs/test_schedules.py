"""What docs/schedules.md says is what the API does."""

import re
from typing import Any, get_args

import pytest
from fastapi.routing import APIRoute
from httpx2 import AsyncClient
from pydantic_core import from_json
from ruamel.yaml import YAML

from api.routers import tasks
from cli.commands.schedule import app
from models.schedules import FORMS, Overlap, Policy
from models.settings import CHECKOUT
from models.tasks import TaskOutcome
from tests.docs.test_context import agrees
from tests.e2e.conftest import Platform, admin, platform, step

__all__ = ["admin", "platform"]

PAGE = (CHECKOUT / "docs" / "schedules.md").read_text()
EXAMPLES = [block for block in map(from_json, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)) if "request" in block]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example['request']} {example['status']}")
async def test_examples(example: dict[str, Any], platform: Platform, admin: AsyncClient) -> None:
    assert (await admin.post("/workflow", json={"id": "hello", "steps": [step("a", input={"value": 1})]})).is_success
    method, path = example["request"].split(" ", 1)
    answer = await admin.request(method, path, json=example["body"])
    assert answer.status_code == example["status"], answer.text
    assert agrees(example["gives"], answer.json()), answer.text
    if answer.status_code == 201:
        assert (await admin.delete(f"/task/{answer.json()['id']}")).status_code == 204


async def test_the_file_of_the_command_line_is_a_task(platform: Platform, admin: AsyncClient) -> None:
    del platform
    assert (await admin.post("/workflow", json={"id": "hello", "steps": [step("a", input={"value": 1})]})).is_success
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    answer = await admin.post("/task/schedule", json=YAML(typ="safe").load(text))
    assert answer.status_code == 201, answer.text
    assert (await admin.delete(f"/task/{answer.json()['id']}")).status_code == 204


def test_every_command_is_one() -> None:
    shown = set(re.findall(r"^\./tooloo schedule ([a-z-]+)", PAGE, re.MULTILINE))
    assert shown <= {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }


def test_every_route_form_and_word_is_named() -> None:
    there = {
        f"{method} {route.path.removeprefix('/api/v1').replace('task_id', 'id')}"
        for route in tasks.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert set(re.findall(r"((?:GET|PUT|POST|DELETE) /task/[^`\s\"]*)", PAGE)) == there
    forms = PAGE.partition("| `type` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", forms, re.MULTILINE)) == FORMS.keys() - {"custom"}
    policy = PAGE.partition("| `policy` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", policy, re.MULTILINE)) == Policy.model_fields.keys()
    assert all(f"`{word}`" in PAGE for word in (*get_args(Overlap), *get_args(TaskOutcome)))
