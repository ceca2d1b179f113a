"""The platform's own definitions: one for each action, to run it by itself, and its jobs."""

from typing import Any

from models.actions import WORKFLOW_ROLES, AnyAction
from models.catalogue import ACTIONS
from models.context import LOAD_REPO, LOAD_REPOSITORY

RECONCILE = "tooloo-reconcile"
ANALYTICS_NIGHT = "tooloo-analytics-night"
ARCHIVE = "tooloo-archive"
ERASURES = "tooloo-erasures"


def action_definition_id(spec: AnyAction) -> str:
    """Id of the definition that runs one action by itself."""
    return f"tooloo-{spec.service}-{spec.name}"


def platform_definitions() -> list[dict[str, Any]]:
    """Definitions that `./tooloo up` applies, as they would be posted."""
    jobs = (_reconcile(), _analytics_night(), _archive(), _erasures(), _load_repository())
    return [*map(action_definition, ACTIONS), *jobs]


def action_definition(spec: AnyAction) -> dict[str, Any]:
    """The definition that runs one action by itself."""
    return {
        "id": action_definition_id(spec),
        "name": spec.type,
        "description": spec.summary,
        "input": spec.input_schema,
        "steps": [{"id": spec.name, "service": spec.service, "action": spec.name, "input": "from:input"}],
        "output": f"from:{spec.name}",
    }


def _reconcile() -> dict[str, Any]:
    return {
        "id": RECONCILE,
        "name": "Reconcile runs",
        "description": "Brings the record of runs in line with Temporal.",
        "steps": [{"id": "reconcile", "service": "orchestration", "action": "reconcile-runs"}],
        "output": "from:reconcile",
    }


def _analytics_night() -> dict[str, Any]:
    return {
        "id": ANALYTICS_NIGHT,
        "name": "Analytics by night",
        "description": "Begins the day, lets new badges look at everybody, and compares all metrics with the events.",
        "steps": [
            {"id": "begin-day", "service": "analytics", "action": "begin-day"},
            {"id": "back-fill", "service": "analytics", "action": "back-fill-badges", "depends_on": ["begin-day"]},
            {"id": "audit", "service": "analytics", "action": "recompute", "depends_on": ["back-fill"]},
        ],
        "output": {"audit": "from:audit"},
    }


def _archive() -> dict[str, Any]:
    return {
        "id": ARCHIVE,
        "name": "Archive",
        "description": "Makes files of months of activity events that are old enough.",
        "steps": [{"id": "archive", "service": "analytics", "action": "archive"}],
        "output": "from:archive",
    }


def _erasures() -> dict[str, Any]:
    return {
        "id": ERASURES,
        "name": "Finish erasures",
        "description": "Erases people who are erased from the database also from Temporal and the archive.",
        "steps": [{"id": "finish", "service": "analytics", "action": "finish-erasures"}],
        "output": "from:finish",
    }


def _load_repository() -> dict[str, Any]:
    return {
        "id": LOAD_REPOSITORY,
        "name": "Load a repository",
        "description": "Loads a Git repository, so that it can be read and searched.",
        "access": {"execute": sorted(role.value for role in WORKFLOW_ROLES)},
        "input": LOAD_REPO.input_schema,
        "steps": [
            {"id": "load", "service": "context", "action": "load-repo", "input": "from:input"},
            {"id": "index", "service": "context", "action": "index", "input": {"repo": "from:load"}},
        ],
        "output": {"repo": "from:load", "index": "from:index"},
    }
