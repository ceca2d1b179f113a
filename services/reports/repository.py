"""The table of reports. Functions take a connection and never commit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.analytics import Report
from models.errors import NotFoundError
from models.identity import Caller
from models.persistence.tables import reports
from services.reports.documents import Documents
from services.reports.formats import Format

_SUMMARY = (reports.c.id, reports.c.title, reports.c.headline, reports.c.created_at)


@dataclass(frozen=True)
class StoredReport:
    """A report with its documents."""

    summary: Report
    markdown: str
    html: str
    data: dict[str, Any]
    """As `Documents.data`."""

    def as_json(self) -> dict[str, Any]:
        """The JSON document: the summary's fields and the `data`."""
        return {**self.summary.model_dump(mode="json"), "data": self.data}


async def save_report(
    connection: AsyncConnection, *, owner_id: str, run_id: str, step_id: str, documents: Documents
) -> Report:
    """Keep the report of a step. A step that has one already (an earlier attempt) keeps it and gets it back."""
    place = {"run_id": run_id, "step_id": step_id}
    insertion = (
        upsert(reports)
        .values(owner_id=owner_id, **place, **vars(documents))
        .on_conflict_do_nothing(index_elements=list(place))
        .returning(*_SUMMARY)
    )
    row = (await connection.execute(insertion)).one_or_none()
    if row is None:
        row = (await connection.execute(select(*_SUMMARY).filter_by(**place))).one()
    return _summary(row.id, row.title, row.headline, row.created_at)


async def read_report(connection: AsyncConnection, report_id: str, caller: Caller) -> StoredReport:
    """A report of the caller's, or anyone's for an admin. Raises NotFoundError for what is missing or another's."""
    missing = NotFoundError("There is no such report.")
    if not _is_uuid(report_id):
        raise missing
    query = select(*_SUMMARY, reports.c.markdown, reports.c.html, reports.c.data).where(reports.c.id == report_id)
    if not caller.sees_all:
        query = query.where(reports.c.owner_id == caller.user_id)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise missing
    summary = _summary(row.id, row.title, row.headline, row.created_at)
    return StoredReport(summary, row.markdown, row.html, row.data)


def _summary(report_id: str, title: str, headline: str, created_at: datetime) -> Report:
    return Report(
        id=report_id,
        title=title,
        headline=headline,
        url=f"/api/v1/reports/{report_id}",
        formats=tuple(Format),
        created_at=created_at,
    )


def _is_uuid(text: str) -> bool:
    """Whether PostgreSQL would take it as the id of a report, in the one spelling that links use."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
