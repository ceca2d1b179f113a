"""Cursors that are none, of lists whose keys have several parts; and lists of parts of steps."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest
from httpx2 import AsyncClient
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from models.runs import RunStatus, StepStatus
from services.orchestration.runs import NewRun, StepRecord, close_run, open_run, record_steps
from tests.api.clients import problem

RUN = "/api/v1/workflow/listed/executions/run-1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def _run(admin: AsyncClient, database: AsyncEngine) -> None:
    """A run that has ended, with a map of one item."""
    echo = {"service": "flow", "action": "echo", "input": {"value": 1}}
    steps = [{"id": "each", "map": {"items": [1]}, **echo}, {"id": "plain", **echo}]
    assert (await admin.post("/api/v1/workflow", json={"id": "listed", "steps": steps})).is_success
    caller = Caller(user_id="root", role=Role.ADMIN)
    item = StepRecord("run-1", "each[0]", "root", StepStatus.SUCCEEDED, 1, NOW, NOW, part=True)
    async with database.begin() as connection:
        await open_run(connection, NewRun("run-1", "listed", 1, caller, "api", {}, {}))
        await record_steps(connection, [item])
        await close_run(connection, "run-1", RunStatus.COMPLETED, at=NOW)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        *(
            (path, (instant, *["x"] * ids))
            for path, ids in (("/api/v1/runs", 1), ("/api/v1/workflow/listed/executions", 1), ("/api/v1/approvals", 2))
            for instant in (
                "0000-01-01T00:00:00Z",
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-14:00",
                "2026-01-01T00:00:00",
            )
        ),
        ("/api/v1/runs", (NOW, "a\x00b")),
        ("/api/v1/workflow/listed/executions", (NOW, "\x00")),
        ("/api/v1/approvals", (NOW, "\x00", "a")),
        ("/api/v1/approvals", (NOW, "a", "\x00")),
        ("/api/v1/workflow", "\x00"),
        *((f"{RUN}/steps/each/parts", place) for place in (int("9" * 60), 2**31, -1, -(10**60))),
        *(("/api/v1/workflow/listed/versions", version) for version in (int("9" * 60), 2**31, -1)),
    ],
)
async def test_a_cursor_that_is_none_is_refused(admin: AsyncClient, path: str, key: object) -> None:
    text = str(key).encode() if isinstance(key, int) else to_json(key)
    cursor = urlsafe_b64encode(text).decode().rstrip("=")
    found = problem(await admin.get(path, params={"cursor": cursor}), 422, "invalid-input")
    assert [(error["pointer"], error["code"]) for error in found["errors"]] == [("/query/cursor", "bad-cursor")]


async def test_parts_are_those_of_a_step(admin: AsyncClient) -> None:
    assert [one["id"] for one in (await admin.get(f"{RUN}/steps/each/parts")).json()["items"]] == ["each[0]"]
    assert (await admin.get(f"{RUN}/steps/plain/parts")).json() == {"items": [], "next_cursor": None}
    problem(await admin.get(f"{RUN}/steps/nobody/parts"), 404, "not-found")
    problem(await admin.get(f"{RUN}/steps/each[0]/parts"), 404, "not-found")
