"""The explicit tables of services and actions. Adding one is adding a line here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from models import analytics, context, flow, orchestration
from models.actions import ActionSpec

SERVICES = (
    "api",
    "orchestration",
    "context",
    "analytics",
    "learning",
    "provider",
    "integration",
    "events",
    "reports",
)
"""The nine services of the contract, each with a health entry."""

ACTIONS: tuple[ActionSpec[Any, Any], ...] = (
    *flow.ACTIONS,
    *context.ACTIONS,
    *analytics.ACTIONS,
    *orchestration.ACTIONS,
)

CATALOGUE: Mapping[str, ActionSpec[Any, Any]] = MappingProxyType({spec.type: spec for spec in ACTIONS})
"""Every action by its type, `service.name`."""

WORKER_SERVICES = tuple(name for name in SERVICES if any(spec.queue == name for spec in ACTIONS))
"""Services with actions: each is a worker process with the task queue of its name."""
