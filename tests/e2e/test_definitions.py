"""Definitions that change and go while runs of them, and of what calls them, are under way."""

from typing import Any

from httpx2 import AsyncClient

from models.identity import Role
from tests.e2e.conftest import Platform, step
from tests.e2e.test_language import begin, ended, steps_of, until
from tests.e2e.test_runs import apply, execute

GO = {"id": "w", "wait": {"signal": "go"}}


def child(value: int) -> dict[str, Any]:
    return {
        "id": "child",
        "labels": {"kind": "child", "value": str(value)},
        "steps": [step("a", input={"value": value})],
        "output": {"n": "from:a.value"},
    }


def parent(*steps: dict[str, Any]) -> dict[str, Any]:
    calls: tuple[dict[str, Any], ...] = (
        {"id": "one", "workflow": {"id": "child"}, "depends_on": ["w"]},
        {"id": "two", "workflow": {"id": "child", "version": 1}, "depends_on": ["w"]},
    )
    return {"id": "parent", "steps": [GO, *calls, *steps], "output": ["from:one.n", "from:two.n"]}


async def test_a_run_goes_on_when_what_it_calls_changes_and_goes(admin: AsyncClient) -> None:
    await apply(admin, child(1))
    await apply(admin, child(2))
    await apply(admin, parent())
    run_id = await begin(admin, "parent")
    await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
    await apply(admin, {"id": "child", "steps": [step("other")]})
    assert (await admin.delete("/workflow/child")).status_code == 204
    graph = (await admin.get(f"/workflow/parent/graph?run={run_id}")).json()
    assert [node["version"] for node in graph["nodes"]] == [None, 2, 1]
    assert (await admin.post(f"/workflow/parent/executions/{run_id}/signals/go")).status_code == 202
    run = await until(admin, run_id, ended)
    assert (run["status"], run["output"]) == ("completed", [2, 1]), run["error"]
    gone = await admin.get(f"/runs/{steps_of(run)['one']['detail']['run_id']}")
    assert (gone.json()["version"], gone.json()["labels"]) == (2, {"kind": "child", "value": "2"})


async def test_a_new_version_of_what_is_called_is_taken_over_by_posting_again(admin: AsyncClient) -> None:
    caller = {"id": "caller", "steps": [{"id": "one", "workflow": {"id": "child"}}], "output": "from:one.n"}
    await apply(admin, child(1))
    await apply(admin, caller)
    await apply(admin, child(2))
    assert (await execute(admin, "caller"))["output"] == 1
    assert (await apply(admin, caller))["version"] == 2
    assert (await execute(admin, "caller"))["output"] == 2


async def test_an_admin_who_is_not_asked_is_told_who_is(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "asking", "steps": [{"id": "ok", "approval": {"roles": ["author"]}}]})
    run_id = await begin(admin, "asking")
    await until(admin, run_id, lambda run: steps_of(run)["ok"]["status"] == "waiting")
    path = f"/workflow/asking/executions/{run_id}/steps/ok/approve"
    refused = await admin.post(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "the role author" in refused.json()["detail"]
    author = await platform.client("ben", Role.AUTHOR)
    assert (await author.post(path)).status_code == 200
    assert (await until(admin, run_id, ended))["status"] == "completed"
