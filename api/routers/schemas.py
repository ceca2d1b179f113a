"""Published JSON Schemas."""

from functools import cache
from typing import Any

from starlette.responses import JSONResponse

from api.dependencies import CallerDep
from api.routing import resource
from models.definition import definition_schema

router = resource("schemas")


@router.get("/schemas/workflow.json")
async def get_workflow_schema(_: CallerDep) -> JSONResponse:
    """JSON Schema 2020-12 of workflow definitions, for editors and generators."""
    return JSONResponse(_schema(), media_type="application/schema+json")


@cache
def _schema() -> dict[str, Any]:
    return definition_schema()
