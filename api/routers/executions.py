"""Runs of a definition."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import BackgroundTasks, Depends, Header, Path, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter
from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from api import run_progress
from api import runs as views
from api.dependencies import CallerDep, PartsDep
from api.idempotency import Answer
from api.pagination import Instant, Page, PageDep, Place, Text
from api.parts import Parts
from api.repeatable import IdempotencyDep
from api.routers.workflows import WorkflowId
from api.routing import resource
from models.definition import SLUG
from models.errors import ConflictError, NotFoundError
from models.identity import Caller
from models.persistence.audit import record_change
from models.runs import Run, RunStatus, StepState
from models.workflows import ExecuteRequest, SentSignal, SignalRequest
from services.orchestration import runs
from workflows.client import cancel_run, signal_run
from workflows.dag.compile import Compiled

router = resource("runs")

RunId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}$")]
StepId = Annotated[str, Path(max_length=200)]
NO_PAYLOAD = SignalRequest()
NOTHING_SAID = ExecuteRequest()
"""What a request without a body asks for."""
WaitSeconds = Annotated[float, Query(ge=0, le=60, description="Wait this long for the end; then answer 200.")]
StatusFilter = Annotated[list[RunStatus] | None, Query(description="Only runs with one of these.")]
RUN_CURSOR = TypeAdapter[tuple[datetime, str]](tuple[Instant, Text])
_PLACE = TypeAdapter[int](Place)


@router.post("/workflow/{workflow_id}/execute", response_model=Run, status_code=202)
async def execute_workflow(
    workflow_id: WorkflowId,
    caller: CallerDep,
    parts: PartsDep,
    idempotency: IdempotencyDep,
    background: BackgroundTasks,
    request: ExecuteRequest = NOTHING_SAID,
    wait: WaitSeconds = 0,
) -> Response:
    """Start a run: 202, or 200 when it ended within `wait` seconds. A failed run answers 200 and says `failed`."""
    compiled = await views.find_runnable(parts, caller, workflow_id)
    return await execute(compiled, request, caller, parts, idempotency, background, wait)


async def execute(
    compiled: Compiled,
    request: ExecuteRequest,
    caller: Caller,
    parts: Parts,
    idempotency: Any,
    background: BackgroundTasks,
    wait: float,
) -> Response:
    """Record a run with its answer, start it, wait if asked to. Repeated, it finds the same run."""
    views.check_input(compiled, request.input)
    if request.dry_run:
        views.check_mocks(compiled.plan)
    run = views.new_run(compiled, caller, request)

    async def accept() -> Answer:
        nonlocal run
        run = await views.admit(connection, compiled.plan, run)
        await runs.open_run(connection, run)
        return Answer.of(202, views.accepted(parts, run))

    # Without an answer to keep or a place to take, the record is a single statement.
    database = parts.autocommit if idempotency.key is None and run.concurrency_key is None else parts.database
    async with database.begin() as connection:
        answer = await idempotency.answer_once(connection, accept)
    if answer.repeated:
        run = replace(run, run_id=from_json(answer.body)["run_id"])
    run_id = run.run_id
    await views.start(parts, compiled, run)
    background.add_task(views.note_started, parts, run_id)
    if wait and await views.wait_for_end(parts, run_id, wait):
        ended = await views.show_run(parts, caller, compiled.plan.workflow, run_id)
        return Response(ended.model_dump_json(), media_type="application/json", background=background)
    response = answer.response()
    response.background = background
    return response


@router.get("/workflow/{workflow_id}/executions")
async def list_executions(
    workflow_id: WorkflowId, caller: CallerDep, parts: PartsDep, page: PageDep, status: StatusFilter = None
) -> Page[Run]:
    """Runs of a definition, newest first, without their steps: all for admins, one's own for others."""
    async with parts.database.connect() as connection:
        rows = await runs.list_runs(
            connection,
            caller,
            workflow=workflow_id,
            statuses=status or (),
            before=page.after(RUN_CURSOR),
            limit=page.rows,
        )
        if not rows:
            await views.must_be_listed(connection, caller, workflow_id)
    return page.page([views.recorded(parts, row) for row in rows], lambda run: (run.started_at, run.run_id))


@router.get("/workflow/{workflow_id}/executions/{run_id}")
async def get_execution(workflow_id: WorkflowId, run_id: RunId, caller: CallerDep, parts: PartsDep) -> Run:
    """One run with its steps, as recorded and as Temporal has it right now."""
    return await views.show_run(parts, caller, workflow_id, run_id)


@router.get("/workflow/{workflow_id}/executions/{run_id}/output")
async def get_output(workflow_id: WorkflowId, run_id: RunId, caller: CallerDep, parts: PartsDep) -> Any:
    """What a run gave back, however large. Null until it completed."""
    async with parts.database.connect() as connection:
        row = await runs.find_run(connection, caller, workflow_id, run_id)
    return JSONResponse(row.output)


