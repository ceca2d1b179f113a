"""Activity events as they are posted."""

from datetime import UTC, datetime
from typing import Any

from httpx2 import AsyncClient

BASE = "/api/v1/analytics"
EVENTS = f"{BASE}/events"


def now() -> datetime:
    return datetime.now(UTC)


def event(name: object, at: datetime | None = None, kind: str = "x-note", **parts: Any) -> dict[str, Any]:
    """One event; `parts` are the other fields and `data` in full."""
    return {"id": str(name), "source": "test", "kind": kind, "at": (at or now()).isoformat(), **parts}


def heartbeat(name: object, at: datetime | None = None, user: str = "ada", seconds: float = 0) -> dict[str, Any]:
    data = {"activity": "coding", "duration_seconds": seconds}
    return event(name, at, "session.heartbeat", user_id=user, data=data)


def completed(name: object, at: datetime | None = None, user: str = "ada", **data: Any) -> dict[str, Any]:
    """A completed challenge that earns nothing but what `data` says (and perhaps what the time of day does)."""
    filled = {
        "challenge_id": str(name),
        "language": "python",
        "difficulty": "easy",
        "topics": ["loops"],
        "score": 80,
        "started_at": "2001-01-01T00:00:00Z",
        **data,
    }
    return event(name, at, "challenge.completed", user_id=user, data=filled)


async def report(client: AsyncClient, *events: dict[str, Any]) -> None:
    """Post events, which must all be new and taken."""
    answer = await client.post(EVENTS, json=list(events))
    assert answer.json() == {"accepted": len(events), "duplicate": 0, "refused": []}, answer.text


async def read(client: AsyncClient, path: str, **parameters: Any) -> Any:
    """What is answered under the path, which must be there."""
    answer = await client.get(BASE + path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()
