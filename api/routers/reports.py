"""Reports that workflows wrote."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Query
from pydantic_core import to_json
from starlette.responses import Response

from api.dependencies import CallerDep, LookupsDep
from api.routing import resource
from services.reports.formats import CONTENT_SECURITY_POLICY, Format, choose_format
from services.reports.repository import StoredReport, read_report

router = resource("reports")
_CONTENT = {kind.media_type.partition(";")[0]: {} for kind in Format}


@router.get("/reports/{report_id}", response_class=Response, responses={200: {"content": _CONTENT}})
async def get_report(
    report_id: Annotated[UUID, Path()],
    caller: CallerDep,
    lookups: LookupsDep,
    name: Annotated[Format | None, Query(alias="format", description="Before what Accept says.")] = None,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """A report of the caller's, or anyone's for an admin, as JSON, HTML or Markdown."""
    chosen = choose_format(name, accept)
    async with lookups.connect() as connection:
        report = await read_report(connection, str(report_id), caller)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept, Authorization",
        "Cache-Control": "private",
    }
    return Response(_content(report, chosen), media_type=chosen.media_type, headers=headers)


def _content(report: StoredReport, chosen: Format) -> str | bytes:
    match chosen:
        case Format.JSON:
            return to_json(report.as_json())
        case Format.HTML:
            return report.html
        case Format.MARKDOWN:
            return report.markdown
