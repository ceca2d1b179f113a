"""Contracts of the analytics actions."""

from datetime import datetime

from pydantic import Field

from models.actions import ActionSpec, Timeout
from models.context import Analysis
from models.contract import Contract


class GenerateReport(Contract):
    """What to report on."""

    analysis: Analysis
    title: str | None = Field(default=None, max_length=200)


class Report(Contract):
    """A stored report. Its documents are read at `GET /api/v1/reports/{id}`."""

    id: str
    title: str
    headline: str
    """One sentence with the figures that matter."""
    url: str
    """Path of the report on this platform's API."""
    formats: tuple[str, ...]
    created_at: datetime


GENERATE_REPORT = ActionSpec(
    service="analytics",
    name="generate-report",
    summary="Write and store a report as Markdown, HTML and JSON",
    input=GenerateReport,
    result=Report,
    timeout=Timeout(start_to_close=120.0),
)

ACTIONS = (GENERATE_REPORT,)
