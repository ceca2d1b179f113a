"""Foreign services: actions whose workers somebody else has written."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from fastapi import Path
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from api.dependencies import AdminDep, CallerDep, LookupsDep, PartsDep
from api.idempotency import Answer
from api.repeatable import IdempotencyDep
from api.routing import resource
from models.actions import AnyAction, ForeignAction
from models.catalogue import ACTIONS, CATALOGUE, SERVICES
from models.definition import SLUG
from models.errors import ConflictError, InvalidInputError, NotFoundError, Problem
from models.identity import SYSTEM
from models.services import NewService, Service, actions_of
from services.orchestration import definitions, foreign_services
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.user_schemas import check_schema
from workflows.platform import action_definition, action_definition_id

router = resource("services")

ServiceName = Annotated[str, Path(pattern=SLUG)]
_OURS = frozenset((*SERVICES, *(spec.service for spec in CATALOGUE.values()), "tooloo"))


@router.post("/services", response_model=Service, status_code=201)
async def register_service(
    service: NewService, caller: AdminDep, parts: PartsDep, idempotency: IdempotencyDep
) -> Response:
    """Add a service, or change it (200): its steps are checked against these schemas, and run on its task queue.

    409 for an action that is no longer among them while a workflow uses it.
    """
    others = [action for action in await parts.compiled.foreign_actions() if action.service != service.name]
    actions = actions_of(service)
    compiled = [_compile(action) for action in actions]
    problems = [*_name_problems(service, (*ACTIONS, *others)), *_schema_problems(actions, compiled)]
    if problems:
        raise InvalidInputError(f"The service {service.name} cannot be registered.", problems=problems)

    async def save() -> Answer:
        known = await foreign_services.find_service(connection, service.name)
        kept = {action.type for action in actions}
        await _take_away(connection, [one for one in (actions_of(known) if known else ()) if one.type not in kept])
        saved = await foreign_services.register_service(connection, caller, service, is_new=known is None)
        for action, one in zip(actions, compiled, strict=True):
            assert isinstance(one, Compiled)  # noqa: S101 - there are no problems
            source = action_definition(action)
            await definitions.save_definition(connection, SYSTEM, source["id"], source, one.plan.hash)
        return Answer.of(201 if known is None else 200, saved)

    async with parts.database.begin() as connection:
        answer = await idempotency.answer_once(connection, save)
    return answer.response()


@router.get("/services")
async def list_services(_: CallerDep, database: LookupsDep) -> dict[str, list[Service] | None]:
    """Every registered service, with the schemas of its actions."""
    async with database.connect() as connection:
        return {"items": await foreign_services.list_services(connection), "next_cursor": None}


@router.delete("/services/{name}", status_code=204)
async def delete_service(name: ServiceName, caller: AdminDep, parts: PartsDep) -> None:
    """Take a service out. 409 while a workflow uses it."""
    async with parts.database.begin() as connection:
        service = await foreign_services.find_service(connection, name)
        if service is None:
            raise NotFoundError("There is no such service.")
        await _take_away(connection, actions_of(service))
        await foreign_services.delete_service(connection, caller, name)


async def _take_away(connection: AsyncConnection, actions: Sequence[ForeignAction]) -> None:
    """Delete the definitions that run actions of a service by themselves. Raises ConflictError while one is used."""
    if not actions:
        return
    service, names = actions[0].service, [action.name for action in actions]
    own = [action_definition_id(action) for action in actions]
    users = await definitions.users_of_actions(connection, service, names, own)
    if users:
        used = service if len(names) > 1 else actions[0].type
        raise ConflictError(f"{used} is used by {', '.join(users[:10])}.", code="in-use")
    await definitions.delete_definitions(connection, SYSTEM, own)


def _compile(action: ForeignAction) -> Compiled | list[Problem]:
    """The definition that runs an action by itself."""
    problems = check_schema(action.result_schema, "/result")
    return problems or compile_definition(action_definition(action), {action.type: action}, platform=True)


def _name_problems(service: NewService, others: Iterable[AnyAction]) -> Iterator[Problem]:
    if service.name in _OURS or service.name.startswith(definitions.PLATFORM_PREFIX):
        yield Problem(pointer="/name", code="reserved-id", message=f"{service.name} is a service of TooLoo itself")
    if service.task_queue in _OURS:
        message = f"{service.task_queue} is a task queue of TooLoo itself: its workers do not know these actions"
        yield Problem(pointer="/task_queue", code="reserved-id", message=message)
    taken = {action_definition_id(action): action.type for action in others}
    for index, action in enumerate(actions_of(service)):
        definition = action_definition_id(action)
        if definition in taken:
            message = f"{definition}, which would run it by itself, already runs {taken[definition]}"
            yield Problem(pointer=f"/actions/{index}/name", code="duplicate-action", message=message)
        taken[definition] = action.type


def _schema_problems(
    actions: Iterable[ForeignAction], compiled: Iterable[Compiled | list[Problem]]
) -> Iterator[Problem]:
    for index, (action, one) in enumerate(zip(actions, compiled, strict=True)):
        for problem in one if isinstance(one, list) else ():
            kind, _, rest = problem.pointer.removeprefix("/").partition("/")
            if kind in {"input", "result"}:
                pointer = f"/actions/{index}/{kind}_schema" + (f"/{rest}" if rest else "")
                yield problem.model_copy(update={"pointer": pointer})
            else:
                message = f"{action_definition_id(action)} could not run it by itself: {problem.message}"
                yield Problem(pointer=f"/actions/{index}/name", code=problem.code, message=message)
