"""The worker of the analytics service."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.analytics import AnalyticsActivities
from models import analytics
from workers.runtime import WorkerParts, WorkerSpec, main


def _activities(parts: WorkerParts) -> Sequence[Callable[..., Any]]:
    return parts.adapter.activities(
        AnalyticsActivities(parts.database, parts.settings.session_gap_seconds), analytics.ACTIONS
    )


WORKER = WorkerSpec("analytics", _activities)

if __name__ == "__main__":
    main(WORKER)
