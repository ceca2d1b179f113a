"""Workflow definitions."""

import asyncio
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import TypeAdapter
from starlette.responses import Response

from api.bodies import DOCUMENT_BODY, DocumentDep
from api.dependencies import CallerDep, DatabaseDep, PartsDep, require
from api.idempotency import Answer
from api.pagination import Page, PageDep, Place, Text
from api.parts import Parts
from api.repeatable import IdempotencyDep
from api.routing import resource
from api.runs import show_run
from models.definition import SLUG, Definition
from models.errors import ConflictError, ForbiddenError, InvalidInputError
from models.graphs import EdgeKind, Graph, GraphEdge
from models.identity import Caller, Role
from models.workflows import SavedWorkflow, StoredDefinition, ValidatedWorkflow, Workflow, WorkflowSummary
from services.orchestration import definitions
from services.orchestration.graphs import graph_of, mermaid, svg
from services.schedules.tasks import count_tasks
from workflows.dag.compile import Compiled
from workflows.dag.outline import outline
from workflows.dag.plan import Plan
from workflows.dag.signature import Signature

router = resource("workflows")

_GRAPH_RESPONSES: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {}, "image/svg+xml": {}}}}
_SVG_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}

AuthorDep = Annotated[Caller, Depends(require(Role.AUTHOR, Role.ADMIN))]
WorkflowId = Annotated[str, Path(pattern=SLUG, examples=["code-review"])]
_CURSOR = TypeAdapter[str](Text)
_VERSION_CURSOR = TypeAdapter[int](Place)


@router.post("/workflow", response_model=SavedWorkflow, status_code=201, openapi_extra=DOCUMENT_BODY)
async def create_workflow(
    document: DocumentDep, caller: AuthorDep, parts: PartsDep, idempotency: IdempotencyDep
) -> Response:
    """Create or change a definition (JSON or YAML): 201 with its new version, 200 when nothing changed."""
    compiled = await _compile(parts, document, caller)

    async def save() -> Answer:
        nonlocal compiled
        if compiled.signature.calls:
            await definitions.lock_calls(connection)
            compiled = await _compile(parts, document, caller)
        plan = compiled.plan
        version, changed = await definitions.save_definition(
            connection, caller, plan.workflow, document, plan.hash, compiled.calls
        )
        saved = SavedWorkflow(
            id=plan.workflow,
            version=version,
            hash=plan.hash,
            warnings=compiled.warnings,
            links=_links(plan.workflow),
        )
        return Answer.of(201 if changed else 200, saved)

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, save)
    return answer.response()


@router.post("/workflow/validate", openapi_extra=DOCUMENT_BODY)
async def validate_workflow(document: DocumentDep, caller: AuthorDep, parts: PartsDep) -> ValidatedWorkflow:
    """Check a definition without storing it: its plan, or 422 with everything that is wrong."""
    compiled = await _compile(parts, document, caller)
    return ValidatedWorkflow(valid=True, plan=outline(compiled.plan), warnings=compiled.warnings)


@router.get("/workflow")
async def list_workflows(caller: AuthorDep, database: DatabaseDep, page: PageDep) -> Page[WorkflowSummary]:
    """Current versions of all definitions, or of one's own for authors, by id."""
    async with database.connect() as connection:
        rows = await definitions.list_definitions(connection, caller, after=page.after(_CURSOR), limit=page.rows)
    return page.page([_summary(row) for row in rows], lambda row: row.id)


@router.get("/workflow/{workflow_id}")
async def get_workflow(workflow_id: WorkflowId, caller: AuthorDep, parts: PartsDep) -> Workflow:
    """The current version of a definition, with the schemas that make it an action to others."""
    async with parts.autocommit.connect() as connection:
        stored = await definitions.find_definition(connection, caller, workflow_id)
    try:
        signature = (await parts.compiled.compiled(stored)).signature
    except ConflictError:  # what it names is gone; it is still there to be read
        signature = Signature(stored.id, stored.version, stored.source.get("input"), {}, {})
    return Workflow(
        **_summary(stored).model_dump(),
        definition=stored.source,
        input_schema=signature.input_schema,
        output_schema=signature.output_schema,
        links=_links(workflow_id),
    )


