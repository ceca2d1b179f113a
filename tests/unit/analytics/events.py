"""Activity events as they are posted, and as they are read."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from models.badges import BADGES
from models.identity import Caller, Role
from services.analytics.activities import Activity
from services.analytics.badge_rules import Rules
from services.analytics.reading import read_events
from services.analytics.timeline import SESSION_GAP_SECONDS, Timeline, fold

Posted = dict[str, Any]

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GRADER = Caller(user_id="grader", role=Role.SERVICE)
RULES = Rules(BADGES)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def posted(kind: str, when: datetime, **data: Any) -> Posted:
    return {"source": "grader", "user_id": "ada", "kind": kind, "at": when.isoformat(), "data": data}


def completed(when: datetime, challenge: str = "c", elapsed: float = 600, **data: Any) -> Posted:
    filled = {
        "challenge_id": challenge,
        "language": "python",
        "difficulty": "easy",
        "topics": ["loops"],
        "score": 80,
        "started_at": (when - timedelta(seconds=elapsed)).isoformat(),
        **data,
    }
    return posted("challenge.completed", when, **filled)


def read(posts: list[Posted], zone: ZoneInfo | None = None) -> list[Activity]:
    """The events in their order; `e0` is the first that was posted."""
    named = [(number, {"id": f"e{number}", **post}) for number, post in enumerate(posts)]
    reported, refused = read_events(named, GRADER, NOW)
    assert not refused
    return sorted((event.placed(zone) for event in reported), key=lambda event: event.order)


def folded(events: list[Activity], rules: Rules = RULES) -> Timeline:
    return fold(events, rules, SESSION_GAP_SECONDS)
