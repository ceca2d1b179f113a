"""From what was posted to activity events, or to why one is not taken. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from pydantic_core import to_json

from models.activity import DATA, ActivityEvent, ActivityKind, Refused
from models.identity import Caller, Role
from services.analytics.activities import Activity, instant

FUTURE = timedelta(minutes=5)
"""How far ahead of our clock an event may be: clocks differ."""
_MOST_DATA_BYTES = 16_384
EARLIEST = datetime.fromisoformat("0001-01-03T00:00:00+00:00")
"""Days before cannot be counted in every zone."""
_CODES = {"missing": "missing-field", "extra_forbidden": "unknown-field"}


@dataclass(frozen=True, slots=True)
class Reported:
    """An event that can be taken, before its learner's zone is known."""

    index: int
    owner_id: str
    source: str
    id: str
    kind: str
    at: datetime
    data: dict[str, Any]
    json: str
    """`data` as it is stored."""
    self_reported: bool

    def placed(self, zone: ZoneInfo | None) -> Activity:
        """The event at its local time: of the learner's zone, else as it came."""
        at = self.at if zone is None else self.at.astimezone(zone)
        offset = at.utcoffset() or timedelta()
        return Activity(
            owner_id=self.owner_id,
            source=self.source,
            id=self.id,
            kind=self.kind,
            at=instant(self.at),
            offset=round(offset.total_seconds()),
            data=self.data,
            self_reported=self.self_reported,
        )


class _RefusedError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_events(
    posted: Iterable[tuple[int, Any]], caller: Caller, now: datetime
) -> tuple[list[Reported], list[Refused]]:
    """Events that the caller may report, and those refused with reasons; `posted` are indexes and JSON values."""
    reported: list[Reported] = []
    refused: list[Refused] = []
    for index, value in posted:
        try:
            reported.append(_read(index, value, caller, now))
        except _RefusedError as error:
            refused.append(Refused(index=index, code=error.code, message=str(error)))
    return reported, refused


def data_of(kind: str, stored: dict[str, Any]) -> dict[str, Any]:
    """Data as rules read it, from how it is stored."""
    if kind == ActivityKind.COMPLETED:
        return {**stored, "started_at": instant(datetime.fromisoformat(stored["started_at"]))}
    return stored


def _read(index: int, value: Any, caller: Caller, now: datetime) -> Reported:
    event = _validated(ActivityEvent.model_validate, value)
    owner = event.user_id or caller.user_id
    if event.user_id is None and caller.role is Role.SERVICE:
        raise _RefusedError("missing-field", "user_id: a service says whose event it is")
    is_trusted = caller.role in {Role.ADMIN, Role.SERVICE}
    if not is_trusted and owner != caller.user_id:
        raise _RefusedError("forbidden", "user_id: learners report their own events only")
    if not is_trusted and event.kind == ActivityKind.COMPLETED:
        raise _RefusedError("forbidden", "kind: that a challenge is completed is for its grader to say")
    _check_time(event.at, now)
    model = DATA.get(event.kind)
    if model is None:
        data, json = event.data, to_json(event.data).decode()
    else:
        read = _validated(model.model_validate, event.data, "data.")
        json = read.model_dump_json(exclude_none=True)
        data = read.model_dump(exclude_none=True)
        if event.kind == ActivityKind.COMPLETED:
            data["started_at"] = _started(data["started_at"], event.at)
    if len(json.encode()) > _MOST_DATA_BYTES:
        raise _RefusedError("too-large", f"data: more than {_MOST_DATA_BYTES:,} bytes")
    return Reported(index, owner, event.source, event.id, event.kind, event.at, data, json, not is_trusted)


def _check_time(at: datetime, now: datetime) -> None:
    if at > now + FUTURE:
        ahead = round((at - now).total_seconds())
        raise _RefusedError("future", f"at: {ahead:,} s ahead of our clock; at most 300 are taken")
    if at < EARLIEST:
        raise _RefusedError("bad-time", "at: before the year 1")


def _started(started: datetime, at: datetime) -> int:
    if started > at:
        raise _RefusedError("bad-time", "data.started_at: after at, when the challenge was completed")
    return instant(started)


def _validated(validate: Callable[[Any], Any], value: Any, prefix: str = "") -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_input=False, include_context=False)
        place = ".".join(str(part) for part in first["loc"])
        more = f" (and {len(others)} more)" if others else ""
        message = f"{prefix}{place}: {first['msg']}{more}" if place else f"{prefix}{first['msg']}{more}"
        raise _RefusedError(_CODES.get(first["type"], "invalid-input"), message) from error
