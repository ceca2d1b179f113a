"""Runs: starting them, and showing what is recorded together with what Temporal knows right now."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic_core import to_json
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import WorkflowFailureError

from api.parts import Parts
from models.errors import InvalidInputError, NotFoundError
from models.identity import Caller
from models.runs import Failure, LiveRun, Run, RunRequest, RunStatus, StepState, StepStatus
from services.orchestration import definitions, runs
from workflows.client import describe_run, start_run
from workflows.dag.compile import Compiled
from workflows.dag.validation import validate_value

INLINE_OUTPUT_BYTES = 64 * 1024
"""A run's output up to this size stands in the run object."""


async def find_runnable(parts: Parts, caller: Caller, definition_id: str) -> Compiled:
    """The current version of a definition the caller may run. Raises NotFoundError."""
    async with parts.autocommit.connect() as connection:
        version = await definitions.current_version(connection, definition_id)
        compiled = parts.compiled.find(definition_id, version)
        if compiled is None:
            stored = await definitions.find_version(connection, definition_id, version)
            compiled = parts.compiled.compiled(stored)
    if caller.role not in compiled.head.access.execute:
        raise NotFoundError("There is no such workflow.")
    return compiled


def check_input(compiled: Compiled, value: Any) -> None:
    """Hold an input against the definition's schema. Raises InvalidInputError with all problems."""
    if compiled.head.input is None:
        return
    problems = validate_value(compiled.head.input, value, "/input")
    if problems:
        raise InvalidInputError(f"The input does not fit {compiled.plan.workflow}.", problems=problems)


def new_run(compiled: Compiled, caller: Caller, run_input: Any, labels: Mapping[str, str]) -> runs.NewRun:
    """A run about to be recorded."""
    return runs.NewRun(
        run_id=str(uuid4()),
        workflow=compiled.plan.workflow,
        version=compiled.plan.version,
        caller=caller,
        trigger="api",
        input=run_input,
        labels={**compiled.plan.labels, **labels},
    )


async def start(parts: Parts, compiled: Compiled, run_id: str, caller: Caller, run_input: Any) -> None:
    """Start a recorded run in Temporal; once, however often it is asked for."""
    await start_run(parts.temporal, compiled.plan, run_id, RunRequest(input=run_input, caller=caller))


async def note_started(parts: Parts, run_id: str) -> None:
    """Record that Temporal has the run. Nobody waits for it: reconciliation does the same, later."""
    async with parts.autocommit.connect() as connection:
        await runs.mark_running(connection, run_id)


async def wait_for_end(parts: Parts, run_id: str, seconds: float) -> bool:
    """Whether the run ended in time. The engine records the end before Temporal reports it."""
    handle = parts.temporal.get_workflow_handle(run_id)
    try:
        async with asyncio.timeout(seconds):
            await handle.result()
    except WorkflowFailureError:
        return True
    except TimeoutError:
        return False
    return True


def run_links(parts: Parts, workflow: str, run_id: str) -> dict[str, str]:
    """Where the run is to be seen."""
    base = f"/api/v1/workflow/{workflow}"
    this = f"{base}/executions/{run_id}"
    return {
        "self": this,
        "events": f"{this}/events",
        "cancel": f"{this}/cancel",
        "graph": f"{base}/graph?run={run_id}",
        "temporal": f"{parts.settings.temporal_ui_url}/namespaces/{parts.temporal.namespace}/workflows/{run_id}",
    }


def accepted(parts: Parts, run: runs.NewRun) -> Run:
    """The run object of a run that was just recorded."""
    return Run(
        run_id=run.run_id,
        workflow=run.workflow,
        version=run.version,
        status=RunStatus.QUEUED,
        user_id=run.caller.user_id,
        trigger=run.trigger,
        input=run.input,
        output=None,
        error=None,
        labels=run.labels,
        started_at=datetime.now(UTC),
        ended_at=None,
        links=run_links(parts, run.workflow, run.run_id),
    )


