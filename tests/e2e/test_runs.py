"""Runs over HTTP, on real servers."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient
from sqlalchemy import func, select, update
from temporalio.client import WorkflowExecutionStatus

from models.identity import Caller, Role
from models.persistence.tables import outbox, runs
from services.orchestration.runs import NewRun, open_run
from tests.e2e.conftest import Platform, step


async def apply(client: AsyncClient, definition: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post("/workflow", json=definition)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


async def execute(client: AsyncClient, workflow: str, run_input: Any = None, wait: int = 30) -> dict[str, Any]:
    answer = await client.post(f"/workflow/{workflow}/execute?wait={wait}", json={"input": run_input or {}})
    assert answer.status_code in {200, 202}, answer.text
    return answer.json()


async def test_definition_is_created_changed_listed_deleted_and_counted_on(admin: AsyncClient) -> None:
    definition = {"id": "greet", "name": "Greet", "steps": [step("a", input={"value": 1})]}
    first = await admin.post("/workflow", json=definition)
    assert (first.status_code, first.json()["version"]) == (201, 1)
    again = await admin.post("/workflow", json=dict(reversed(definition.items())))
    assert (again.status_code, again.json()["version"]) == (200, 1)
    changed = await admin.post("/workflow", json={**definition, "steps": [step("a", input={"value": 2})]})
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    assert [item["id"] for item in (await admin.get("/workflow")).json()["items"]] == ["greet"]
    assert [item["version"] for item in (await admin.get("/workflow/greet/versions")).json()["items"]] == [2, 1]
    assert (await admin.get("/workflow/greet")).json()["definition"]["steps"][0]["input"] == {"value": 2}
    run = await execute(admin, "greet")
    assert (await admin.delete("/workflow/greet")).status_code == 204
    assert (await admin.get("/workflow/greet")).status_code == 404
    assert (await admin.delete("/workflow/greet")).status_code == 404
    assert (await admin.get(f"/workflow/greet/executions/{run['run_id']}")).json()["status"] == "completed"
    assert (await apply(admin, definition))["version"] == 3


async def test_yaml_definition_is_accepted(admin: AsyncClient) -> None:
    text = "id: yaml\nsteps:\n  - {id: a, service: flow, action: echo, input: {value: on}}\noutput: from:a.value\n"
    answer = await admin.post("/workflow", content=text, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201, answer.text
    assert (await execute(admin, "yaml"))["output"] == "on"


async def test_five_problems_come_back_in_one_422(admin: AsyncClient) -> None:
    load = {"id": "load", "service": "context", "action": "load-repo", "input": {"path": "."}}
    definition = {
        "id": "wrong",
        "steps": [
            step("a", depends_on=["b"]),
            step("b", depends_on=["a"]),
            step("c"),
            step("c"),
            step("d", "eco"),
            load,
            step("e", input={"value": "from:load.comit"}),
            step("f", "sleep", input={"seconds": "from:load.commit"}),
        ],
    }
    answer = await admin.post("/workflow/validate", json=definition)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = {(problem["code"], problem["pointer"]) for problem in answer.json()["errors"]}
    assert found == {
        ("cycle", "/steps/0"),
        ("duplicate-step-id", "/steps/3/id"),
        ("unknown-action", "/steps/4/action"),
        ("unknown-path", "/steps/6/input/value"),
        ("type-mismatch", "/steps/7/input/seconds"),
    }


async def test_run_that_ends_in_time_answers_200_with_its_steps(admin: AsyncClient) -> None:
    await apply(admin, {"id": "two", "steps": [step("a", input={"value": "from:input.n"}), step("b", depends_on=["a"])],
                        "output": {"n": "from:a.value"}})  # fmt: skip
    answer = await admin.post("/workflow/two/execute?wait=30", json={"input": {"n": 3}, "labels": {"team": "x"}})
    assert answer.status_code == 200, answer.text
    run = answer.json()
    assert (run["status"], run["output"], run["error"], run["labels"]) == ("completed", {"n": 3}, None, {"team": "x"})
    assert [(s["id"], s["status"], s["attempts"], s["output"]) for s in run["steps"]] == [
        ("a", "succeeded", 1, {"value": 3}),
        ("b", "succeeded", 1, {"value": None}),
    ]
    assert run["ended_at"] > run["started_at"]


async def test_failed_run_answers_200_and_names_step_code_and_attempt(admin: AsyncClient) -> None:
    failing = step(
        "bad", "fail", input={"message": "no", "code": "unlucky"}, retry={"max_attempts": 2, "initial": 0.01}
    )
    await apply(admin, {"id": "failing", "steps": [failing, step("after", depends_on=["bad"])]})
    run = await execute(admin, "failing")
    assert run["status"] == "failed"
    assert run["error"] == {"step": "bad", "code": "unlucky", "message": "no", "attempt": 2}
    assert [(s["status"], s["reason"]) for s in run["steps"]] == [("failed", None), ("skipped", "upstream")]


async def test_step_that_fails_at_first_succeeds_in_the_end(admin: AsyncClient) -> None:
    flaky = step("flaky", "fail", input={"message": "no", "times": 2}, retry={"max_attempts": 5, "initial": 0.01})
    await apply(admin, {"id": "flaky", "steps": [flaky], "output": "from:flaky.attempt"})
    run = await execute(admin, "flaky")
    assert (run["status"], run["output"], run["steps"][0]["attempts"]) == ("completed", 3, 3)


async def test_continued_failure_counts_as_success_with_its_default(admin: AsyncClient) -> None:
    failing = step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, on_error="continue")
    after = step("after", input={"value": "from:bad.attempt ?? 0"})
    await apply(admin, {"id": "on", "steps": [failing, after], "output": "from:after.value"})
    run = await execute(admin, "on")
    assert (run["status"], run["output"]) == ("completed", 0)
    assert [s["status"] for s in run["steps"]] == ["failed", "succeeded"]


async def test_cancelled_run_ends_cancelled_with_its_steps(admin: AsyncClient) -> None:
    await apply(
        admin, {"id": "slow", "steps": [step("s", "sleep", input={"seconds": 600}), step("t", depends_on=["s"])]}
    )
    run = await execute(admin, "slow", wait=0)
    this = f"/workflow/slow/executions/{run['run_id']}"
    await until(admin, this, lambda shown: shown["steps"][0]["status"] == "running")
    assert (await admin.post(f"{this}/cancel")).status_code == 202
    ended = await until(admin, this, lambda shown: shown["status"] != "running")
    assert ended["status"] == "cancelled"
    assert [s["status"] for s in ended["steps"]] == ["cancelled", "cancelled"]
    assert (await admin.post(f"{this}/cancel")).status_code == 409


async def until(client: AsyncClient, path: str, holds: Any) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            shown = (await client.get(path)).json()
            if holds(shown):
                return shown
            await asyncio.sleep(0.1)


async def test_fifty_parallel_requests_with_one_key_make_one_run(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "once", "steps": [step("c", "count", input={"key": "from:input.key"})]})
    key, counter = str(uuid4()), f"once-{uuid4()}"

    async def post(body_key: str) -> Any:
        return await admin.post(
            "/workflow/once/execute", json={"input": {"key": body_key}}, headers={"Idempotency-Key": key}
        )

    answers = await asyncio.gather(*[post(counter) for _ in range(50)])
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 409}
    assert statuses[202] >= 1
    run_ids = {answer.json()["run_id"] for answer in answers if answer.status_code == 202}
    assert len(run_ids) == 1
    again = await post(counter)
    assert (again.status_code, again.json()["run_id"]) == (202, *run_ids)
    async with platform.database.connect() as connection:
        assert await connection.scalar(select(func.count()).where(runs.c.definition_id == "once")) == 1
    await until(admin, f"/runs/{again.json()['run_id']}", lambda shown: shown["status"] == "completed")
    assert (await admin.get(f"/flow/counters/{counter}")).json() == {"key": counter, "value": 1}
    other = await post("another")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_learner_may_not_create_and_does_not_see_others_runs(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "mine", "steps": [step("a")]})
    await apply(admin, {"id": "open", "access": {"execute": ["learner", "admin"]}, "steps": [step("a")]})
    others = await execute(admin, "open")
    async with await platform.client("ada", Role.LEARNER) as ada:
        assert (await ada.post("/workflow", json={"id": "x", "steps": [step("a")]})).status_code == 403
        assert (await ada.post("/workflow/mine/execute", json={})).status_code == 404
        hidden = await ada.get(f"/workflow/open/executions/{others['run_id']}")
        missing = await ada.get(f"/workflow/open/executions/{uuid4()}")
        assert hidden.status_code == missing.status_code == 404
        assert hidden.content == missing.content
        own = await execute(ada, "open")
        assert (own["status"], own["user_id"]) == ("completed", "ada")
        assert [run["run_id"] for run in (await ada.get("/workflow/open/executions")).json()["items"]] == [
            own["run_id"]
        ]
    assert len((await admin.get("/workflow/open/executions")).json()["items"]) == 2


async def test_input_that_does_not_fit_is_refused_before_anything_runs(admin: AsyncClient) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    await apply(admin, {"id": "typed", "input": schema, "steps": [step("a", input={"value": "from:input.n"})]})
    answer = await admin.post("/workflow/typed/execute", json={"input": {"m": 1}})
    assert answer.status_code == 422
    assert {(p["code"], p["pointer"]) for p in answer.json()["errors"]} == {
        ("missing-field", "/input/n"),
        ("unknown-field", "/input/m"),
    }
    assert (await admin.get("/workflow/typed/executions")).json()["items"] == []


async def test_action_runs_by_itself(admin: AsyncClient) -> None:
    answer = await admin.post("/actions/flow.echo/execute?wait=30", json={"input": {"value": [1, 2]}})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["output"]) == ("completed", {"value": [1, 2]})
    assert (await admin.post("/actions/flow.nope/execute", json={})).status_code == 404
    assert (await admin.post("/actions/flow.sleep/execute", json={"input": {"seconds": "x"}})).status_code == 422


async def test_large_output_is_referred_to_and_read_at_its_own_address(admin: AsyncClient) -> None:
    await apply(admin, {"id": "large", "steps": [step("a", input={"value": "from:input"})], "output": "from:a"})
    text = "x" * 200_000
    run = await execute(admin, "large", {"text": text})
    assert set(run["steps"][0]["output"]) == {"ref", "bytes"}
    this = f"/workflow/large/executions/{run['run_id']}"
    assert (await admin.get(f"{this}/steps/a/output")).json() == {"value": {"text": text}}
    assert run["output"] == {
        "ref": f"/api/v1{this}/output",
        "bytes": len(json.dumps({"value": {"text": text}}, separators=(",", ":"))),
    }
    assert (await admin.get(f"{this}/output")).json() == {"value": {"text": text}}
    assert (await admin.get(f"{this}/steps/b/output")).status_code == 404


async def test_progress_is_streamed_and_resumes_behind_the_last_event(admin: AsyncClient) -> None:
    await apply(admin, {"id": "stream", "steps": [step("a"), step("b", depends_on=["a"])]})
    run = await execute(admin, "stream")
    path = f"/workflow/stream/executions/{run['run_id']}/events"
    whole = parse_events((await admin.get(path)).text)
    assert [(event["event"], event["data"].get("id")) for event in whole] == [
        ("run", None), ("step", "a"), ("step", "b"), ("end", None),
    ]  # fmt: skip
    rest = parse_events((await admin.get(path, headers={"Last-Event-ID": whole[1]["id"]})).text)
    assert [(event["event"], event["data"].get("id")) for event in rest] == [
        ("run", None),
        ("step", "b"),
        ("end", None),
    ]
    assert rest[-1]["data"]["status"] == "completed"
    assert (await admin.get(f"/workflow/stream/executions/{uuid4()}/events")).status_code == 404


def parse_events(text: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for block in text.replace("\r\n", "\n").strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def test_graph_shows_the_dag_and_the_states_of_a_run(admin: AsyncClient) -> None:
    nasty = 'a"] --> b; click a "javascript:alert(1)" <script>'
    await apply(admin, {"id": "graph", "steps": [step("a", description=nasty), step("b", depends_on=["a"])]})
    run = await execute(admin, "graph")
    graph = (await admin.get(f"/workflow/graph/graph?format=json&run={run['run_id']}")).json()
    assert [(node["id"], node["status"]) for node in graph["nodes"]] == [("a", "succeeded"), ("b", "succeeded")]
    assert [(edge["source"], edge["target"], edge["kind"]) for edge in graph["edges"]] == [("a", "b", "order")]
    drawing = await admin.get("/workflow/graph/graph?format=svg")
    assert drawing.headers["content-type"].startswith("image/svg+xml")
    assert "<script>" not in drawing.text
    mermaid = (await admin.get("/workflow/graph/graph?format=mermaid")).text
    assert mermaid.startswith("flowchart")
    assert "javascript:" not in mermaid


async def test_terminated_run_is_recorded_when_looked_at(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "ended", "steps": [step("s", "sleep", input={"seconds": 600})]})
    run = await execute(admin, "ended", wait=0)
    await until(admin, f"/runs/{run['run_id']}", lambda shown: shown["status"] == "running")
    handle = platform.temporal.get_workflow_handle(run["run_id"])
    await handle.terminate()
    shown = (await admin.get(f"/runs/{run['run_id']}")).json()
    assert (shown["status"], shown["steps"][0]["status"]) == ("terminated", "cancelled")
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED


async def test_events_of_a_run_have_no_gaps_and_one_end(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "wide", "steps": [step(f"s{n}", input={"value": n}) for n in range(30)]})
    run = await execute(admin, "wide")
    assert run["status"] == "completed"
    async with platform.database.connect() as connection:
        rows = (
            await connection.execute(
                select(outbox).where(outbox.c.subject == f"run/{run['run_id']}").order_by(outbox.c.sequence)
            )
        ).all()
    assert [row.sequence for row in rows] == list(range(1, 33))
    kinds = Counter(row.type for row in rows)
    assert kinds == {
        "orchestration.workflow-started": 1,
        "orchestration.step-completed": 30,
        "orchestration.workflow-completed": 1,
    }


async def test_run_that_never_reached_temporal_is_started_by_reconciliation(
    admin: AsyncClient, platform: Platform
) -> None:
    counter = f"late-{uuid4()}"
    await apply(admin, {"id": "late", "steps": [step("c", "count", input={"key": counter})]})
    accepted = NewRun("late-run", "late", 1, Caller(user_id="root", role=Role.ADMIN), "api", {}, {})
    async with platform.database.begin() as connection:
        await open_run(connection, accepted)
        await connection.execute(update(runs).values(started_at=func.now() - timedelta(minutes=1)))
    assert (await admin.get("/runs/late-run")).json()["status"] == "queued"
    for _ in range(2):
        reconciled = await admin.post("/actions/orchestration.reconcile-runs/execute?wait=30")
        assert reconciled.json()["status"] == "completed", reconciled.text
    await until(admin, "/runs/late-run", lambda shown: shown["status"] == "completed")
    assert (await admin.get(f"/flow/counters/{counter}")).json()["value"] == 1


async def test_cancelled_before_it_reached_temporal_it_never_runs(admin: AsyncClient, platform: Platform) -> None:
    await apply(admin, {"id": "never", "steps": [step("a")]})
    accepted = NewRun("never-run", "never", 1, Caller(user_id="root", role=Role.ADMIN), "api", {}, {})
    async with platform.database.begin() as connection:
        await open_run(connection, accepted)
    cancelled = await admin.post("/workflow/never/executions/never-run/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (202, "cancelled")
    reconciled = await admin.post("/actions/orchestration.reconcile-runs/execute?wait=30")
    assert reconciled.json()["output"]["started"] == 0


async def test_catalogue_lists_every_action_with_its_schemas(admin: AsyncClient) -> None:
    items = {item["type"]: item for item in (await admin.get("/actions")).json()["items"]}
    assert {"context.load-repo", "context.analyze", "analytics.generate-report", "flow.count"} <= set(items)
    assert items["flow.sleep"]["input_schema"]["required"] == ["seconds"]
    assert items["flow.fail"]["retry"]["max_attempts"] == 3


async def test_workflow_schema_is_published(admin: AsyncClient) -> None:
    schema = (await admin.get("/schemas/workflow.json")).json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) == {"id", "steps"}
