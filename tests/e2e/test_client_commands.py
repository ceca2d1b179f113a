"""The command line against the whole platform, over a socket."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from httpx2 import AsyncClient
from temporalio.client import WorkflowFailureError
from typer.testing import CliRunner

from cli.__main__ import command_line
from models.identity import Role
from tests.e2e.conftest import Platform

DEFINITION = """\
id: greet
input:
  type: object
  required: [times]
  properties:
    times: {type: integer, maximum: 5}
steps:
  - {id: echo, service: flow, action: echo, input: {value: "from:input.times"}}
  - {id: again, service: flow, action: echo, input: {value: "from:echo.value"}}
output: {times: "from:again.value"}
"""
BROKEN = """\
id: broken
steps:
  - {id: a, service: flow, action: ecko}
  - {id: a, service: flow, action: echo}
  - {id: c, service: flow, action: echo, depends_on: [gone]}
"""
RELEASE = """\
id: release
input:
  type: object
  required: [names]
  properties: {names: {type: array, items: {type: string}}}
steps:
  - id: size
    switch: [{when: "size(input.names) > 2", value: big}, {value: small}]
  - {id: each, service: flow, action: echo, map: {items: "from:input.names", as: name}, input: {value: "from:name"}}
  - {id: extra, service: flow, action: echo, when: 'steps["size"] == "big"', input: {value: 1}}
  - id: go
    wait:
      signal: go
      schema: {type: object, required: [days], properties: {days: {type: integer}}}
      timeout: 1h
    depends_on: [each]
  - id: ask
    description: May we publish?
    approval:
      schema: {type: object, required: [note], properties: {note: {type: string}}}
      timeout: 1h
    depends_on: [go]
  - id: publish
    service: flow
    action: echo
    join: none_failed
    depends_on: [extra]
    input: {value: ["from:go.days", "from:ask.by", "from:ask.comment", "from:ask.data.note", "from:size"]}
output: "from:publish.value"
"""
SAGA = """\
id: saga
steps:
  - id: book
    service: flow
    action: count
    input: {key: booked}
    compensate: {service: flow, action: count, input: {key: booked, by: -1}}
  - {id: ask, approval: {roles: [learner]}, depends_on: [book]}
on_failure:
  - {id: tell, service: flow, action: echo, input: {value: "from:error.code"}}
