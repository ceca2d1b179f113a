"""Registering services that others provide."""

from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.platform import save_platform_definitions
from models.catalogue import SERVICES
from tests.api.clients import problem

PATH = "/api/v1/services"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


@pytest.fixture(autouse=True)
async def _platform_definitions(database: AsyncEngine) -> None:
    await save_platform_definitions(database)


def service(name: str = "words", queue: str = "words", actions: dict[str, Any] | None = None) -> dict[str, Any]:
    listed = [{"name": action, **rest} for action, rest in (actions or {"count": {"input_schema": TEXT}}).items()]
    return {"name": name, "task_queue": queue, "actions": listed}


async def refused(admin: AsyncClient, body: dict[str, Any]) -> list[tuple[str, str]]:
    found = problem(await admin.post(PATH, json=body), 422, "invalid-input")
    return [(error["pointer"], error["code"]) for error in found["errors"]]


async def test_a_service_is_added_changed_listed_and_audited(admin: AsyncClient) -> None:
    added = await admin.post(PATH, json=service())
    assert added.status_code == 201
    assert (added.json()["name"], added.json()["owner_id"]) == ("words", "root")
    changed = await admin.post(PATH, json=service(queue="others", actions={"count": {"summary": "Counts."}}))
    assert changed.status_code == 200
    assert changed.json()["created_at"] == added.json()["created_at"]
    assert changed.json()["updated_at"] > added.json()["updated_at"]
    assert (await admin.get(PATH)).json() == {"items": [changed.json()], "next_cursor": None}
    infos = (await admin.get("/api/v1/actions")).json()["items"]
    assert [(info["type"], info["task_queue"], info["summary"]) for info in infos if info["service"] == "words"] == [
        ("words.count", "others", "Counts.")
    ]
    assert (await admin.delete(f"{PATH}/words")).status_code == 204
    problem(await admin.delete(f"{PATH}/words"), 404, "not-found")
    assert (await admin.get(PATH)).json()["items"] == []
    audit = (await admin.get("/api/v1/audit", params={"target": "service/words"})).json()["items"]
    assert [(entry["action"], entry["actor_id"]) for entry in audit] == [
        ("service.delete", "root"),
        ("service.change", "root"),
        ("service.create", "root"),
    ]


async def test_only_admins_change_services_and_everybody_reads_them(admin: AsyncClient, learner: AsyncClient) -> None:
    await admin.post(PATH, json=service())
    problem(await learner.post(PATH, json=service("mine", "mine")), 403, "forbidden")
    problem(await learner.delete(f"{PATH}/words"), 403, "forbidden")
    assert [item["name"] for item in (await learner.get(PATH)).json()["items"]] == ["words"]


@pytest.mark.parametrize("name", [*SERVICES, "flow", "tooloo", "tooloo-words"])
async def test_names_and_queues_of_our_own_are_refused(admin: AsyncClient, name: str) -> None:
    assert ("/name", "reserved-id") in await refused(admin, service(name=name))
    if name in SERVICES:
        assert await refused(admin, service(queue=name)) == [("/task_queue", "reserved-id")]


async def test_all_that_is_wrong_comes_back_at_once(admin: AsyncClient) -> None:
    body = service("flow", "context")
    body["actions"] = [
        {"name": "a", "input_schema": {"type": "text"}},
        {"name": "b", "result_schema": {"properties": {"x": {"$ref": "#/$defs/nowhere"}}}},
        {"name": "a", "input_schema": {"pattern": "(?=x)"}},
        {"name": "c", "result_schema": {"$ref": "#"}},
    ]
    assert await refused(admin, body) == [
        ("/name", "reserved-id"),
        ("/task_queue", "reserved-id"),
        ("/actions/2/name", "duplicate-action"),
        ("/actions/0/input_schema/type", "type-mismatch"),
        ("/actions/1/result_schema/properties/x/$ref", "unknown-path"),
        ("/actions/2/input_schema/pattern", "bad-expression"),
        ("/actions/3/result_schema", "cycle"),
    ]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": "Two Words"}, "/name"),
        ({"task_queue": "/_sys/words"}, "/task_queue"),
        ({"actions": []}, "/actions"),
        ({"actions": [{"name": "a", "timeout": {"start_to_close": "soon"}}]}, "/actions/0/timeout/start_to_close"),
        ({"actions": [{"name": "a", "input_schema": 7}]}, "/actions/0/input_schema"),
        ({"actions": [{"name": "a", "colour": "red"}]}, "/actions/0/colour"),
        ({"actions": [{"name": "a", "input_schema": {"title": "x\x00"}}]}, ""),
    ],
)
async def test_what_is_no_service_is_refused(admin: AsyncClient, change: dict[str, Any], pointer: str) -> None:
    assert [place for place, _ in await refused(admin, {**service(), **change})] == [pointer]


