"""`repo:.`: the checkout that the platform runs from, loaded for everybody."""

import asyncio
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from models.context import LOAD_REPOSITORY, LoadRepo
from models.errors import NotFoundError
from models.identity import SYSTEM
from models.runs import RunRequest
from models.settings import CHECKOUT, Settings
from services.context import repositories
from services.context.local import Roots, head_of
from services.context.repositories import CHECKOUT_NAME, Wanted
from services.context.search.manifest import IndexFolder
from services.context.sources import LocalSource
from services.orchestration.runs import NewRun, open_run
from workflows.client import start_run
from workflows.dag.plan import Plan

_log = structlog.get_logger(__name__)


async def load_checkout(settings: Settings, database: AsyncEngine, temporal: Client, plan: Plan) -> None:
    """Start a load of the checkout unless its commit can be searched already, or is on its way.

    Whatever happens is only logged. Nothing is loaded where the checkout is no Git repository, has no commit or lies
    outside of TOOLOO_REPO_ROOTS.
    """
    try:
        found = await asyncio.to_thread(_head, settings)
        if found is not None:
            await _load(settings, database, temporal, plan, *found)
    except Exception as error:  # noqa: BLE001 - `up` does without
        _log.warning("the checkout is not loaded", error=str(error), kind=type(error).__name__)


def _head(settings: Settings) -> tuple[LocalSource, str] | None:
    try:
        repository = Roots(settings.repo_roots).open(str(CHECKOUT))
    except NotFoundError:
        return None
    commit = head_of(repository)
    return None if commit is None else (LocalSource(str(repository.path)), commit)


async def _load(
    settings: Settings, database: AsyncEngine, temporal: Client, plan: Plan, source: LocalSource, commit: str
) -> None:
    wanted = Wanted(id=source.id, name=CHECKOUT_NAME, source=source.text, ref=None, run_id=str(uuid4()))
    request = LoadRepo(path=source.path).model_dump(exclude_none=True)
    run = NewRun(
        run_id=wanted.run_id,
        workflow=LOAD_REPOSITORY,
        version=plan.version,
        caller=SYSTEM,
        trigger="up",
        input=request,
        labels={},
    )
    is_indexed = await asyncio.to_thread(IndexFolder(settings.index_path, source.id).holds, commit)
    async with database.begin() as connection:
        if await repositories.is_loaded(connection, source.id, SYSTEM, commit if is_indexed else None):
            return
        await repositories.rename_others(connection, source.id)
        await open_run(connection, run)
        await repositories.claim(connection, SYSTEM, wanted, settings.repos_per_user)
    await start_run(temporal, plan, run.run_id, RunRequest(input=request, caller=SYSTEM, trigger=run.trigger))