@router.get("/workflow/{workflow_id}/executions/{run_id}/steps/{step_id}/output")
async def get_step_output(
    workflow_id: WorkflowId, run_id: RunId, step_id: StepId, caller: CallerDep, parts: PartsDep
) -> Response:
    """What a step, or a part of one, gave back, however large. 404 until it succeeded."""
    async with parts.database.connect() as connection:
        await runs.find_run(connection, caller, workflow_id, run_id)
        row = await runs.find_step(connection, caller, run_id, step_id)
    if row is None or row.output_bytes is None:
        raise NotFoundError("There is no output of such a step.")
    if row.output_ref is None:
        return JSONResponse(row.output)
    (data,) = await parts.blobs.load([row.output_ref])
    return Response(data, media_type="application/json")


@router.get("/workflow/{workflow_id}/executions/{run_id}/steps/{step_id}/parts")
async def list_step_parts(
    workflow_id: WorkflowId, run_id: RunId, step_id: StepId, caller: CallerDep, parts: PartsDep, page: PageDep
) -> Page[StepState]:
    """Items of a map, or turns of a loop, that were tried or are to be, in their order."""
    async with parts.autocommit.connect() as connection:
        row = await runs.find_run(connection, caller, workflow_id, run_id)
        if step_id not in await views.step_names(parts, connection, row.definition_id, row.version):
            raise NotFoundError("There is no such step.")
    after = page.after(_PLACE)
    found = await views.show_parts(parts, caller, row, step_id, after=-1 if after is None else after, limit=page.rows)
    places = {state.id: place for place, state in found}
    return page.page([state for _, state in found], lambda state: places[state.id])


@router.post("/workflow/{workflow_id}/executions/{run_id}/signals/{name}", response_model=SentSignal, status_code=202)
async def send_signal(
    workflow_id: WorkflowId,
    run_id: RunId,
    name: Annotated[str, Path(pattern=SLUG)],
    caller: CallerDep,
    parts: PartsDep,
    idempotency: IdempotencyDep,
    request: SignalRequest = NO_PAYLOAD,
) -> Response:
    """Send a signal to the steps that wait for it: now, or when they come to it. 409 when the run has ended."""
    async with parts.autocommit.connect() as connection:
        row = await runs.find_run(connection, caller, workflow_id, run_id)
    if row.ended_at is not None:
        raise ConflictError(f"The run has already ended: {row.status}.", code="run-ended")
    await views.check_signal(parts, row, name, request.payload)
    signal = SentSignal(run_id=run_id, name=name, id=request.id or str(uuid4()))

    async def accept() -> Answer:
        await record_change(connection, caller.user_id, "run.signal", f"run/{run_id}", {"signal": name})
        return Answer.of(202, signal)

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, accept)
    await signal_run(parts.temporal, run_id, name, request.payload, from_json(answer.body)["id"])
    return answer.response()


@router.post("/workflow/{workflow_id}/executions/{run_id}/cancel", status_code=202)
async def cancel_execution(workflow_id: WorkflowId, run_id: RunId, caller: CallerDep, parts: PartsDep) -> Run:
    """Ask a run to cancel: steps under way are told and waited for; the run ends `cancelled`. 409 when it has ended."""
    async with parts.database.begin() as connection:
        row = await runs.find_run(connection, caller, workflow_id, run_id)
        if row.ended_at is not None:
            raise ConflictError(f"The run has already ended: {row.status}.", code="run-ended")
        await record_change(connection, caller.user_id, "run.cancel", f"run/{run_id}")
    await cancel_run(parts.temporal, run_id)
    await views.end_if_unstarted(parts, run_id)
    return await views.show_run(parts, caller, workflow_id, run_id)


async def _seen(workflow_id: WorkflowId, run_id: RunId, caller: CallerDep, parts: PartsDep) -> None:
    """Refuse before a stream begins: after that there is no status to answer with."""
    async with parts.database.connect() as connection:
        await runs.find_run(connection, caller, workflow_id, run_id)


@router.get(
    "/workflow/{workflow_id}/executions/{run_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(_seen)],
)
async def stream_progress(
    workflow_id: WorkflowId,
    run_id: RunId,
    caller: CallerDep,
    parts: PartsDep,
    last_event_id: Annotated[int, Header(ge=0, alias="Last-Event-ID")] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """Run progress, server-sent: `run`, `step` and `compensation` per change, `end`. Resumes behind `Last-Event-ID`."""
    async for event in run_progress.follow(parts, caller, workflow_id, run_id, last_event_id):
        yield event
