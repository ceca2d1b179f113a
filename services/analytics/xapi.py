"""xAPI statements as activity events. Pure.

`completed`, `passed`, `failed` and `mastered` complete a challenge; `initialized`, `launched` and `attempted` start
one; anything else that says a topic (`urn:tooloo:topic`) studies it, and `experienced`, `interacted` and `progressed`
are heartbeats. Other verbs are refused: a statement that would not count is not taken.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from models.activity import ActivityKind
from models.errors import InvalidInputError, Problem
from models.xapi import DIFFICULTY, LANGUAGE, PROVIDER, TOPIC, TOPICS, Score, Statement

SOURCE = "xapi"
VERSIONS = ("1.0", "2.0")
_ADL = "http://adlnet.gov/expapi/verbs/"
_COMPLETING = {"completed", "passed", "failed", "mastered"}
_STARTING = {"initialized", "launched", "attempted"}
_WORKING = {"experienced", "interacted", "progressed"}


def read_statements(posted: Any, new_ids: Sequence[UUID], now: datetime) -> list[dict[str, Any]]:
    """The events of one statement or a list of them; `new_ids` are for those without an id.

    Raises InvalidInputError with every problem: xAPI takes all statements of a request, or none.
    """
    problems: list[Problem] = []
    events: list[dict[str, Any]] = []
    for index, value in enumerate(posted if isinstance(posted, list) else [posted]):
        prefix = f"/{index}" if isinstance(posted, list) else ""
        try:
            events.append(_event(Statement.model_validate(value), new_ids[index], now))
        except ValidationError as error:
            problems += [
                Problem(pointer=prefix + "".join(f"/{part}" for part in one["loc"]), code="invalid", message=one["msg"])
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        except _UnreadableError as error:
            problems.append(Problem(pointer=f"{prefix}/{error.place}", code="unsupported", message=str(error)))
    if problems:
        raise InvalidInputError("These statements cannot be taken.", problems=problems)
    return events


class _UnreadableError(Exception):
    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


def _event(statement: Statement, new_id: UUID, now: datetime) -> dict[str, Any]:
    at = statement.timestamp or now
    kind, data = _kind_and_data(statement, at)
    return {
        "id": str(statement.id or new_id),
        "source": SOURCE,
        "user_id": _user(statement),
        "kind": kind.value,
        "at": at,
        "data": {name: value for name, value in data.items() if value is not None},
    }


def _kind_and_data(statement: Statement, at: datetime) -> tuple[ActivityKind, dict[str, Any]]:
    said = {**statement.object.definition.extensions, **statement.context.extensions}
    verb = statement.verb.id.removeprefix(_ADL)
    lasted = statement.result.duration
    challenge = {
        "challenge_id": statement.object.id,
        "language": said.get(LANGUAGE),
        "difficulty": said.get(DIFFICULTY),
    }
    if verb in _COMPLETING:
        completed = {
            **challenge,
            "topics": said.get(TOPICS, []),
            "provider": said.get(PROVIDER),
            "score": _score(statement),
            "started_at": at - (lasted or timedelta()),
        }
        return ActivityKind.COMPLETED, completed
    if verb in _STARTING:
        return ActivityKind.STARTED, {**challenge, "topics": said.get(TOPICS)}
    seconds = None if lasted is None else lasted.total_seconds()
    if TOPIC in said:
        return ActivityKind.STUDIED, {"topic": said[TOPIC], "duration_seconds": seconds}
    if verb in _WORKING:
        return ActivityKind.HEARTBEAT, {"activity": statement.object.id[:200], "duration_seconds": seconds}
    raise _UnreadableError("verb/id", f"{statement.verb.id} has no meaning here; see the guide to analytics")


def _user(statement: Statement) -> str:
    actor = statement.actor
    if actor.account is not None:
        return actor.account.name
    if actor.mbox is not None:
        return actor.mbox.removeprefix("mailto:")
    raise _UnreadableError("actor", "name the user by account or mbox")


def _score(statement: Statement) -> float:
    """From 0 to 100: the score, else whether it was a success."""
    given = statement.result.score
    if given is not None and (found := _points(given)) is not None:
        return min(100.0, max(0.0, found))
    if statement.result.success is not None:
        return 100.0 if statement.result.success else 0.0
    raise _UnreadableError("result", "a completed challenge has a score, or says whether it was a success")


def _points(score: Score) -> float | None:
    if score.scaled is not None:
        return round(100 * score.scaled, 2)
    if score.raw is not None and score.max > score.min:
        return round(100 * (score.raw - score.min) / (score.max - score.min), 2)
    return None
