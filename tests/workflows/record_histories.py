"""Keep the histories of runs for `test_replay.py`: `python -m tests.workflows.record_histories`.

Records each scenario of `recorded_runs.py` that has no history yet, on throw-away servers; replays all that are
stored; and when every one passes, writes the fingerprint of the code that passed. A history that is there is never
recorded anew: it stands for runs that older code has begun. Before the first release, while nobody has such runs, one
may delete it.
"""

import asyncio
import json
import os
import sys
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.workflow import NondeterminismError

from cli.stack.temporal_setup import prepare_namespace
from cli.stack.throwaway import stop_throwaways, throwaway_postgres, throwaway_temporal
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from models.runs import StepReport, StepStatus
from tests.e2e.records import parts_of
from tests.workflows.conftest import running_engine
from tests.workflows.recorded_runs import (
    BLOBS,
    FINGERPRINT,
    HISTORIES,
    SCENARIOS,
    FolderBlobs,
    Scenario,
    fingerprint,
    replay,
    stored_histories,
)
from tests.workflows.short_histories import history_limit
from workflows.dag.effects import Answer


async def record_missing(directory: Path) -> None:
    """Record every scenario without a history."""
    missing = [name for name in SCENARIOS if not stored_histories(name)]
    if not missing:
        return
    BLOBS.mkdir(parents=True, exist_ok=True)
    database = create_database(throwaway_postgres(directory, os.getpid()))
    temporal = await Client.connect(throwaway_temporal(directory, os.getpid()), identity="recorder")
    try:
        await migrate(database)
        await prepare_namespace(temporal)
        for name in missing:
            await _record(name, SCENARIOS[name], temporal, database)
    finally:
        await database.dispose()


async def _record(name: str, scenario: Scenario, temporal: Client, database: AsyncEngine) -> None:
    limited = nullcontext() if scenario.history_limit is None else history_limit(scenario.history_limit)
    definition = {"id": name, "steps": list(scenario.steps), **scenario.options}
    with limited:
        async with running_engine(temporal, database, FolderBlobs(BLOBS, writes=True)) as engine:
            for other in scenario.others:
                await engine.save(other)
            if scenario.by_task:
                handle = await engine.start_task(definition, scenario.input)
            else:
                handle = await engine.start(definition, scenario.input, recorded=scenario.recorded, **scenario.request)
            for signal, payload in scenario.signals:
                await handle.signal(signal, payload)
            for step_id, approved in scenario.answers.items():
                await _answer(handle, step_id, approved=approved)
            if scenario.cancelled_at is not None:
                run = await _run_of_task(engine.client, handle) if scenario.by_task else handle
                await _until_under_way(run, scenario.cancelled_at)
                await handle.cancel()
            with suppress(WorkflowFailureError):
                await handle.result()
            parts = await parts_of(engine.client, handle.id)
    for number, part in enumerate(parts, 1):
        text = json.dumps(_without_stack_traces(part.to_json_dict()), indent=1, ensure_ascii=False)
        await asyncio.to_thread((HISTORIES / f"{name}.{number}.json").write_text, f"{text}\n")
    _say(f"recorded {name}: {', '.join(str(len(part.events)) for part in parts)} events")


async def _run_of_task(client: Client, task: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
    while not (children := (await task.describe()).raw_description.pending_children):  # noqa: ASYNC110 - a server says it
        await asyncio.sleep(0.05)
    return client.get_workflow_handle(children[0].workflow_id)


async def _until_under_way(handle: WorkflowHandle[Any, Any], step_id: str) -> None:
    while True:
        pending = (await handle.describe()).raw_description.pending_activities
        reports = await handle.query("tooloo-steps", result_type=list[StepReport])
        if any(one.activity_id == step_id and one.HasField("last_started_time") for one in pending):
            return
        if any(report.id == step_id and report.status is StepStatus.WAITING for report in reports):
            return
        await asyncio.sleep(0.05)


async def _answer(handle: WorkflowHandle[Any, Any], step_id: str, *, approved: bool) -> None:
    answer = Answer(approved, "bob", "admin", "2026-01-31T12:00:00Z")
    while True:
        try:
            return await handle.execute_update("tooloo-answer", args=[step_id, answer])
        except WorkflowUpdateFailedError:  # it has not asked yet
            await asyncio.sleep(0.05)


def _without_stack_traces(value: Any) -> Any:
    """They name folders of the machine that recorded."""
    match value:
        case dict():
            return {key: _without_stack_traces(item) for key, item in value.items() if key != "stackTrace"}
        case list():
            return [_without_stack_traces(item) for item in value]
        case _:
            return value


async def replay_all() -> bool:
    """Whether today's code passes every stored history; says which it does not."""
    passed = True
    for name in SCENARIOS:
        for path in stored_histories(name):
            try:
                await replay(name, await asyncio.to_thread(path.read_text))
            except NondeterminismError as error:
                _say(f"{path.name} does not replay: {error}")
                passed = False
    return passed


def _say(message: str) -> None:
    sys.stdout.write(f"{message}\n")


async def _main(directory: Path) -> bool:
    await record_missing(directory)
    return await replay_all()


if __name__ == "__main__":
    servers = Path(tempfile.mkdtemp(prefix="tooloo-histories-"))
    try:
        replayed = asyncio.run(_main(servers))
    finally:
        stop_throwaways(servers)
    if not replayed:
        sys.exit(f"{FINGERPRINT.name} stays as it is: runs begun by older code would break (see test_replay.py)")
    FINGERPRINT.write_text(f"{fingerprint()}\n")
    _say("all histories replay; the fingerprint is that of today's code")
