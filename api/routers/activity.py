"""Activity events: what learners did."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Request

from api.activity_bodies import read_posted
from api.dependencies import PartsDep, require
from api.routing import resource
from models.activity import MOST_EVENTS, ActivityEvent, Ingested
from models.identity import Caller, Role

router = resource("analytics")

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
    caller: Annotated[Caller, Depends(require(Role.LEARNER, Role.AUTHOR, Role.ADMIN, Role.SERVICE))],
    parts: PartsDep,
) -> Ingested:
    """Report what learners did: one event, up to 1,000 in a list, or one a line. Sent again, nothing changes.

    Learners report their own events only, and none that says a challenge is completed.
    """
    posted, refused = await read_posted(request)
    return await parts.ingest.take(posted, caller, datetime.now(UTC), refused)
