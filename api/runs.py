"""Runs: starting them, and showing what is recorded together with what Temporal knows right now."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog
from pydantic_core import to_json
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio.client import WorkflowFailureError

from api.parts import Parts
from api.problems import is_unexpected
from api.step_states import PART, StepStates, state_of
from models.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from models.identity import Caller
from models.runs import (
    Failure,
    LiveRun,
    Run,
    RunRequest,
    RunStatus,
    StepState,
)
from models.workflows import ExecuteRequest
from services.orchestration import admission, definitions, runs
from workflows.client import describe_run, start_run
from workflows.dag.compile import Compiled
from workflows.dag.concurrency import concurrency_key
from workflows.dag.mailbox import waits_for
from workflows.dag.plan import Plan
from workflows.dag.validation import validate_value

_log = structlog.get_logger(__name__)
INLINE_OUTPUT_BYTES = 64 * 1024
"""A run's output up to this size stands in the run object."""


async def find_runnable(parts: Parts, caller: Caller, definition_id: str) -> Compiled:
    """The current version of a definition the caller may run. Raises NotFoundError, and ConflictError if outdated."""
    async with parts.autocommit.connect() as connection:
        version = await definitions.current_version(connection, definition_id)
        kept = parts.compiled.find(definition_id, version)
        found = kept or await definitions.find_version(connection, definition_id, version)
    if caller.role not in found.roles:
        raise NotFoundError("There is no such workflow.")
    return found if isinstance(found, Compiled) else await parts.compiled.compiled(found)


def check_input(compiled: Compiled, value: Any) -> None:
    """Hold an input against the definition's schema. Raises InvalidInputError with all problems."""
    if compiled.head.input is None:
        return
    problems = validate_value(compiled.head.input, value, "/input")
    if problems:
        raise InvalidInputError(f"The input does not fit {compiled.plan.workflow}.", problems=problems)


def check_mocks(plan: Plan) -> None:
    """Hold a plan against what a dry run needs. Raises InvalidInputError that names every step without a mock."""
    problems = [
        Problem(
            pointer="/dry_run",
            code="missing-mock",
            message=f"{node.id} has no mock, and a dry run does not do what it does",
            suggestion=f"give the step {node.id} a mock: the result it would have",
        )
        for node in plan.nodes
        if node.mock is None and node.is_mocked
    ]
    if problems:
        raise InvalidInputError(f"{plan.workflow} cannot run dry.", problems=problems, code="missing-mock")


async def check_signal(parts: Parts, row: Row[Any], name: str, payload: Any) -> None:
    """Hold a signal against the steps of a run that wait for it. Raises NotFoundError, InvalidInputError."""
    async with parts.autocommit.connect() as connection:
        stored = await definitions.find_version(connection, row.definition_id, row.version)
    waits = waits_for((await parts.compiled.outlined(stored)).plan, name)
    if not waits:
        raise NotFoundError(f"No step of {row.definition_id} waits for a signal {name}.")
    problems = [[] if wait.schema is None else validate_value(wait.schema, payload, "/payload") for wait in waits]
    if all(problems):
        raise InvalidInputError(f"The payload does not fit the signal {name}.", problems=problems[0])


def new_run(compiled: Compiled, caller: Caller, request: ExecuteRequest) -> runs.NewRun:
    """A run about to be recorded."""
    plan = compiled.plan
    limit = None if request.dry_run else plan.concurrency
    return runs.NewRun(
        run_id=str(uuid4()),
        workflow=plan.workflow,
        version=plan.version,
        caller=caller,
        trigger="api",
        input=request.input,
        labels={**plan.labels, **request.labels},
        dry_run=request.dry_run,
        concurrency_key=None if limit is None else concurrency_key(limit, request.input),
        admitted=limit is None,
    )


async def admit(connection: AsyncConnection, plan: Plan, run: runs.NewRun) -> runs.NewRun:
    """The run with its place among those of its key, if one is free. Raises ConflictError where it may not wait."""
    if plan.concurrency is None or run.concurrency_key is None:
        return run
    await admission.lock_key(connection, run.workflow, run.concurrency_key)
    others = await admission.open_with_key(connection, run.workflow, run.concurrency_key)
    if len(others) < plan.concurrency.max:
        return replace(run, admitted=True)
    if plan.concurrency.policy == "reject":
        raise ConflictError(
            f"{plan.concurrency.max} runs of {run.workflow} with this key are under way.", code="concurrency-limit"
        )
    return run


