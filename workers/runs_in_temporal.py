"""How the orchestration worker reaches runs in Temporal from their record."""

from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from models.catalogue import CATALOGUE
from models.errors import ConflictError
from models.identity import Caller, Role
from models.runs import LiveRun, RunRequest
from services.orchestration.definitions import find_version
from workflows.client import describe_run, start_run
from workflows.dag.compile import Compiled, compile_definition


class RunsInTemporal:
    """Runs as Temporal has them."""

    def __init__(self, client: Client, database: AsyncEngine) -> None:
        self._client = client
        self._database = database

    async def describe(self, run_id: str) -> LiveRun | None:
        """What Temporal knows of a run; None when it never heard of it."""
        return await describe_run(self._client, run_id)

    async def start(self, row: Row[Any]) -> None:
        """Start a run from its record. Raises ConflictError when its definition does not compile any more."""
        async with self._database.connect() as connection:
            stored = await find_version(connection, row.definition_id, row.version)
        compiled = compile_definition(stored.source, CATALOGUE, version=row.version, platform=True)
        if not isinstance(compiled, Compiled):
            raise ConflictError(
                f"{row.definition_id} v{row.version} does not compile any more: {compiled[0].message}", code="outdated"
            )
        caller = Caller(user_id=row.owner_id, role=Role(row.role))
        request = RunRequest(input=row.input, caller=caller, trigger=row.trigger)
        await start_run(self._client, compiled.plan, row.run_id, request)
