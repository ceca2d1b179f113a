"""Reports on a learner and on all, from the definition of the documentation to the page."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from httpx2 import AsyncClient
from pydantic_core import from_json

from models.identity import Role
from models.settings import CHECKOUT
from tests.e2e.conftest import Platform

PAGE = (CHECKOUT / "docs" / "analytics.md").read_text()
(DEFINITION,) = [
    block["definition"]
    for block in map(from_json, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    if block["example"] == "reports"
]


@pytest.fixture
async def _activity(admin: AsyncClient) -> None:
    event = {"kind": "session.heartbeat", "at": datetime.now(UTC).isoformat(), "data": {"activity": "coding"}}
    events = [{**event, "id": user, "user_id": user} for user in ("ada", "bob")]
    assert (await admin.post("/analytics/events", json=events)).json()["accepted"] == len(events)


@pytest.mark.usefixtures("_activity")
async def test_a_learner_runs_the_reports_of_the_documentation(platform: Platform, admin: AsyncClient) -> None:
    assert (await admin.post("/workflow", json=DEFINITION)).status_code == 201
    async with await platform.client("ada", Role.LEARNER) as learner:
        run = (await learner.post(f"/workflow/{DEFINITION['id']}/execute", json={}, params={"wait": 60})).json()
        assert run["status"] == "completed", run["error"]
        for name, title in (("mine", "Progress of ada"), ("everybody", "Who came back")):
            address = run["output"][name].removeprefix("/api/v1")
            page = await learner.get(address, params={"format": "html"})
            assert (page.headers["content-type"], title in page.text) == ("text/html; charset=utf-8", True)
            assert (await learner.get(address)).json()["title"] == title
    async with await platform.client("bob", Role.LEARNER) as other:
        assert (await other.get(run["output"]["mine"].removeprefix("/api/v1"))).status_code == 404


@pytest.mark.usefixtures("_activity")
@pytest.mark.parametrize(
    ("action_input", "place"),
    [({}, "/input"), ({"learner": {}, "cohort": {}}, "/input"), ({"cohort": {"by": "day"}}, "/input/cohort/by")],
)
async def test_a_run_with_a_wrong_subject_is_not_started(
    admin: AsyncClient, action_input: dict[str, Any], place: str
) -> None:
    answer = await admin.post("/actions/analytics.generate-report/execute", json={"input": action_input})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [place]


@pytest.mark.usefixtures("_activity")
async def test_a_learners_run_reports_on_nobody_else(platform: Platform, admin: AsyncClient) -> None:
    given = {"learner": {"user_id": "bob"}}
    step = {"id": "report", "service": "analytics", "action": "generate-report", "input": given}
    definition = {"id": "on-bob", "name": "On Bob", "access": {"execute": ["learner", "admin"]}, "steps": [step]}
    assert (await admin.post("/workflow", json=definition)).status_code == 201
    async with await platform.client("ada", Role.LEARNER) as learner:
        run = (await learner.post("/workflow/on-bob/execute", json={}, params={"wait": 60})).json()
    assert (run["status"], run["error"]["code"]) == ("failed", "not-found")
    own = (await admin.post("/workflow/on-bob/execute", json={}, params={"wait": 60})).json()
    assert own["status"] == "completed", own["error"]
