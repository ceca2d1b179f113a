"""Activity events: what learners did."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header, Request, Response
from starlette.exceptions import HTTPException

from api.activity_bodies import read_posted
from api.dependencies import PartsDep, require
from api.routing import resource
from models.activity import MOST_EVENTS, ActivityEvent, Ingested
from models.documents import read_json
from models.errors import InvalidInputError, Problem
from models.identity import Caller, Role
from services.analytics.xapi import VERSIONS, read_statements

router = resource("analytics")

ReporterDep = Annotated[Caller, Depends(require(Role.LEARNER, Role.AUTHOR, Role.ADMIN, Role.SERVICE))]
_EXAMPLE = {
    "id": "attempt-17",
    "source": "grader",
    "user_id": "ada",
    "kind": "challenge.completed",
    "at": "2026-11-25T10:00:00+01:00",
    "data": {
        "challenge_id": "two-sum",
        "language": "python",
        "difficulty": "easy",
        "topics": ["arrays"],
        "score": 95,
        "started_at": "2026-11-25T09:52:00+01:00",
    },
}
_SCHEMA = ActivityEvent.model_json_schema(ref_template="#/components/schemas/{model}")
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"anyOf": [_SCHEMA, {"type": "array", "maxItems": MOST_EVENTS, "items": _SCHEMA}]},
                "example": _EXAMPLE,
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post("/analytics/events", openapi_extra=_BODY)
async def report_activity(
    request: Request,
    caller: ReporterDep,
    parts: PartsDep,
) -> Ingested:
    """Report what learners did: one event, up to 1,000 in a list, or one a line. Sent again, nothing changes.

    Learners report their own events only, and none that says a challenge is completed.
    """
    posted, refused = await read_posted(request)
    return await parts.ingest.take(posted, caller, datetime.now(UTC), refused)


_STATEMENT = {
    "id": "5b1e4c1a-6a0a-4f38-9d52-0a2c5c2b7e11",
    "actor": {"account": {"homePage": "https://example.com", "name": "ada"}},
    "verb": {"id": "http://adlnet.gov/expapi/verbs/completed"},
    "object": {
        "id": "https://example.com/challenges/two-sum",
        "definition": {
            "extensions": {
                "urn:tooloo:language": "python",
                "urn:tooloo:difficulty": "easy",
                "urn:tooloo:topics": ["arrays"],
            }
        },
    },
    "result": {"score": {"scaled": 0.95}, "duration": "PT8M"},
    "timestamp": "2026-11-25T10:00:00+01:00",
}
_STATEMENTS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": ["object", "array"]}, "example": _STATEMENT}},
    }
}


@router.post("/analytics/xapi/statements", openapi_extra=_STATEMENTS)
async def report_statements(
    request: Request,
    response: Response,
    caller: ReporterDep,
    parts: PartsDep,
    version: Annotated[
        str | None, Header(alias="X-Experience-API-Version", description="1.0.x or 2.0.x.", examples=["1.0.3"])
    ] = None,
) -> list[str]:
    """Report xAPI statements, one or up to 1,000: all are taken, or none. The ids of the statements."""
    if version is None or not version.startswith(VERSIONS):
        message = "Send X-Experience-API-Version: 1.0.3 or 2.0.0."
        where = "/header/X-Experience-API-Version"
        raise InvalidInputError(message, problems=[Problem(pointer=where, code="bad-version", message=message)])
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "Send statements as application/json.")
    posted = read_json(await request.body())
    if isinstance(posted, list) and len(posted) > MOST_EVENTS:
        raise InvalidInputError(f"Up to {MOST_EVENTS:,} statements are taken at once.", code="too-large")
    now = datetime.now(UTC)
    events = read_statements(posted, [uuid4() for _ in range(len(posted) if isinstance(posted, list) else 1)], now)
    await parts.ingest.take_all(events, caller, now)
    response.headers["X-Experience-API-Version"] = version
    return [event["id"] for event in events]
