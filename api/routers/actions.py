"""The catalogue of actions, and running one by itself."""

from typing import Annotated

from fastapi import BackgroundTasks, Path
from starlette.responses import Response

from api import runs as views
from api.dependencies import CallerDep, PartsDep
from api.parts import Parts
from api.repeatable import IdempotencyDep
from api.routers.executions import NOTHING_SAID, WaitSeconds, execute
from api.routing import resource
from models.actions import AnyAction, ForeignAction
from models.catalogue import ACTIONS, CATALOGUE
from models.errors import NotFoundError
from models.runs import Run
from models.workflows import ActionInfo, ExecuteRequest
from workflows.platform import action_definition_id

router = resource("actions")

Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


@router.get("/actions")
async def list_actions(_: CallerDep, parts: PartsDep) -> dict[str, list[ActionInfo] | None]:
    """Every action there is, those of foreign services last, with JSON Schemas of its input and result."""
    foreign = await parts.compiled.foreign_actions()
    return {"items": [_info(spec) for spec in (*ACTIONS, *foreign)], "next_cursor": None}


@router.post("/actions/{service}.{action}/execute", response_model=Run, status_code=202)
async def execute_action(
    service: Name,
    action: Name,
    caller: CallerDep,
    parts: PartsDep,
    idempotency: IdempotencyDep,
    background: BackgroundTasks,
    request: ExecuteRequest = NOTHING_SAID,
    wait: WaitSeconds = 0,
) -> Response:
    """Run one action durably by itself: a run of one step."""
    spec = CATALOGUE.get(f"{service}.{action}") or await _foreign(parts, service, action)
    if spec is None or caller.role not in spec.roles:
        raise NotFoundError("There is no such action.")
    compiled = await views.find_runnable(parts, caller, action_definition_id(spec))
    return await execute(compiled, request, caller, parts, idempotency, background, wait)


async def _foreign(parts: Parts, service: str, action: str) -> ForeignAction | None:
    known = await parts.compiled.foreign_actions()
    return next((spec for spec in known if (spec.service, spec.name) == (service, action)), None)


def _info(spec: AnyAction) -> ActionInfo:
    return ActionInfo(
        type=spec.type,
        service=spec.service,
        action=spec.name,
        summary=spec.summary,
        task_queue=spec.queue,
        idempotent=spec.idempotent,
        roles=tuple(sorted(spec.roles)),
        retry=spec.retry,
        timeout=spec.timeout,
        input_schema=spec.input_schema,
        result_schema=spec.result_schema,
    )
