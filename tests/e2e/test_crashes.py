"""Kill -9 of any process in the middle of runs: they complete, every effect once."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from models.persistence.tables import flow_counters, outbox, runs
from tests.e2e.conftest import step
from tests.e2e.processes import PatientClient, Processes
from tests.e2e.records import assert_record_is_true
from tests.e2e.test_code_review import git

pytestmark = pytest.mark.xdist_group("stack of processes")  # with --dist loadgroup one stack serves all of them

CHAINS = 5
LINKS = 10
STEPS = CHAINS * LINKS
MIDDLE = STEPS // 3
FILES = 1_000
BUSY = ("loading", "indexing")
KEYS = ("one", "two", "three", "all")


def count_and_sleep() -> tuple[dict[str, Any], dict[str, int]]:
    """Chains of turns at counting and sleeping, and what the counters `<prefix>-<key>` must have in the end."""
    steps: list[dict[str, Any]] = []
    expected: dict[str, int] = dict.fromkeys(KEYS, 0)
    for chain in range(CHAINS):
        for link in range(LINKS):
            after = {"depends_on": [steps[-1]["id"]]} if link else {}
            name = f"s{chain}-{link}"
            if link % 2:
                steps.append(step(name, "sleep", input={"seconds": 0.2}, **after))
                continue
            key = KEYS[(chain + link // 2) % len(KEYS)]
            by = 1 + chain * LINKS + link
            expected[key] += by
            steps.append(step(name, "count", input={"key": f"from:input.{key}", "by": by}, **after))
    output = {f"s{chain}": f"from:s{chain}-{LINKS - 1}.seconds" for chain in range(CHAINS)}
    return {"id": "count-and-sleep", "steps": steps, "output": output}, expected


async def start(client: PatientClient, idempotency_key: str, prefix: str) -> str:
    """Start a run of it, or find the one that this key has started."""
    definition, _ = count_and_sleep()
    await client.post("/workflow", definition)
    keys = {key: f"{prefix}-{key}" for key in KEYS}
    answer = await client.post(
        "/workflow/count-and-sleep/execute", {"input": keys}, {"Idempotency-Key": idempotency_key}
    )
    return answer["run_id"]


async def until_the_middle(stack: Processes, run_id: str) -> None:
    async with stack.database() as database, asyncio.timeout(120):
        ended = select(func.count()).where(
            outbox.c.subject == f"run/{run_id}", outbox.c.type == "orchestration.step-completed"
        )
        while True:
            async with database.connect() as connection:
                count = await connection.scalar(ended) or 0
            assert count < STEPS, "the run was over before its middle was seen"
            if count >= MIDDLE:
                return
            await asyncio.sleep(0.02)


async def assert_exact(stack: Processes, client: PatientClient, run_id: str, prefix: str) -> None:
    run = await client.until(f"/runs/{run_id}", lambda shown: shown["ended_at"] is not None)
    assert (run["status"], run["error"]) == ("completed", None)
    assert {state["status"] for state in run["steps"]} == {"succeeded"}
    assert run["output"] == {f"s{chain}": 0.2 for chain in range(CHAINS)}
    _, expected = count_and_sleep()
    assert {key: (await client.get(f"/flow/counters/{prefix}-{key}"))["value"] for key in KEYS} == expected
    async with stack.database() as database:
        temporal = await stack.temporal(database)
        await assert_record_is_true(database, temporal, run_id)
        assert await temporal.get_workflow_handle(run_id).result() == run["output"]


@pytest.mark.parametrize("part", ["api", "worker-orchestration", "temporal", "postgres"])
async def test_run_survives_kill_9_of_any_process(stack: Processes, part: str) -> None:
    key, prefix = str(uuid4()), str(uuid4())
    async with stack.client() as client:
        run_id = await start(client, key, prefix)
        await until_the_middle(stack, run_id)
        killed = stack.kill(part)
        assert await start(client, key, prefix) == run_id  # who was not answered asks again
        await assert_exact(stack, client, run_id, prefix)
    await stack.until_healthy(part, after=killed)


async def test_run_survives_kill_9_of_everything(stack: Processes) -> None:
    key, prefix = str(uuid4()), str(uuid4())
    async with stack.client() as client:
        run_id = await start(client, key, prefix)
        await until_the_middle(stack, run_id)
    stack.kill_everything()
    await stack.up()
    async with stack.client() as client:
        assert await start(client, key, prefix) == run_id
        await assert_exact(stack, client, run_id, prefix)


def sources() -> Iterator[str]:
    """A `git fast-import` stream whose indexing takes some seconds."""
    yield "commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 4\nwork\n"
    for number in range(FILES):
        text = "".join(f"def common_{number}_{line}(a, b):\n    return a if b else {line}\n\n" for line in range(200))
        yield f"M 100644 inline src/file{number}.py\ndata {len(text)}\n{text}\n"


async def test_a_context_worker_killed_while_it_indexes_serves_no_half_index(stack: Processes) -> None:
    repository = stack.home.path / "repos" / "indexed"
    repository.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    git(repository, "fast-import", "--quiet", data="".join(sources()).encode())
    search = "/context/search?q=common+repo:indexed+count:1"
    async with stack.client() as client:
        loaded = await client.post("/context/repos", {"path": str(repository)})
        index = stack.home.path / "store" / "index" / loaded["id"]
        async with asyncio.timeout(60):
            while not list(index.glob("*/*.store")):  # noqa: ASYNC110 - another process writes there
                await asyncio.sleep(0.02)
        killed = stack.kill("worker-context")
        found = await client.get(search)
        assert (found["items"], found["not_indexed"]) == ([], ["indexed"])
        shown = await client.until(f"/context/repos/{loaded['id']}", lambda one: one["status"] not in BUSY)
        assert (shown["status"], shown["error"]) == ("ready", None)
        run = await client.get(f"/runs/{loaded['run_id']}")
        assert {one["id"]: one["attempts"] for one in run["steps"]} == {"load": 1, "index": 2}
        found = await client.get(search)
        assert (found["total"], found["not_indexed"]) == (FILES, [])
    await stack.until_healthy("worker-context", after=killed)


async def test_one_of_two_workers_is_killed_and_the_other_goes_on(stack: Processes) -> None:
    key, prefix = str(uuid4()), str(uuid4())
    async with stack.client() as client, stack.another_worker("orchestration") as worker:
        run_id = await start(client, key, prefix)
        await until_the_middle(stack, run_id)
        worker.kill()
        await worker.wait()
        await assert_exact(stack, client, run_id, prefix)


async def test_two_workers_share_two_hundred_runs(stack: Processes) -> None:
    key = f"shared-{uuid4()}"
    steps = [
        step("a", "count", input={"key": key}),
        step("b", input={"value": "from:a.value"}),
        step("c", "count", input={"key": key, "by": 10}, depends_on=["b"]),
    ]
    definition = {"id": "shared", "steps": steps, "output": "from:b.value"}
    async with stack.client() as client, stack.another_worker("orchestration"):
        await client.post("/workflow", definition)
        run_ids = [
            run["run_id"]
            for run in await asyncio.gather(
                *(
                    client.post("/workflow/shared/execute", {"input": {}}, {"Idempotency-Key": str(uuid4())})
                    for _ in range(200)
                )
            )
        ]
        async with stack.database() as database:
            await until_all_ended(database, run_ids)
            assert await shapes_of(database, run_ids) == {("completed", 5, 1, 5)}
            async with database.connect() as connection:
                assert await connection.scalar(select(flow_counters.c.value).where(flow_counters.c.key == key)) == 2_200
            temporal, some = await stack.temporal(database), run_ids[::10]
            await asyncio.gather(*(assert_record_is_true(database, temporal, run_id) for run_id in some))
            assert len(await workers_of(temporal, some)) == 2
    assert not re.search("deadlock", stack.home.log_of("postgres").read_text(errors="replace"), re.IGNORECASE)


async def shapes_of(database: AsyncEngine, run_ids: list[str]) -> set[tuple[Any, ...]]:
    """Every combination there is of a run's status and its events' count, first and last sequence."""
    sequence = outbox.c.sequence
    query = (
        select(runs.c.status, func.count(), func.min(sequence), func.max(sequence))
        .join(outbox, outbox.c.subject == "run/" + runs.c.run_id)
        .where(runs.c.run_id.in_(run_ids))
        .group_by(runs.c.run_id)
    )
    async with database.connect() as connection:
        rows = (await connection.execute(query)).all()
    assert len(rows) == len(run_ids)
    return {tuple(row) for row in rows}


async def until_all_ended(database: AsyncEngine, run_ids: list[str]) -> None:
    open_ones = select(func.count()).where(runs.c.run_id.in_(run_ids), runs.c.ended_at.is_(None))
    async with asyncio.timeout(200), database.connect() as connection:
        while await connection.scalar(open_ones):
            await connection.rollback()
            await asyncio.sleep(0.2)


async def workers_of(temporal: Client, run_ids: list[str]) -> set[str]:
    """Who ran the steps."""
    histories = await asyncio.gather(*(temporal.get_workflow_handle(run_id).fetch_history() for run_id in run_ids))
    return {
        event.activity_task_started_event_attributes.identity
        for history in histories
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
    }