"""


class _Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@pytest.fixture
async def address(platform: Platform) -> AsyncIterator[str]:
    config = uvicorn.Config(platform.app, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = _Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture(autouse=True)
async def _as_admin(platform: Platform, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLOO_URL", address)
    monkeypatch.setenv("TOOLOO_KEY", await _key(platform, Role.ADMIN))


async def _key(platform: Platform, role: Role, user_id: str | None = None) -> str:
    async with await platform.client(user_id or role.value, role) as client:
        return client.headers["authorization"].removeprefix("Bearer ")


async def tooloo(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr; in a thread, because the platform answers in this one."""
    result = await asyncio.to_thread(CliRunner().invoke, command_line(), list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


async def document(*arguments: str) -> tuple[int, Any]:
    code, out, err = await tooloo(*arguments, "--json")
    assert not err
    return code, json.loads(out)


@pytest.fixture
async def greet(tmp_path: Path) -> None:
    file = tmp_path / "greet.yaml"
    file.write_text(DEFINITION)
    assert await tooloo("validate", str(file)) == (
        0,
        f"{file} is valid.\n   1  echo\n   2  again\ncritical path: echo → again\n",
        "",
    )
    assert (await tooloo("apply", str(file)))[1] == "greet version 1 applied\n"
    assert (await tooloo("apply", str(file)))[1] == "greet version 1 unchanged\n"


async def test_run_is_followed_found_and_shown(greet: None) -> None:
    code, out, _ = await tooloo("run", "greet", "--input", "times=3", "--label", "team=a", "--wait")
    assert code == 0
    assert "✓  echo  succeeded" in out
    assert "✓  again  succeeded" in out
    code, found = await document("runs", "greet", "--status", "completed")
    assert code == 0
    (run,) = found["items"]
    assert (run["output"], run["labels"]) == ({"times": 3}, {"team": "a"})
    code, shown = await document("show", run["run_id"])
    assert [step["status"] for step in shown["steps"]] == ["succeeded", "succeeded"]
    code, out, _ = await tooloo("show", run["run_id"])
    assert code == 0
    assert "greet (version 1) completed" in out
    assert (await tooloo("cancel", run["run_id"]))[0] == 1


async def test_problems_of_a_definition_are_placed_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(BROKEN)
    code, _, err = await tooloo("apply", str(file))
    assert code == 6
    places = {line.split("  ")[1]: line.split("  ")[0] for line in err.splitlines()[1:]}
    assert places["unknown-action"].startswith(f"{file}:3:")
    assert places["duplicate-step-id"].startswith(f"{file}:4:")
    assert places["unknown-step"].startswith(f"{file}:5:")


async def test_input_that_does_not_fit_is_refused(greet: None) -> None:
    code, problem = await document("run", "greet", "--input", "times=many")
    assert code == 6
    assert problem["errors"][0]["pointer"] == "/input/times"


async def test_what_is_not_there_ends_3_and_what_is_not_allowed_4(
    platform: Platform, greet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await tooloo("run", "gone"))[0] == 3
    assert (await tooloo("show", "gone"))[0] == 3
    monkeypatch.setenv("TOOLOO_KEY", await _key(platform, Role.LEARNER))
    assert (await tooloo("keys", "list"))[0] == 4
    assert (await tooloo("run", "greet", "--input", "times:=1"))[0] == 3
    monkeypatch.setenv("TOOLOO_KEY", "tl_nobody")
    code, _, err = await tooloo("runs")
    assert code == 4
    assert "TOOLOO_KEY" in err


async def test_action_runs_by_itself(platform: Platform) -> None:
    code, run = await document("action", "flow.echo", "--input", 'value:={"a":[1]}')
    assert (code, run["output"]) == (0, {"value": {"a": [1]}})
    code, run = await document("action", "flow.sleep", "--input", "seconds=3")
    assert (code, run["output"]) == (0, {"seconds": 3})
    code, out, _ = await tooloo("action", "flow.fail", "--input", "message=broken", "--input", "code=my-code")
    assert code == 1
    assert "my-code: broken" in out


async def test_run_that_is_cancelled_while_it_is_followed_ends_1(
    platform: Platform, admin: AsyncClient, tmp_path: Path
) -> None:
    file = tmp_path / "sleep.yaml"
    file.write_text("id: sleep\nsteps:\n  - {id: a, service: flow, action: sleep, input: {seconds: 600}}\n")
    assert (await tooloo("apply", str(file)))[0] == 0
    following = asyncio.create_task(tooloo("run", "sleep", "--wait"))
    while not (await admin.get("/runs?status=running&workflow=sleep")).json()["items"]:
        assert not following.done()
    (run,) = (await admin.get("/runs?workflow=sleep")).json()["items"]
    assert (await admin.post(f"/workflow/sleep/executions/{run['run_id']}/cancel")).status_code == 202
    code, out, _ = await following
    assert code == 1
    assert "⊘  a  cancelled" in out
    assert "sleep (version 1) cancelled after" in out


async def test_run_is_cancelled_by_its_id_alone(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "sleep.yaml"
    file.write_text("id: sleep\nsteps:\n  - {id: a, service: flow, action: sleep, input: {seconds: 600}}\n")
    assert (await tooloo("apply", str(file)))[0] == 0
    run_id = (await document("run", "sleep"))[1]["run_id"]
    assert (await tooloo("cancel", run_id))[0] == 0
    with pytest.raises(WorkflowFailureError):
        await platform.temporal.get_workflow_handle(run_id).result()
    assert (await document("show", run_id))[1]["status"] == "cancelled"


async def test_keys_are_made_listed_and_revoked(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    code, made = await document("keys", "create", "ada", "--role", "learner", "--name", "laptop")
    assert code == 0
    assert made["id"] in {item["id"] for item in (await document("keys", "list"))[1]["items"]}
    assert (await tooloo("runs", "--key", made["key"]))[0] == 0
    assert (await tooloo("keys", "revoke", made["id"]))[0] == 0
    assert (await tooloo("runs", "--key", made["key"]))[0] == 4


async def test_catalogue_lists_the_actions(platform: Platform) -> None:
    code, out, _ = await tooloo("actions")
    assert code == 0
    assert "flow.sleep" in out


async def waiting_at(run_id: str, step: str) -> dict[str, Any]:
    """The run's step, once it waits."""
    while True:
        _, shown = await document("show", run_id)
        found = next(one for one in shown["steps"] if one["id"] == step)
        assert not shown["ended_at"], shown["error"]
        if found["status"] == "waiting":
            return found


async def ended(run_id: str) -> dict[str, Any]:
    while True:
        _, shown = await document("show", run_id)
        if shown["ended_at"]:
            return shown


async def test_run_that_waits_is_signalled_and_approved(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "release.yaml"
    file.write_text(RELEASE)
    assert (await tooloo("apply", str(file)))[0] == 0
    code, problem = await document("run", "release", "--input", "names:=[]", "--dry-run")
    assert (code, problem["code"]) == (6, "missing-mock")
    run_id = (await document("run", "release", "--input", 'names:=["a", "b"]'))[1]["run_id"]

    step = await waiting_at(run_id, "go")
    assert step["reason"] == "the signal go"
    assert step["detail"]["until"]
    _, out, _ = await tooloo("show", run_id)
    assert "for the signal go, until " in out
    assert f"./tooloo signal {run_id} go" in out
    assert "2 items" in out
    code, problem = await document("signal", run_id, "go", "--payload", "days=many")
    assert code == 6
    assert problem["errors"][0]["pointer"] == "/payload/days"
    assert (await tooloo("signal", run_id, "come"))[0] == 3
    assert (await tooloo("signal", run_id, "go", "--payload", "days=3"))[0] == 0

    step = await waiting_at(run_id, "ask")
    assert step["reason"] == "an answer by admin"
    assert step["detail"]["until"]
    assert (await document("approvals"))[1] == {"items": []}
    assert (await tooloo("approve", run_id, "ask", "--data", "note=ok"))[0] == 4
    monkeypatch.setenv("TOOLOO_KEY", await _key(platform, Role.ADMIN, "grace"))
    (question,) = (await document("approvals"))[1]["items"]
    assert (question["run_id"], question["step_id"], question["summary"]) == (run_id, "ask", "May we publish?")
    assert "May we publish?" in (await tooloo("approvals"))[1]
    code, problem = await document("approve", run_id, "ask", "--data", '{"note": 1}')
    assert code == 6
    assert problem["errors"][0]["pointer"] == "/data/note"
    code, answered = await document("approve", run_id, "ask", "--data", "note=7", "--comment", "fine")
    assert (code, answered["status"], answered["answered_by"]) == (0, "approved", "grace")
    shown = await ended(run_id)
    assert (shown["status"], shown["output"]) == ("completed", [3, "grace", "fine", "7", "small"])
    assert (await tooloo("reject", run_id, "ask"))[0] == 1

    _, graph = await document("graph", "release", "--run", run_id)
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert {name: node["kind"] for name, node in nodes.items()} == {
        "size": "switch",
        "each": "action",
        "extra": "action",
        "go": "wait",
        "ask": "approval",
        "publish": "action",
    }
    assert nodes["each"]["items"] == {"total": 2, "ended": 2, "failed": 0, "skipped": 0}
    states = {(edge["source"], edge["target"]): edge["state"] for edge in graph["edges"]}
    assert (states["size", "extra"], states["extra", "publish"]) == ("not-taken", "unreached")
    assert states["ask", "publish"] == "taken"
    assert "skipped: condition" in (await tooloo("graph", "release", "--run", run_id, "--format", "svg"))[1]


async def test_run_that_is_rejected_is_undone_and_its_failure_handled(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "saga.yaml"
    file.write_text(SAGA)
    assert "on failure: tell" in (await tooloo("validate", str(file)))[1]
    assert (await tooloo("apply", str(file)))[0] == 0
    run_id = (await document("run", "saga"))[1]["run_id"]
    await waiting_at(run_id, "ask")
    with monkeypatch.context() as as_learner:
        as_learner.setenv("TOOLOO_KEY", await _key(platform, Role.LEARNER))
        assert (await tooloo("show", run_id))[0] == 3
        assert (await tooloo("reject", run_id, "ask", "--comment", "too dear"))[0] == 0
    shown = await ended(run_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "rejected")
    assert [(one["id"], one["status"]) for one in shown["compensations"]] == [("book:undo", "succeeded")]
    _, out, _ = await tooloo("show", run_id)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines.index("on failure") < lines.index("undoing")
    assert any("learner has rejected it: too dear" in line for line in lines)
    _, graph = await document("graph", "saga", "--run", run_id)
    assert [(node["id"], node["on_failure"], bool(node["undone"])) for node in graph["nodes"]] == [
        ("book", False, True),
        ("ask", False, False),
        ("tell", True, False),
    ]


async def test_failing_run_is_followed_through_its_failure_steps_and_what_undoes_it(
    platform: Platform, tmp_path: Path
) -> None:
    file = tmp_path / "saga.yaml"
    file.write_text(
        SAGA.replace(
            "approval: {roles: [learner]}", "service: flow, action: fail, input: {message: no, code: unlucky}"
        ).replace("depends_on: [book]", "depends_on: [book], retry: {max_attempts: 1}")
    )
    assert (await tooloo("apply", str(file)))[0] == 0
    code, out, _ = await tooloo("run", "saga", "--wait")
    assert code == 1
    lines = [line.split("  ") for line in out.splitlines()]
    assert ["✓", "tell", "on failure", "succeeded"] in [line[:4] for line in lines]
    assert ["✓", "book:undo", "succeeded"] in [line[:3] for line in lines]
    assert "step ask: unlucky: no" in out
