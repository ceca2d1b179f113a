"""Runs by their own id, whatever they are runs of."""

from typing import Annotated

from fastapi import Query

from api import runs as views
from api.dependencies import CallerDep, PartsDep
from api.pagination import Page, PageDep
from api.routers.executions import RUN_CURSOR, RunId, StatusFilter
from api.routing import resource
from models.definition import SLUG
from models.runs import Run
from services.orchestration import runs

router = resource("runs")


@router.get("/runs")
async def list_runs(
    caller: CallerDep,
    parts: PartsDep,
    page: PageDep,
    status: StatusFilter = None,
    workflow: Annotated[str | None, Query(pattern=SLUG)] = None,
    parent: Annotated[str | None, Query(max_length=200, description="Only runs that are steps of this run.")] = None,
) -> Page[Run]:
    """Runs of all definitions, newest first, without their steps: all for admins, one's own for others."""
    async with parts.database.connect() as connection:
        rows = await runs.list_runs(
            connection,
            caller,
            workflow=workflow,
            parent=parent,
            statuses=status or (),
            before=page.after(RUN_CURSOR),
            limit=page.rows,
        )
    return page.page([views.recorded(parts, row) for row in rows], lambda run: (run.started_at, run.run_id))


@router.get("/runs/{run_id}")
async def get_run(run_id: RunId, caller: CallerDep, parts: PartsDep) -> Run:
    """One run with its steps."""
    return await views.show_run(parts, caller, None, run_id)