async def test_an_action_that_could_not_run_by_itself_is_refused(admin: AsyncClient) -> None:
    assert await refused(admin, service(actions={"input": {}, "count": {}})) == [("/actions/0/name", "reserved-id")]
    assert await refused(admin, service("s" * 40, actions={"a" * 40: {}})) == [("/actions/0/name", "type-mismatch")]


async def test_no_action_takes_the_place_of_another_whose_name_reads_the_same(admin: AsyncClient) -> None:
    assert await refused(admin, service("context-load", actions={"repo": {}})) == [
        ("/actions/0/name", "duplicate-action")
    ]
    assert (await admin.post(PATH, json=service("a-b", actions={"c": {}}))).status_code == 201
    assert await refused(admin, service("a", actions={"b-c": {}})) == [("/actions/0/name", "duplicate-action")]
    assert (await admin.post(PATH, json=service("a-b", actions={"c": {}}))).status_code == 200


async def test_a_service_stays_while_a_workflow_uses_it(admin: AsyncClient) -> None:
    await admin.post(PATH, json=service())
    call = {"service": "words", "action": "count", "input": {"text": "x"}}
    step = {"id": "a", **call}
    plain = {"id": "b", "service": "flow", "action": "echo", "input": {"value": {"service": "words"}}}
    for definition in (
        {"steps": [step]},
        {"steps": [{**plain, "compensate": call}]},
        {"steps": [plain], "on_failure": [step]},
    ):
        assert (await admin.post("/api/v1/workflow", json={"id": "uses-it", **definition})).is_success
        assert "uses-it" in problem(await admin.delete(f"{PATH}/words"), 409, "in-use")["detail"]
    only_data = {"id": "names-it", "steps": [plain], "output": {"service": "words"}}
    assert (await admin.post("/api/v1/workflow", json=only_data)).is_success
    await admin.delete("/api/v1/workflow/uses-it")
    assert (await admin.delete(f"{PATH}/words")).status_code == 204
    found = problem(
        await admin.post("/api/v1/workflow", json={"id": "uses-it", "steps": [step]}), 422, "invalid-definition"
    )
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [("/steps/0/service", "unknown-service")]
    problem(await admin.post("/api/v1/actions/words.count/execute", json={"input": {"text": "x"}}), 404, "not-found")


async def test_a_workflow_that_no_longer_fits_is_not_started(admin: AsyncClient) -> None:
    await admin.post(PATH, json=service())
    step = {"id": "a", "service": "words", "action": "count", "input": {"text": "x"}}
    assert (await admin.post("/api/v1/workflow", json={"id": "uses-it", "steps": [step]})).status_code == 201
    numbers = {"type": "object", "properties": {"text": {"type": "integer"}}}
    await admin.post(PATH, json=service(actions={"count": {"input_schema": numbers}}))
    problem(await admin.post("/api/v1/workflow/uses-it/execute", json={}), 409, "outdated")


async def test_an_action_stays_while_a_workflow_uses_it(admin: AsyncClient) -> None:
    both = service(actions={"count": {}, "slug": {}})
    await admin.post(PATH, json=both)
    call = {"service": "words", "action": "slug"}
    alone = {"id": "a", "workflow": {"id": "tooloo-words-slug"}}
    for step in ({"id": "a", **call}, {"id": "a", "service": "flow", "action": "echo", "compensate": call}, alone):
        assert (await admin.post("/api/v1/workflow", json={"id": "uses-it", "steps": [step]})).is_success, step
        assert "uses-it" in problem(await admin.post(PATH, json=service()), 409, "in-use")["detail"]
        assert (await admin.post(PATH, json=service(actions={"slug": {}}))).status_code == 200
        assert (await admin.post(PATH, json=both)).status_code == 200
    await admin.delete("/api/v1/workflow/uses-it")
    assert (await admin.post(PATH, json=service())).status_code == 200


async def test_the_definition_of_an_action_goes_and_comes_with_it(admin: AsyncClient) -> None:
    async def there() -> list[bool]:
        names = ("tooloo-words-count", "tooloo-words-slug")
        return [(await admin.get(f"/api/v1/workflow/{name}")).is_success for name in names]

    await admin.post(PATH, json=service(actions={"count": {}, "slug": {}}))
    assert await there() == [True, True]
    await admin.post(PATH, json=service())
    assert await there() == [True, False]
    await admin.post(PATH, json=service(actions={"slug": {}}))
    assert await there() == [False, True]
    assert (await admin.delete(f"{PATH}/words")).status_code == 204
    assert await there() == [False, False]
    assert (await admin.post(PATH, json=service())).status_code == 201
    assert await there() == [True, False]
