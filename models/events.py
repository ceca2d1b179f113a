"""Events of the outbox: CloudEvents 1.0 with a sequence per subject (CONTRACT 2 and 10)."""

from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from models.contract import Contract

SOURCE = "/tooloo/orchestration"
ANALYTICS_SOURCE = "/tooloo/analytics"


class EventType(StrEnum):
    """CloudEvents `type` of what TooLoo reports."""

    WORKFLOW_STARTED = "orchestration.workflow-started"
    STEP_COMPLETED = "orchestration.step-completed"
    WORKFLOW_COMPLETED = "orchestration.workflow-completed"
    ENGAGEMENT_TRACKED = "analytics.engagement-tracked"
    PROGRESS_UPDATED = "analytics.progress-updated"
    ACHIEVEMENT_UNLOCKED = "analytics.achievement-unlocked"
    BADGE_AWARDED = "analytics.badge-awarded"
    BADGE_PROGRESS = "analytics.badge-progress"


class Event(Contract):
    """One event as readers get it."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    """`user/…` or `run/…`."""
    time: datetime
    sequence: int
    """Per subject, from 1, no gaps."""
    data: dict[str, JsonValue]


def run_subject(run_id: str) -> str:
    """Subject of everything that happens to one run."""
    return f"run/{run_id}"


def user_subject(user_id: str) -> str:
    """Subject of everything that happens to one user."""
    return f"user/{user_id}"
