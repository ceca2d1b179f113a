"""An orchestration worker inside the test process, on the throw-away servers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowHandle

from activities.adapter import ActionAdapter
from activities.recorder import StepRecorder
from activities.results import ResultCache
from models.catalogue import CATALOGUE
from models.identity import Caller, Role
from models.persistence.tables import users
from models.persistence.values import BlobStore
from models.runs import RunRequest
from models.schedules import Policy
from models.settings import Settings
from services.orchestration.definition_source import DefinitionsInDatabase
from services.orchestration.definitions import save_definition
from services.orchestration.runs import NewRun, open_run
from services.schedules.tasks import StoredTask, create_task
from workers.orchestration import WORKER
from workers.runtime import WorkerParts, make_worker
from workflows.client import TASK_QUEUE, start_run, workflow_client
from workflows.compiled import CompiledDefinitions
from workflows.dag.compile import Compiled, compile_definition
from workflows.payloads import Blobs
from workflows.start import RUN_TASK

ADMIN = Caller(user_id="ada", role=Role.ADMIN)


@dataclass(frozen=True)
class Engine:
    """Starts runs of definitions as the API does."""

    client: Client
    database: AsyncEngine
    blobs: BlobStore

    async def save(self, definition: dict[str, Any]) -> None:
        """Keep a definition, so that others can run it."""
        compiled = compile_definition(definition, CATALOGUE)
        assert isinstance(compiled, Compiled), compiled
        async with self.database.begin() as connection:
            await save_definition(connection, ADMIN, definition["id"], definition, compiled.plan.hash)

    async def start(
        self, definition: dict[str, Any], run_input: Any = None, *, recorded: bool = True, **options: Any
    ) -> WorkflowHandle[Any, Any]:
        compiled = await CompiledDefinitions(DefinitionsInDatabase(self.database)).compile(definition, ADMIN.role)
        assert isinstance(compiled, Compiled), compiled
        run_id = str(uuid4())
        caller = options.pop("caller", ADMIN)
        run = NewRun(run_id, definition["id"], 0, caller, "api", run_input or {}, {})
        if recorded:
            async with self.database.begin() as connection:
                await open_run(connection, run)
        request = RunRequest(input=run_input or {}, caller=caller, recorded=recorded, **options)
        await start_run(self.client, compiled.plan, run_id, request)
        return self.client.get_workflow_handle(run_id)

    async def start_task(self, definition: dict[str, Any], run_input: Any) -> WorkflowHandle[Any, Any]:
        """Run a definition as the schedule of a task does, that a failure pauses."""
        await self.save(definition)
        task = StoredTask(
            id=str(uuid4()),
            owner_id=ADMIN.user_id,
            role=ADMIN.role,
            name="recorded",
            schedule={"type": "daily", "at": "02:30"},
            timezone="UTC",
            definition_id=definition["id"],
            target={"workflow": definition["id"]},
            input=run_input or {},
            policy=Policy(pause_on_failure=True).model_dump(mode="json"),
        )
        async with self.database.begin() as connection:
            await create_task(connection, task)
        return await self.client.start_workflow(RUN_TASK, task.id, id=f"task-{task.id}", task_queue=TASK_QUEUE)

    async def run(self, definition: dict[str, Any], run_input: Any = None) -> Any:
        return await (await self.start(definition, run_input)).result()


@asynccontextmanager
async def running_engine(
    temporal: Client, database: AsyncEngine, payloads: Blobs | None = None
) -> AsyncGenerator[Engine]:
    """An engine with its worker, for as long as it is needed. `payloads` keeps large payloads; else the database."""
    blobs = BlobStore(database)
    client = workflow_client(temporal, payloads or blobs)
    parts = WorkerParts(
        Settings(), database, blobs, client, ActionAdapter(StepRecorder(database), blobs, ResultCache(database))
    )
    async with database.begin() as connection:
        await connection.execute(upsert(users).values(id=ADMIN.user_id, role=ADMIN.role.value).on_conflict_do_nothing())
    async with make_worker(WORKER, parts):
        yield Engine(client, database, blobs)


@pytest.fixture
async def engine(temporal: Client, database: AsyncEngine) -> AsyncIterator[Engine]:
    async with running_engine(temporal, database) as engine:
        yield engine
