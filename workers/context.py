"""The worker of the context service."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.context import ContextActivities
from models import context
from workers.runtime import WorkerParts, WorkerSpec, main


def _activities(parts: WorkerParts) -> Sequence[Callable[..., Any]]:
    return parts.adapter.activities(ContextActivities(parts.settings, parts.database), context.ACTIONS)


WORKER = WorkerSpec("context", _activities)

if __name__ == "__main__":
    main(WORKER)