async def start(parts: Parts, compiled: Compiled, run: runs.NewRun) -> None:
    """Start a recorded run in Temporal; once, however often it is asked for."""
    request = RunRequest(input=run.input, caller=run.caller, admitted=run.admitted, dry_run=run.dry_run)
    await start_run(parts.temporal, compiled.plan, run.run_id, request)


async def start_later(parts: Parts, compiled: Compiled, run: runs.NewRun) -> None:
    """Start a recorded run when the answer is out. While Temporal is away, it is left to the reconciler."""
    try:
        await start(parts, compiled, run)
    except Exception as error:
        if is_unexpected(error):
            raise
        _log.warning("a run is left to the reconciler", run_id=run.run_id, error=type(error).__name__)


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
        dry_run=run.dry_run,
    )


def recorded(
    parts: Parts,
    row: Row[Any],
    steps: Sequence[StepState] = (),
    live: LiveRun | None = None,
    compensations: Sequence[StepState] = (),
) -> Run:
    """The run object of a row; a run that has not ended is as Temporal shows it, unless it waits for its place."""
    links = run_links(parts, row.definition_id, row.run_id)
    status = RunStatus(row.status)
    if not status.ended and row.concurrency_key is not None and row.admitted_at is None:
        status = RunStatus.QUEUED
    elif live is not None and not status.ended:
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
        parent=row.parent,
        dry_run=row.dry_run,
        steps=tuple(steps),
        compensations=tuple(compensations),
    )


def _shown_output(output: Any, this: str) -> Any:
    size = len(to_json(output))
    return output if size <= INLINE_OUTPUT_BYTES else {"ref": f"{this}/output", "bytes": size}


async def must_be_listed(connection: AsyncConnection, caller: Caller, definition_id: str) -> None:
    """Tell an empty list of runs from the list of something that is not there. Raises NotFoundError."""
    stored = await definitions.find_latest(connection, definition_id)
    if not caller.sees_all and caller.role not in stored.roles:
        raise NotFoundError("There is no such workflow.")


async def show_run(parts: Parts, caller: Caller, workflow: str | None, run_id: str) -> Run:
    """One run with its steps. A run that ended behind the engine's back is closed on the way. Raises NotFoundError."""
    async with parts.database.connect() as connection:
        row = await runs.find_run(connection, caller, workflow, run_id)
    live, reports = None, ()
    if row.ended_at is None:
        live = await describe_run(parts.temporal, run_id)
        if live is not None and live.status.ended:
            await _close(parts, run_id, live)
        elif live is not None:
            reports = await parts.reports.of(run_id, live.history_length)
    async with parts.database.connect() as connection:
        row = await runs.find_run(connection, caller, workflow, run_id)
        steps = await runs.find_steps(connection, caller, run_id)
        names = await step_names(parts, connection, row.definition_id, row.version)
    states = StepStates(steps, live, reports, ended=row.ended_at is not None)
    return recorded(parts, row, [states.state(name) for name in names], live, states.compensations())


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
    return [step["id"] for step in (*stored.source["steps"], *(stored.source.get("on_failure") or ()))]


async def show_parts(
    parts: Parts, caller: Caller, row: Row[Any], step_id: str, *, after: int, limit: int
) -> list[tuple[int, StepState]]:
    """Items of a map or turns of a loop that a worker has seen or is to see, each with its place."""
    live = await describe_run(parts.temporal, row.run_id) if row.ended_at is None else None
    async with parts.autocommit.connect() as connection:
        found = await runs.find_parts(connection, caller, row.run_id, step_id, after=after, limit=limit)
    shown = {one.place: state_of(one, ended=row.ended_at is not None) for one in found}
    for state in live.steps if live else ():
        part = PART.fullmatch(state.id)
        if part is None or part["step"] != step_id or int(part["place"]) <= after:
            continue
        if not (known := shown.get(int(part["place"]))) or not known.status.ended:
            shown[int(part["place"])] = state
    return sorted(shown.items())[:limit]
