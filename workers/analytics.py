"""The worker of the analytics service."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from activities.analytics import AnalyticsActivities
from models import analytics
from workers.runtime import WorkerParts, WorkerSpec, main
from workflows.client import forget_runs


def _activities(parts: WorkerParts) -> Sequence[Callable[..., Any]]:
    settings, forget = parts.settings, partial(forget_runs, parts.client)
    own = AnalyticsActivities(parts.database, settings.session_gap_seconds, settings.activity_months, forget)
    return parts.adapter.activities(own, analytics.ACTIONS)


WORKER = WorkerSpec("analytics", _activities)

if __name__ == "__main__":
    main(WORKER)
