"""What a run is started with, by the API and by a run whose step it is."""

from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from models.identity import Caller
from models.runs import RunRequest
from workflows.dag.plan import Plan
from workflows.search_attributes import DEFINITION, TRIGGER, USER, VERSION

PLACE_IS_FREE = "tooloo-place-is-free"
"""The signal to a run that waits for its place among those of its definition."""
RUN_TASK = "tooloo-run-task"
"""The workflow that schedules start."""
FAIRNESS_CHARACTERS = 64
"""Temporal's limit of a fairness key."""


def run_attributes(plan: Plan, request: RunRequest) -> TypedSearchAttributes:
    """What runs are found by."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(DEFINITION, plan.workflow),
            SearchAttributePair(VERSION, plan.version),
            SearchAttributePair(USER, request.caller.user_id),
            SearchAttributePair(TRIGGER, request.trigger),
        ]
    )


def run_summary(plan: Plan) -> str:
    """What the Temporal Web UI says of a run."""
    return f"{plan.workflow} v{plan.version}: {plan.steps} steps"


def run_priority(caller: Caller, priority: int | None = None) -> Priority:
    """Users take turns where their runs wait for the same workers; a step's priority comes before that."""
    return Priority(priority_key=priority, fairness_key=caller.user_id[:FAIRNESS_CHARACTERS])
