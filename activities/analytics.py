"""Actions of the analytics service."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.step import Step
from models.analytics import GenerateReport, Report
from services.reports.documents import write_documents
from services.reports.repository import save_report


class AnalyticsActivities:
    """Turns what other services found out into reports that stay."""

    def __init__(self, database: AsyncEngine) -> None:
        self._database = database

    async def generate_report(self, input: GenerateReport, step: Step) -> Report:  # noqa: A002 - every action names it so
        """Write the report of an analysis and store it for the run's user; another attempt returns the same report."""
        documents = await asyncio.to_thread(write_documents, input.analysis, input.title)
        async with self._database.begin() as connection:
            return await save_report(
                connection,
                owner_id=step.caller.user_id,
                run_id=step.run_id,
                step_id=step.step_id,
                documents=documents,
            )
