from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from api.routers.activity import _STATEMENT
from models.errors import InvalidInputError
from models.identity import Caller, Role
from services.analytics.reading import read_events
from services.analytics.xapi import read_statements

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
IDS = [UUID(int=number) for number in range(5)]
SERVICE = Caller(user_id="lms", role=Role.SERVICE)
ADL = "http://adlnet.gov/expapi/verbs/"


def statement(verb: str, extensions: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    filled = {"actor": {"mbox": "mailto:ada@example.com"}, "verb": {"id": ADL + verb}}
    return {**filled, "object": {"id": "https://a.b/c", "definition": {"extensions": extensions or {}}}, **parts}


def test_completed_statement_is_a_completed_challenge() -> None:
    (event,) = read_statements(_STATEMENT, IDS, NOW)
    assert (event["id"], event["user_id"], event["kind"]) == (_STATEMENT["id"], "ada", "challenge.completed")
    (reported,), refused = read_events([(0, event)], SERVICE, NOW)
    assert not refused
    assert (reported.data["score"], reported.data["language"], reported.data["topics"]) == (95, "python", ("arrays",))


@pytest.mark.parametrize(
    ("posted", "kind"),
    [
        (statement("initialized"), "challenge.started"),
        (statement("experienced", result={"duration": "PT90S"}), "session.heartbeat"),
        (statement("experienced", {"urn:tooloo:topic": "loops"}), "topic.studied"),
    ],
)
def test_other_verbs(posted: dict[str, Any], kind: str) -> None:
    (event,) = read_statements([posted], IDS, NOW)
    assert (event["kind"], event["id"], event["user_id"]) == (kind, str(IDS[0]), "ada@example.com")
    assert read_events([(0, event)], SERVICE, NOW)[1] == []


@pytest.mark.parametrize(
    ("result", "score"),
    [
        ({"score": {"scaled": 0.5}}, 50),
        ({"score": {"scaled": -1}}, 0),
        ({"score": {"raw": 7, "max": 10}}, 70),
        ({"success": True}, 100),
        ({"success": False}, 0),
    ],
)
def test_scores(result: dict[str, Any], score: float) -> None:
    (event,) = read_statements(statement("passed", result=result), IDS, NOW)
    assert event["data"]["score"] == score


def test_all_problems_are_told_at_once_and_nothing_is_taken() -> None:
    posted = [statement("completed"), statement("voided"), {"actor": {}}, statement("experienced", actor={})]
    with pytest.raises(InvalidInputError) as caught:
        read_statements(posted, IDS, NOW)
    pointers = [problem.pointer for problem in caught.value.problems]
    assert pointers == ["/0/result", "/1/verb/id", "/2/verb", "/2/object", "/3/actor"]
