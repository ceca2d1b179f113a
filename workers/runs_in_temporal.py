"""What the orchestration worker's activities need of the compiler and of runs in Temporal."""

import asyncio
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from models.errors import ConflictError, InvalidInputError, NotFoundError
from models.identity import Caller, Role
from models.runs import LiveRun, RunRequest
from models.workflows import ChildPlan
from services.orchestration.definition_source import DefinitionsInDatabase
from workflows.client import cancel_run, describe_run, start_run, wake_run
from workflows.compiled import CompiledDefinitions
from workflows.dag.compile import Compiled
from workflows.dag.expressions import ExpressionFailedError, evaluate
from workflows.dag.validation import validate_value


class RunsInTemporal:
    """Runs as Temporal has them, and the plans they run."""

    def __init__(self, client: Client, database: AsyncEngine) -> None:
        self._client = client
        self._definitions = CompiledDefinitions(DefinitionsInDatabase(database))

    async def describe(self, run_id: str) -> LiveRun | None:
        """What Temporal knows of a run; None when it never heard of it."""
        return await describe_run(self._client, run_id)

    async def cancel(self, run_id: str) -> None:
        """Ask a run to cancel."""
        await cancel_run(self._client, run_id)

    async def wake(self, run_id: str) -> None:
        """Let a run that waits for its place ask again. It will by itself, later."""
        await wake_run(self._client, run_id)

    async def start(self, row: Row[Any]) -> None:
        """Start a run from its record. Raises ConflictError when its definition does not compile any more."""
        compiled = await self._compiled(row.definition_id, row.version)
        request = RunRequest(
            input=row.input,
            caller=Caller(user_id=row.owner_id, role=Role(row.role)),
            trigger=row.trigger,
            admitted=row.admitted_at is not None,
            dry_run=row.dry_run,
        )
        await start_run(self._client, compiled.plan, row.run_id, request)

    async def plan(self, caller: Caller, workflow: str, version: int, run_input: Any) -> ChildPlan:
        """The plan of a definition that the caller may run with that input.

        Raises TooLooError.
        """
        compiled = await self._compiled(workflow, version)
        if caller.role not in compiled.roles:
            raise NotFoundError(f"There is no workflow {workflow} that the role {caller.role} may run.")
        problems = [] if compiled.head.input is None else validate_value(compiled.head.input, run_input, "/input")
        if problems:
            first = f"{problems[0].pointer}: {problems[0].message}"
            raise InvalidInputError(f"The input does not fit {workflow}: {first}", problems=problems)
        plan = compiled.plan
        return ChildPlan(plan.json, is_limited=plan.concurrency is not None, labels=plan.labels)

    async def evaluate(self, text: str, item: str, variables: Any) -> Any:
        """The value of an expression. Raises InvalidInputError."""
        try:
            return await asyncio.to_thread(evaluate, text, item, variables)
        except ExpressionFailedError as error:
            raise InvalidInputError(f"{error} in {text[:200]!r}", code="expression-failed") from error

    async def _compiled(self, workflow: str, version: int) -> Compiled:
        compiled = await self._definitions.version(workflow, version)
        if compiled is None:
            raise ConflictError(f"there is no {workflow} v{version}", code="outdated")
        return compiled
