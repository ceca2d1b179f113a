import asyncio

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from models.analytics import Report
from models.errors import NotFoundError
from models.identity import Caller, Role
from models.persistence.tables import reports, users
from services.reports.analysis.report import write_analysis_report
from services.reports.documents import Documents
from services.reports.repository import read_report, save_report
from tests.services.reports.report_examples import empty_analysis, example_analysis

ADA = Caller(user_id="ada", role=Role.LEARNER)
BOB = Caller(user_id="bob", role=Role.AUTHOR)
ROOT = Caller(user_id="root", role=Role.ADMIN)
NOBODYS_ID = "019aa000-0000-7000-8000-000000000000"


@pytest.fixture
async def people(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        rows = [{"id": caller.user_id, "role": caller.role.value} for caller in (ADA, BOB, ROOT)]
        await connection.execute(insert(users), rows)


async def _save(database: AsyncEngine, documents: Documents, step_id: str = "report") -> Report:
    async with database.begin() as connection:
        return await save_report(connection, owner_id="ada", run_id="run-1", step_id=step_id, documents=documents)


async def _count(database: AsyncEngine) -> int | None:
    async with database.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(reports))


@pytest.mark.usefixtures("people")
async def test_report_is_read_back_as_it_was_written(database: AsyncEngine) -> None:
    documents = write_analysis_report(example_analysis())
    saved = await _save(database, documents)
    async with database.connect() as connection:
        stored = await read_report(connection, saved.id, ADA)
    assert stored.summary == saved
    assert (stored.markdown, stored.html, stored.data) == (documents.markdown, documents.html, documents.data)
    assert saved.url == f"/api/v1/reports/{saved.id}"
    assert saved.formats == ("json", "html", "markdown")
    assert stored.as_json() == {**saved.model_dump(mode="json"), "data": documents.data}


@pytest.mark.usefixtures("people")
async def test_second_attempt_gets_the_first_report(database: AsyncEngine) -> None:
    first = await _save(database, write_analysis_report(example_analysis()))
    again = await _save(database, write_analysis_report(empty_analysis()))
    assert again == first
    assert await _count(database) == 1


@pytest.mark.usefixtures("people")
async def test_attempts_at_the_same_time_leave_one_report(database: AsyncEngine) -> None:
    documents = write_analysis_report(empty_analysis())
    saved = await asyncio.gather(*(_save(database, documents) for _ in range(8)))
    assert len({report.id for report in saved}) == 1
    assert await _count(database) == 1


@pytest.mark.usefixtures("people")
async def test_steps_have_reports_of_their_own(database: AsyncEngine) -> None:
    documents = write_analysis_report(empty_analysis())
    assert (await _save(database, documents, "a")).id != (await _save(database, documents, "b")).id


@pytest.mark.usefixtures("people")
async def test_another_users_report_is_told_apart_from_a_missing_one_by_admins_only(database: AsyncEngine) -> None:
    saved = await _save(database, write_analysis_report(empty_analysis()))
    async with database.connect() as connection:
        assert (await read_report(connection, saved.id, ROOT)).summary == saved
        with pytest.raises(NotFoundError) as others:
            await read_report(connection, saved.id, BOB)
        with pytest.raises(NotFoundError) as missing:
            await read_report(connection, NOBODYS_ID, BOB)
    assert str(others.value).replace(saved.id, NOBODYS_ID) == str(missing.value)


@pytest.mark.parametrize("report_id", ["", "1", "x" * 500, "'; DROP TABLE reports; --", "\0", NOBODYS_ID.upper()])
async def test_what_is_no_id_is_not_found(database: AsyncEngine, report_id: str) -> None:
    async with database.connect() as connection:
        with pytest.raises(NotFoundError):
            await read_report(connection, report_id, ROOT)


@pytest.mark.usefixtures("people")
async def test_names_that_postgresql_refuses_are_stored_all_the_same(database: AsyncEngine) -> None:
    analysis = example_analysis().model_copy(update={"manifests": ("a\0b",), "average_complexity": float("inf")})
    saved = await _save(database, write_analysis_report(analysis, title="\0"))
    async with database.connect() as connection:
        stored = await read_report(connection, saved.id, ADA)
    assert stored.summary.title == r"\x00"
    assert stored.data["analysis"]["manifests"] == ["a\N{REPLACEMENT CHARACTER}b"]
    assert stored.data["analysis"]["average_complexity"] is None
