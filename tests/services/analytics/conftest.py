from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.identity import Caller, Role
from services.analytics.ingest import Ingest

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
GRADER = Caller(user_id="grader", role=Role.SERVICE)


@pytest.fixture
def ingest(database: AsyncEngine) -> Ingest:
    return Ingest(database)


@pytest.fixture
def completed() -> Callable[..., dict[str, Any]]:
    """A completed challenge as it is posted; `n` names it."""

    def make(n: int, at: datetime, user: str = "ada", **data: Any) -> dict[str, Any]:
        filled = {
            "challenge_id": f"c{n}",
            "language": "python",
            "difficulty": "easy",
            "topics": ["loops"],
            "score": 80,
            "started_at": (at.replace(year=at.year - 1)).isoformat(),
            **data,
        }
        return {
            "id": f"e{n}",
            "source": "grader",
            "user_id": user,
            "kind": "challenge.completed",
            "at": at.isoformat(),
            "data": filled,
        }

    return make
