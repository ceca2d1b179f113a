"""Definitions that name other workflows and foreign actions, as they are posted and as they become outdated."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.platform import save_platform_definitions
from models.documents import read_yaml
from models.identity import Role
from models.settings import CHECKOUT
from models.workflows import StoredDefinition
from tests.api.clients import problem
from workflows import compiled
from workflows.compiled import CompiledDefinitions

PATH = "/api/v1/workflow"
NUMBERS = {"type": "object", "properties": {"text": {"type": "integer"}}, "required": ["text"]}


def echo(step_id: str, value: Any = 1, **rest: Any) -> dict[str, Any]:
    return {"id": step_id, "service": "flow", "action": "echo", "input": {"value": value}, **rest}


def call(step_id: str, workflow: str, version: int | None = None, **rest: Any) -> dict[str, Any]:
    return {"id": step_id, "workflow": {"id": workflow} | ({"version": version} if version else {}), **rest}


async def post(client: AsyncClient, workflow: str, *steps: dict[str, Any], **rest: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"id": workflow, "steps": steps, **rest})
    assert answer.is_success, answer.text
    return answer.json()


async def refused(client: AsyncClient, *steps: dict[str, Any], path: str = PATH) -> list[tuple[str, str]]:
    found = problem(await client.post(path, json={"id": "refused", "steps": steps}), 422, "invalid-definition")
    return [(error["pointer"], error["code"]) for error in found["errors"]]


async def register(client: AsyncClient, schema: dict[str, Any] | None = None) -> None:
    actions = [{"name": "count", "input_schema": schema or {}}]
    body = {"name": "words", "task_queue": "words", "actions": actions}
    assert (await client.post("/api/v1/services", json=body)).is_success


@pytest.fixture
async def outdated(admin: AsyncClient, database: AsyncEngine) -> str:
    """A workflow whose action has changed."""
    await save_platform_definitions(database)
    await register(admin)
    count = {"id": "a", "service": "words", "action": "count", "input": {"text": "x"}}
    await post(admin, "old", count)
    await register(admin, NUMBERS)
    return "old"


async def test_a_version_keeps_the_versions_it_was_posted_with(admin: AsyncClient) -> None:
    await post(admin, "child", echo("a"))
    first = await post(admin, "parent", call("c", "child"))
    assert await post(admin, "parent", call("c", "child")) == first
    assert (await post(admin, "parent", call("c", "child", 1)))["version"] == 1  # which means the same
    await post(admin, "child", echo("a", 2))
    graph = (await admin.get(f"{PATH}/parent/graph")).json()
    assert (graph["version"], graph["nodes"][0]["version"]) == (1, 1)
    again = await post(admin, "parent", call("c", "child"))
    assert (again["version"], again["hash"] == first["hash"]) == (2, False)
    assert (await admin.get(f"{PATH}/parent/graph")).json()["nodes"][0]["version"] == 2
    assert await post(admin, "parent", call("c", "child", 2)) == again


async def test_what_a_version_calls_may_be_deleted(admin: AsyncClient) -> None:
    await post(admin, "child", echo("a"), output={"n": "from:a.value"})
    await post(admin, "parent", call("c", "child"), output="from:c.n")
    assert (await admin.delete(f"{PATH}/child")).status_code == 204
    assert (await admin.get(f"{PATH}/parent/graph")).status_code == 200
    assert (await admin.get(f"{PATH}/parent")).json()["output_schema"] != {}
    by_version = await refused(admin, call("a", "child"), call("b", "child", 1), call("c", "child", 7))
    assert by_version == [(f"/steps/{index}/workflow/id", "unknown-workflow") for index in range(3)]


@pytest.mark.parametrize("path", [PATH, f"{PATH}/validate"])
async def test_an_outdated_call_is_one_problem_among_others(admin: AsyncClient, outdated: str, path: str) -> None:
    steps = (echo("a", "from:b.value"), call("c", outdated), call("d", outdated, 1), call("e", "nobody"))
    assert sorted(await refused(admin, *steps, path=path)) == [
        ("/steps/0/input/value", "unknown-step"),
        ("/steps/1/workflow", "outdated"),
        ("/steps/2/workflow", "outdated"),
        ("/steps/3/workflow/id", "unknown-workflow"),
    ]


async def test_workflows_in_workflows_have_a_limit(admin: AsyncClient) -> None:
    await post(admin, "w0", echo("a"))
    for depth in range(1, 17):
        await post(admin, f"w{depth}", call("a", f"w{depth - 1}"))
    assert await refused(admin, call("a", "w16"), call("b", "w15")) == [("/steps/0/workflow", "too-deep")]


async def test_each_version_is_compiled_once_however_often_it_is_called(
    admin: AsyncClient, database: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await save_platform_definitions(database)
    await register(admin)
    await post(admin, "w0", {"id": "a", "service": "words", "action": "count"})  # so that nothing of it is kept
    for depth in range(1, 8):
        await post(admin, f"w{depth}", call("a", f"w{depth - 1}"), call("b", f"w{depth - 1}", 1))
    compiles = 0

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal compiles
        compiles += 1
        return compile_definition(*arguments, **options)

    compile_definition = compiled.compile_definition
    monkeypatch.setattr(compiled, "compile_definition", counted)
    answer = await admin.post(f"{PATH}/validate", json={"id": "top", "steps": [call("a", "w7"), call("b", "w7", 1)]})
    assert (answer.status_code, compiles) == (200, 9)


async def test_who_may_not_run_a_workflow_does_not_learn_that_it_is_outdated(
    admin: AsyncClient, learner: AsyncClient, outdated: str
) -> None:
    for path, verb in (("execute", "POST"), ("executions", "GET")):
        missing = await learner.request(verb, f"{PATH}/missing/{path}")
        assert missing.status_code == 404
        assert (await learner.request(verb, f"{PATH}/{outdated}/{path}")).content == missing.content
    problem(await admin.post(f"{PATH}/{outdated}/execute"), 409, "outdated")
    assert (await admin.get(f"{PATH}/{outdated}/executions")).json()["items"] == []


async def test_an_outdated_workflow_can_be_looked_at(admin: AsyncClient, outdated: str) -> None:
    assert [node["id"] for node in (await admin.get(f"{PATH}/{outdated}/graph")).json()["nodes"]] == ["a"]
    assert (await admin.get(f"{PATH}/{outdated}")).json()["version"] == 1


async def test_definitions_of_the_platform_stay(admin: AsyncClient, database: AsyncEngine) -> None:
    await save_platform_definitions(database)
    problem(await admin.delete(f"{PATH}/tooloo-flow-echo"), 403, "forbidden")
    problem(await admin.delete(f"{PATH}/tooloo-flow-nothing"), 404, "not-found")
    assert (await admin.get(f"{PATH}/tooloo-flow-echo")).status_code == 200


class _Nothing:
    """Where no definitions and no actions are."""

    async def current(self, definition_id: str) -> None:
        return None

    async def version(self, definition_id: str, version: int) -> None:
        return None

    async def foreign_actions(self) -> list[Any]:
        return []


@pytest.mark.parametrize("path", [*CHECKOUT.glob("examples/**/*.yaml")], ids=lambda path: path.stem)
async def test_any_definition_can_be_looked_at_without_its_actions(path: Any) -> None:
    source = read_yaml(path.read_bytes())
    if not isinstance(source, dict) or "steps" not in source or any("workflow" in step for step in source["steps"]):
        pytest.skip("is no definition by itself")
    stored = StoredDefinition(source["id"], 1, "", source, "root", None, {})  # type: ignore[arg-type]
    outlined = await CompiledDefinitions(_Nothing()).outlined(stored)
    steps = [*source["steps"], *source.get("on_failure", ())]
    assert {node.id for node in outlined.plan.nodes} == {step["id"] for step in steps}
    assert Role.ADMIN in stored.roles
