import pytest
from httpx2 import AsyncClient
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Role
from models.persistence.tables import reports
from tests.api.clients import MakeKey, problem


@pytest.fixture
async def report_id(database: AsyncEngine, make_key: MakeKey) -> str:
    """A report of ada's."""
    await make_key("ada", Role.LEARNER)
    row = {
        "owner_id": "ada",
        "run_id": "run",
        "step_id": "report",
        "title": "A title",
        "headline": "A headline",
        "markdown": "# A title",
        "html": "<h1>A title</h1>",
        "data": {"files": 7},
    }
    async with database.begin() as connection:
        made = await connection.scalar(insert(reports).values(row).returning(reports.c.id))
    assert isinstance(made, str)
    return made


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", None, "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/html", "text/html; charset=utf-8"),
        ("", "text/markdown;q=0.9, text/html;q=0.1", "text/markdown; charset=utf-8"),
        ("?format=html", "application/json", "text/html; charset=utf-8"),
        ("?format=markdown", None, "text/markdown; charset=utf-8"),
        ("?format=json", "text/html", "application/json"),
    ],
)
async def test_a_report_is_served_as_it_is_asked_for(
    learner: AsyncClient, report_id: str, query: str, accept: str | None, media_type: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = await learner.get(f"/api/v1/reports/{report_id}{query}", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    if media_type == "application/json":
        assert answer.json()["data"] == {"files": 7}
    else:
        assert "A title" in answer.text


async def test_admins_read_every_report(admin: AsyncClient, report_id: str) -> None:
    assert (await admin.get(f"/api/v1/reports/{report_id}")).json()["headline"] == "A headline"


async def test_anothers_report_is_like_a_missing_one(
    learner: AsyncClient, database: AsyncEngine, make_key: MakeKey, report_id: str
) -> None:
    await make_key("bob", Role.LEARNER)
    async with database.begin() as connection:
        await connection.execute(reports.update().values(owner_id="bob"))
    for missing in (report_id, "00000000-0000-7000-8000-000000000000", "nonsense"):
        problem(await learner.get(f"/api/v1/reports/{missing}"), 404, "not-found")


async def test_an_unknown_format_is_refused(learner: AsyncClient, report_id: str) -> None:
    refused = problem(await learner.get(f"/api/v1/reports/{report_id}?format=pdf"), 422, "invalid-input")
    assert refused["errors"][0]["pointer"] == "/query/format"