@router.delete("/workflow/{workflow_id}", status_code=204)
async def delete_workflow(workflow_id: WorkflowId, caller: AuthorDep, database: DatabaseDep) -> None:
    """Delete a definition. Its runs go on and stay readable; posting it again continues the count of versions."""
    async with database.begin() as connection:
        if workflow_id.startswith(definitions.PLATFORM_PREFIX):
            await definitions.find_definition(connection, caller, workflow_id)
            raise ForbiddenError(f"{workflow_id} belongs to TooLoo itself.")
        await definitions.delete_definition(connection, caller, workflow_id)
        if count := await count_tasks(connection, workflow_id):
            raise ConflictError(
                f"{workflow_id} is run by a schedule ({count}): delete the tasks first.", code="scheduled"
            )


@router.get("/workflow/{workflow_id}/versions")
async def list_versions(
    workflow_id: WorkflowId, caller: AuthorDep, database: DatabaseDep, page: PageDep
) -> Page[WorkflowSummary]:
    """Versions of a definition, newest first."""
    async with database.connect() as connection:
        rows = await definitions.list_versions(
            connection, caller, workflow_id, before=page.after(_VERSION_CURSOR), limit=page.rows
        )
    return page.page([_summary(row) for row in rows], lambda row: row.version)


class GraphFormat(StrEnum):
    """How a DAG is given."""

    JSON = "json"
    MERMAID = "mermaid"
    SVG = "svg"


@router.get("/workflow/{workflow_id}/graph", response_model=Graph, responses=_GRAPH_RESPONSES)
async def get_graph(
    workflow_id: WorkflowId,
    caller: CallerDep,
    parts: PartsDep,
    format: GraphFormat = GraphFormat.JSON,  # noqa: A002 - the name of the query parameter
    run: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The DAG as data, a Mermaid flowchart or a drawing; with `run`, that run's version and the states of its steps.

    Of a run, edges say whether they were taken; steps say what they wait for and until when, and how far they are.
    """
    shown = None if run is None else await show_run(parts, caller, workflow_id, run)
    if shown is None and caller.role not in {Role.AUTHOR, Role.ADMIN}:
        raise ForbiddenError("Without a run, this needs the role author or admin.")
    async with parts.database.connect() as connection:
        if shown is None:
            stored = await definitions.find_definition(connection, caller, workflow_id)
        else:
            stored = await definitions.find_version(connection, workflow_id, shown.version)
    plan = (await parts.compiled.outlined(stored)).plan
    definition = Definition.model_validate(stored.source)
    versions = {node.id: node.run.version for node in plan.nodes if node.run is not None}
    graph = graph_of(definition, stored.version, _edges(plan), shown, versions)
    match format:
        case GraphFormat.JSON:
            return Response(graph.model_dump_json(), media_type="application/json")
        case GraphFormat.MERMAID:
            return Response(mermaid(graph), media_type="text/plain; charset=utf-8")
        case GraphFormat.SVG:
            drawing = await asyncio.to_thread(svg, graph)  # a monstrous graph takes seconds
            return Response(drawing, media_type="image/svg+xml", headers=_SVG_HEADERS)


def _edges(plan: Plan) -> Iterator[GraphEdge]:
    for node in plan.nodes:
        read = node.sources
        for parent in node.parents:
            kind = EdgeKind.DATA if parent in read else EdgeKind.ORDER
            yield GraphEdge(source=plan.nodes[parent].id, target=node.id, kind=kind)


async def _compile(parts: Parts, document: Any, caller: Caller) -> Compiled:
    compiled = await parts.compiled.compile(document, caller.role)
    if isinstance(compiled, Compiled):
        return compiled
    count = "one problem" if len(compiled) == 1 else f"{len(compiled)} problems"
    raise InvalidInputError(f"The definition has {count}.", problems=compiled, code="invalid-definition")


def _summary(stored: StoredDefinition) -> WorkflowSummary:
    return WorkflowSummary(
        id=stored.id,
        name=stored.source.get("name", ""),
        version=stored.version,
        hash=stored.hash,
        owner_id=stored.owner_id,
        created_at=stored.created_at,
    )


def _links(workflow_id: str) -> dict[str, str]:
    this = f"/api/v1/workflow/{workflow_id}"
    return {
        "self": this,
        "execute": f"{this}/execute",
        "executions": f"{this}/executions",
        "versions": f"{this}/versions",
        "graph": f"{this}/graph",
    }
