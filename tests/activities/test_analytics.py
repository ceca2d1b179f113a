from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.analytics import AnalyticsActivities
from activities.step import Step
from models.analytics import GenerateReport
from models.identity import Caller, Role
from models.persistence.tables import audit, reports, users
from services.reports.repository import read_report
from tests.services.reports.report_examples import example_analysis

ADA = Caller(user_id="ada", role=Role.LEARNER)


def _step(attempt: int) -> Step:
    return Step(run_id="run-1", step_id="report", definition="code-review", attempt=attempt, caller=ADA)


async def test_generate_report_stores_it_once_for_the_runs_user(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(users).values(id="ada", role="learner"))
    activities = AnalyticsActivities(database)
    order = GenerateReport(analysis=example_analysis(), title="Requests")

    report = await activities.generate_report(order, _step(attempt=1))
    again = await activities.generate_report(order, _step(attempt=2))

    assert again == report
    assert report.title == "Requests"
    async with database.connect() as connection:
        stored = await read_report(connection, report.id, ADA)
        assert await connection.scalar(select(func.count()).select_from(reports)) == 1
        assert await connection.scalar(select(func.count()).select_from(audit)) == 0
    assert stored.html.startswith("<!DOCTYPE html>")
    assert stored.data["headline"] == report.headline
