"""Who may answer a question."""

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from models.runs import AskApproval
from services.orchestration.approvals import ask_approval
from services.orchestration.runs import NewRun, open_run
from tests.api.clients import problem


@pytest.mark.parametrize("answer", ["approve", "reject"])
async def test_who_sees_a_question_but_may_not_answer_it_is_told_who_may(
    admin: AsyncClient, learner: AsyncClient, database: AsyncEngine, answer: str
) -> None:
    asked = AskApproval(
        run_id="run-1",
        workflow="asking",
        step_id="ok",
        summary="May we?",
        owner_id="ada",
        roles=("author", "service"),
        allow_requester=False,
        shown=None,
        until=None,
    )
    async with database.begin() as connection:
        await open_run(
            connection, NewRun("run-1", "asking", 1, Caller(user_id="ada", role=Role.LEARNER), "api", {}, {})
        )
        await ask_approval(connection, asked, None)
    path = f"/api/v1/workflow/asking/executions/run-1/steps/ok/{answer}"
    for client in (admin, learner):
        assert "author or service" in problem(await client.post(path), 403, "forbidden")["detail"]
        assert (await client.get("/api/v1/approvals")).json()["items"] == []
    problem(await admin.post(path.replace("ok", "other")), 404, "not-found")
