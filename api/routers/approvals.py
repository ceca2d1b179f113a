"""Questions that runs put before people."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from api.dependencies import CallerDep, PartsDep
from api.pagination import Instant, Page, PageDep, Text
from api.parts import Parts
from api.routers.executions import RunId, StepId
from api.routers.workflows import WorkflowId
from api.routing import resource
from models.errors import ConflictError, ForbiddenError
from models.identity import Caller
from models.workflows import AnswerRequest, Approval
from services.orchestration import approvals
from workflows.client import answer_run
from workflows.dag.effects import Answer

router = resource("approvals")
NOTHING_SAID = AnswerRequest()
_CURSOR = TypeAdapter[tuple[datetime, str, str]](tuple[Instant, Text, Text])
_TRIES = 20
_BETWEEN_TRIES = 0.25
"""Seconds. A run that is between two parts of its history does not wait for a moment."""


@router.get("/approvals")
async def list_approvals(caller: CallerDep, parts: PartsDep, page: PageDep) -> Page[Approval]:
    """Questions that wait for your answer, the oldest first."""
    async with parts.autocommit.connect() as connection:
        rows = await approvals.list_open(connection, caller, after=page.after(_CURSOR), limit=page.rows)
    return page.page([_approval(row) for row in rows], lambda one: (one.asked_at, one.run_id, one.step_id))


@router.post("/workflow/{workflow_id}/executions/{run_id}/steps/{step_id}/approve")
async def approve_step(
    workflow_id: WorkflowId,
    run_id: RunId,
    step_id: StepId,
    caller: CallerDep,
    parts: PartsDep,
    request: AnswerRequest = NOTHING_SAID,
) -> Approval:
    """Answer a question with yes. Who has started the run may not, unless the step allows it."""
    return await _answer(parts, caller, (workflow_id, run_id, step_id), request, approved=True)


@router.post("/workflow/{workflow_id}/executions/{run_id}/steps/{step_id}/reject")
async def reject_step(
    workflow_id: WorkflowId,
    run_id: RunId,
    step_id: StepId,
    caller: CallerDep,
    parts: PartsDep,
    request: AnswerRequest = NOTHING_SAID,
) -> Approval:
    """Answer a question with no: the step fails with the code `rejected`."""
    return await _answer(parts, caller, (workflow_id, run_id, step_id), request, approved=False)


async def _answer(
    parts: Parts, caller: Caller, place: tuple[str, str, str], request: AnswerRequest, *, approved: bool
) -> Approval:
    """Hand the answer to the run. Given again by the same person, it is the one that was given."""
    answer = Answer(
        approved=approved,
        by=caller.user_id,
        role=caller.role.value,
        at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        comment=request.comment,
        data=request.data,
    )
    for tries_left in reversed(range(_TRIES)):
        row = await _find(parts, caller, place)
        if not row.may_answer:
            others = "" if row.allow_requester else ", and not by who has started the run"
            raise ForbiddenError(f"{place[2]} is answered by the role {' or '.join(row.roles)}{others}.")
        if row.status != approvals.OPEN:
            if row.status == ("approved" if approved else "rejected") and row.answered_by == caller.user_id:
                return _approval(row)
            raise ConflictError(f"The question was answered already: {row.status}.", code="already-answered")
        try:
            await answer_run(parts.temporal, place[1], place[2], answer)
            break
        except ConflictError as error:
            if error.code != "not-waiting" or not tries_left:
                raise
        await asyncio.sleep(_BETWEEN_TRIES)
    return await _settled(parts, caller, place)


async def _settled(parts: Parts, caller: Caller, place: tuple[str, str, str]) -> Approval:
    """The question with its answer, which the run records right after it has taken it."""
    row = await _find(parts, caller, place)
    for _ in range(_TRIES):
        if row.status != approvals.OPEN:
            break
        await asyncio.sleep(_BETWEEN_TRIES)
        row = await _find(parts, caller, place)
    return _approval(row)


async def _find(parts: Parts, caller: Caller, place: tuple[str, str, str]) -> Row[Any]:
    async with parts.autocommit.connect() as connection:
        return await approvals.find_approval(connection, caller, *place)


def _approval(row: Row[Any]) -> Approval:
    this = f"/api/v1/workflow/{row.definition_id}/executions/{row.run_id}"
    return Approval(
        run_id=row.run_id,
        step_id=row.step_id,
        workflow=row.definition_id,
        status=row.status,
        summary=row.summary,
        requested_by=row.owner_id,
        roles=tuple(row.roles),
        schema=row.schema,
        shown=row.shown,
        asked_at=row.asked_at,
        until=row.until,
        answered_by=row.answered_by,
        answered_at=row.answered_at,
        comment=row.comment,
        links={
            "run": this,
            "approve": f"{this}/steps/{row.step_id}/approve",
            "reject": f"{this}/steps/{row.step_id}/reject",
        },
    )