def recorded(parts: Parts, row: Row[Any], steps: Sequence[StepState] = (), live: LiveRun | None = None) -> Run:
    """The run object of a row; a run that has not ended is as Temporal shows it."""
    links = run_links(parts, row.definition_id, row.run_id)
    status = RunStatus(row.status)
    if live is not None and not status.ended:
        status = live.status
    return Run(
        run_id=row.run_id,
        workflow=row.definition_id,
        version=row.version,
        status=status,
        user_id=row.owner_id,
        trigger=row.trigger,
        input=row.input,
        output=_shown_output(row.output, links["self"]),
        error=None if row.error is None else Failure.model_validate(row.error),
        labels=row.labels,
        started_at=row.started_at,
        ended_at=row.ended_at,
        links=links,
        steps=tuple(steps),
    )


def _shown_output(output: Any, this: str) -> Any:
    size = len(to_json(output))
    return output if size <= INLINE_OUTPUT_BYTES else {"ref": f"{this}/output", "bytes": size}


async def must_be_listed(parts: Parts, connection: AsyncConnection, caller: Caller, definition_id: str) -> None:
    """Tell an empty list of runs from the list of something that is not there. Raises NotFoundError."""
    stored = await definitions.find_latest(connection, definition_id)
    compiled = parts.compiled.compiled(stored)
    if not caller.sees_all and caller.role not in compiled.head.access.execute:
        raise NotFoundError("There is no such workflow.")


async def show_run(parts: Parts, caller: Caller, workflow: str | None, run_id: str) -> Run:
    """One run with its steps. A run that ended behind the engine's back is closed on the way. Raises NotFoundError."""
    async with parts.database.connect() as connection:
        row = await runs.find_run(connection, caller, workflow, run_id)
    live = None
    if row.ended_at is None:
        live = await describe_run(parts.temporal, run_id)
        if live is not None and live.status.ended:
            await _close(parts, run_id, live)
    async with parts.database.connect() as connection:
        row = await runs.find_run(connection, caller, workflow, run_id)
        steps = await runs.find_steps(connection, caller, run_id)
        names = await step_names(parts, connection, row.definition_id, row.version)
    return recorded(parts, row, _step_states(names, steps, live, ended=row.ended_at is not None), live)


async def _close(parts: Parts, run_id: str, live: LiveRun) -> None:
    async with parts.database.begin() as connection:
        at = live.ended_at or datetime.now(UTC)
        await runs.close_run(connection, run_id, live.status, at=at, error=live.error)


async def end_if_unstarted(parts: Parts, run_id: str) -> None:
    """End a cancelled run that Temporal never got."""
    if await describe_run(parts.temporal, run_id) is None:
        async with parts.database.begin() as connection:
            await runs.close_run(connection, run_id, RunStatus.CANCELLED, at=datetime.now(UTC))


async def step_names(parts: Parts, connection: AsyncConnection, workflow: str, version: int) -> list[str]:
    """Ids of a version's steps, in the order they run."""
    compiled = parts.compiled.find(workflow, version)
    if compiled is not None:
        return [node.id for node in compiled.plan.nodes]
    stored = await definitions.find_version(connection, workflow, version)
    return [step["id"] for step in stored.source["steps"]]


def _step_states(
    names: Sequence[str], rows: Mapping[str, Row[Any]], live: LiveRun | None, *, ended: bool
) -> list[StepState]:
    pending = {} if live is None else {step.id: step for step in live.steps}
    return [_step_state(name, rows.get(name), None if ended else pending.get(name), ended=ended) for name in names]


def _step_state(name: str, row: Row[Any] | None, pending: StepState | None, *, ended: bool) -> StepState:
    if row is None:
        # Terminated from outside: nobody was left to say what became of the steps that had not ended.
        return pending or StepState(id=name, status=StepStatus.CANCELLED if ended else StepStatus.PENDING)
    status = StepStatus(row.status)
    if not status.ended:
        if pending is not None:
            return pending.model_copy(update={"started_at": row.started_at or pending.started_at})
        status = StepStatus.CANCELLED if ended else status
    return StepState(
        id=name,
        status=status,
        reason=row.reason,
        attempts=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        error=None if row.error is None or status is StepStatus.SUCCEEDED else Failure.model_validate(row.error),
        output=row.output if row.output_ref is None else {"ref": row.output_ref, "bytes": row.output_bytes},
    )
