"""A service whose worker is written in Go: its steps, its large values, its errors, and its absence."""

import asyncio
import os
import shutil
import subprocess
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from httpx2 import AsyncClient
from pydantic_core import from_json, to_json
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from cli.stack.files import locked
from cli.stack.ports import free_port
from models.documents import read_yaml
from models.persistence.values import BlobStore
from models.settings import CHECKOUT
from models.values import INLINE_LIMIT, STORED_ENCODING
from tests.e2e.conftest import Platform, step
from tests.e2e.test_language import begin, ended, steps_of, until
from tests.e2e.test_runs import apply, execute

EXAMPLE = CHECKOUT / "examples" / "foreign-worker"
GO = shutil.which("go")


@pytest.fixture(scope="session")
def program(servers: Path) -> Path:
    """The worker's program, built once for all xdist workers."""
    if GO is None:
        pytest.skip("go, which builds the worker, is not on PATH")
    built = servers / "words"
    with locked(servers / "words.lock"):
        if not built.exists():
            command = [GO, "build", "-buildvcs=false", "-trimpath", "-o", built, "."]
            subprocess.run(command, cwd=EXAMPLE, check=True, timeout=220)
    return built


class Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Any:
        yield


@pytest.fixture
async def address(platform: Platform) -> AsyncIterator[str]:
    """The platform's API on a port, for another process."""
    port = free_port()
    server = Server(uvicorn.Config(platform.app, port=port, lifespan="off", log_config=None, loop="none"))
    serving = asyncio.create_task(server.serve())
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture
async def worker(
    program: Path, address: str, temporal_address: str, temporal: Client, tmp_path: Path
) -> AsyncIterator[Process]:
    """The Go worker."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TOOLOO_", "TEMPORAL_"))}
    environment |= {
        "TEMPORAL_ADDRESS": temporal_address,
        "TEMPORAL_NAMESPACE": temporal.namespace,
        "TOOLOO_URL": address,
    }
    with (tmp_path / "words.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, env=environment, stdout=log, stderr=log)
    yield process
    await stop(process)


async def stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    assert await process.wait() == 0


def service() -> dict[str, Any]:
    return from_json((EXAMPLE / "service.json").read_bytes())


@pytest.fixture
async def registered(admin: AsyncClient) -> dict[str, Any]:
    answer = await admin.post("/services", json=service())
    assert answer.status_code == 201, answer.text
    return answer.json()


def words(step_id: str, action: str, text: Any, **rest: Any) -> dict[str, Any]:
    """A step of the service."""
    return {"id": step_id, "service": "words", "action": action, "input": {"text": text}, **rest}


async def test_steps_in_go_between_our_own(admin: AsyncClient, registered: dict[str, Any], worker: Process) -> None:
    await apply(admin, read_yaml((EXAMPLE / "words.yaml").read_bytes()))
    text = "Ein Satz, noch ein Satz.\nGrüße"
    run = await execute(admin, "words", {"title": "Über Sätze!", "text": text})
    assert run["status"] == "completed", run["error"]
    assert run["output"] == {
        "summary": {"slug": "über-sätze", "words": 6, "most": "ein"},
        "counted": {"words": 6, "lines": 2, "characters": len(text), "longest": "Grüße"},
    }
    assert {(one["id"], one["status"]) for one in run["steps"]} == {
        (name, "succeeded") for name in ("received", "counted", "frequencies", "address", "summary")
    }


async def test_mistakes_against_foreign_schemas_are_refused_at_creation(
    admin: AsyncClient, registered: dict[str, Any]
) -> None:
    steps = [
        words("number", "count", 7),
        words("extra", "count", "x", input={"text": "x", "language": "de"}),
        words("nothing", "slug", None, input={}),
        words("unknown", "translate", "x"),
        words("path", "count", "from:counted.word"),
        words("kind", "count", "from:counted.words"),
        words("counted", "count", "x"),
    ]
    answer = await admin.post("/workflow", json={"id": "wrong", "steps": steps})
    assert answer.status_code == 422
    assert {(error["pointer"], error["code"]) for error in answer.json()["errors"]} == {
        ("/steps/0/input/text", "type-mismatch"),
        ("/steps/1/input/language", "unknown-field"),
        ("/steps/2/input/text", "missing-field"),
        ("/steps/3/action", "unknown-action"),
        ("/steps/4/input/text", "unknown-path"),
        ("/steps/5/input/text", "type-mismatch"),
    }


@pytest.mark.parametrize("size", [INLINE_LIMIT + 1, 1_500_000])
async def test_large_inputs_arrive_whole(
    admin: AsyncClient, registered: dict[str, Any], worker: Process, size: int
) -> None:
    text = ("".join(f"w{number} " for number in range(size // 4)))[:size]
    steps = [
        words("given", "count", "from:input.text"),
        step("kept", input={"value": {"deep": ["from:input.text"]}}),
        words("part", "count", "from:kept.value.deep[0]"),
    ]
    definition = {"id": "large", "input": {"type": "object"}, "steps": steps,
                  "output": {"given": "from:given", "part": "from:part"}}  # fmt: skip
    await apply(admin, definition)
    run = await execute(admin, "large", {"text": text}, wait=60)
    assert run["status"] == "completed", run["error"]
    counted = {
        "words": len(text.split()),
        "lines": 1,
        "characters": size,
        "longest": max(text.split(), key=len),
    }
    assert run["output"] == {"given": counted, "part": counted}


async def test_large_results_are_whole(admin: AsyncClient, registered: dict[str, Any], worker: Process) -> None:
    text = "".join(f"wort{number % 5_000} " for number in range(20_000)) + "wort7"
    steps = [
        words("all", "frequency", "from:input.text"),
        words("first", "slug", "from:all.words[0].word"),
        words("last", "slug", "from:all.words[-1].word"),
    ]
    output = {"first": "from:first.slug", "times": "from:all.words[0].times", "last": "from:last.slug"}
    await apply(admin, {"id": "many", "input": {"type": "object"}, "steps": steps, "output": output})
    run = await execute(admin, "many", {"text": text}, wait=60)
    assert run["status"] == "completed", run["error"]
    assert run["output"] == {"first": "wort7", "times": 5, "last": "wort999"}


async def test_errors_of_the_worker_are_errors_of_the_step(
    admin: AsyncClient, registered: dict[str, Any], worker: Process
) -> None:
    await apply(admin, {"id": "bad", "steps": [words("address", "slug", "?!")]})
    run = await execute(admin, "bad")
    assert run["status"] == "failed"
    assert (run["error"]["step"], run["error"]["code"]) == ("address", "no-words")
    assert run["error"]["message"] == "the text has neither letters nor digits"


async def test_a_result_that_does_not_fit_its_schema_fails_the_step(
    admin: AsyncClient, registered: dict[str, Any], worker: Process
) -> None:
    stricter = service()
    stricter["actions"][2]["result_schema"]["properties"]["slug"]["pattern"] = "^[a-z0-9-]+$"
    assert (await admin.post("/services", json=stricter)).status_code == 200
    await apply(admin, {"id": "strict", "steps": [words("address", "slug", "Grüße")]})
    run = await execute(admin, "strict")
    assert (run["status"], run["error"]["step"], run["error"]["code"]) == ("failed", "address", "invalid-result")
    assert "words.slug" in run["error"]["message"]
    assert "/slug" in run["error"]["message"]


async def test_an_action_runs_by_itself(admin: AsyncClient, registered: dict[str, Any], worker: Process) -> None:
    path = "/actions/words.count/execute?wait=30"
    run = (await admin.post(path, json={"input": {"text": "two words"}})).json()
    assert (run["status"], run["output"]["words"]) == ("completed", 2), run
    refused = await admin.post(path, json={"input": {"text": 7}})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/input/text"]
    assert (await admin.post("/actions/words.translate/execute", json={"input": {}})).status_code == 404


async def test_runs_under_way_are_not_disturbed_when_an_action_changes(
    admin: AsyncClient, registered: dict[str, Any]
) -> None:
    steps = [
        {"id": "w", "wait": {"signal": "go"}},
        words("never", "count", "x", when="false", depends_on=["w"]),
        words("read", "count", 'from:never.longest ?? "x"', when="false"),
    ]
    await apply(admin, {"id": "waits", "steps": steps, "on_failure": [words("undo", "slug", "x")]})
    run_id = await begin(admin, "waits")
    await until(admin, run_id, lambda run: steps_of(run)["w"]["status"] == "waiting")
    changed = service()
    for action in changed["actions"]:
        action["input_schema"] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        action["result_schema"] = {"type": "null"}
    assert (await admin.post("/services", json=changed)).status_code == 200
    refused = await admin.post("/workflow/waits/execute")
    assert (refused.status_code, refused.json()["code"]) == (409, "outdated")
    graph = (await admin.get(f"/workflow/waits/graph?run={run_id}")).json()
    assert [(edge["source"], edge["target"], edge["kind"]) for edge in graph["edges"]] == [
        ("w", "never", "order"),
        ("never", "read", "data"),
    ]
    this = f"/workflow/waits/executions/{run_id}"
    assert (await admin.post(f"{this}/signals/went")).status_code == 404
    assert (await admin.post(f"{this}/signals/go")).status_code == 202
    assert (await until(admin, run_id, ended))["status"] == "completed"
    assert (await admin.get(f"{this}/steps/never/parts")).json()["items"] == []


async def health(admin: AsyncClient) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in (await admin.get("/health/services")).json()["services"]}


async def test_without_a_worker_the_step_fails_and_says_why(
    admin: AsyncClient, registered: dict[str, Any], worker: Process
) -> None:
    patience = {"schedule_to_start": "2s"}
    await apply(admin, {"id": "alone", "steps": [words("counted", "count", "x", timeout=patience)]})
    assert (await execute(admin, "alone"))["status"] == "completed"
    up = (await health(admin))["words"]
    assert up["state"] == "up"
    assert up["workers"] > 0
    await stop(worker)
    run = await execute(admin, "alone")
    assert run["status"] == "failed"
    assert (run["error"]["step"], run["error"]["code"]) == ("counted", "timeout-schedule-to-start")
    assert run["error"]["message"] == (
        "words.count: no worker of the queue words took the step within 2 s; is one running?"
    )


async def test_a_service_without_a_worker_is_down(admin: AsyncClient) -> None:
    idle = service() | {"name": "idle", "task_queue": "idle-words"}
    assert (await admin.post("/services", json=idle)).status_code == 201
    assert (await health(admin))["idle"] == {"name": "idle", "state": "down", "workers": 0, "last_seen": None}


async def run_odd(admin: AsyncClient, platform: Platform, outcome: Payload | ApplicationError) -> dict[str, Any]:
    """A run of one step, whose worker ends it like that."""
    queue = f"odd-{uuid4()}"
    odd = {"name": "odd", "task_queue": queue, "actions": [{"name": "do"}]}
    assert (await admin.post("/services", json=odd)).status_code == 201
    await apply(admin, {"id": "odd", "steps": [{"id": "a", "service": "odd", "action": "do"}], "output": "from:a"})

    @activity.defn(name="odd.do")
    async def do(given: Any) -> RawValue:
        if isinstance(outcome, ApplicationError):
            raise outcome
        return RawValue(outcome)

    async with Worker(platform.temporal, task_queue=queue, activities=[do]):
        return await execute(admin, "odd")


def payload(data: bytes, encoding: bytes = b"json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding}, data=data)


@pytest.mark.parametrize(
    "result",
    [
        payload(b'{"x": "\\u0000"}'),
        payload(b'{"\\u0000": 1}'),
        payload(b'{"x": "\\ud800"}'),
        payload(b'{"x": NaN}'),
        payload(b'{"x": 1e999}'),
        payload(b"[" * 150 + b"]" * 150),
        payload(b'"\xff"'),
        payload(b"\xff\x00", b"binary/plain"),
        payload(b"x", STORED_ENCODING),
    ],
    ids=lambda result: result.data[:12],
)
async def test_what_cannot_be_kept_is_an_invalid_result(
    admin: AsyncClient, platform: Platform, result: Payload
) -> None:
    run = await run_odd(admin, platform, result)
    assert (run["status"], run["error"]["code"]) == ("failed", "invalid-result"), run


async def test_a_foreign_result_names_no_stored_value(admin: AsyncClient, platform: Platform) -> None:
    (ref,) = await BlobStore(platform.database).store([b'"somebody else\'s"'])
    run = await run_odd(admin, platform, payload(to_json({"ref": ref, "bytes": 17}), STORED_ENCODING))
    assert run["output"] == {"ref": ref, "bytes": 17}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ApplicationError("a\x00b", type="c\x00d", non_retryable=True), "c\ufffdd", "a\ufffdb"),
        (ApplicationError("m" * 9_000, type="t" * 9_000, non_retryable=True), "t" * 200, "m" * 2_000),
        (ApplicationError("m", {"attempt": "first"}, type="", non_retryable=True), "error", "m"),
        (ApplicationError("m", RawValue(payload(b"x", b"binary/encrypted")), type="t", non_retryable=True), "t", "m"),
    ],
    ids=["nul", "long", "untyped", "unreadable-details"],
)
async def test_any_error_of_a_foreign_worker_ends_the_run(
    admin: AsyncClient, platform: Platform, error: ApplicationError, code: str, message: str
) -> None:
    run = await run_odd(admin, platform, error)
    assert (run["status"], run["error"]["code"], run["error"]["message"]) == ("failed", code, message)
