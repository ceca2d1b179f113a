"""What a plan looks like from outside: the order of its steps and what a run of it may cost in Temporal.

The budget follows from how `workflows/run_dag.py` works. A step is one activity (scheduled, started, ended; attempts
in between are not in history), asks for cancellation at most once, and its end wakes the workflow at worst on its own
(workflow task scheduled, started, completed). A payload over the inline limit is a reference that is far smaller.
"""

from pydantic_core import to_json

from models.plans import Budget, PlanOutline
from models.values import INLINE_LIMIT
from workflows.dag import graph
from workflows.dag.plan import Node, Plan

ACTIVITY_EVENTS = 3
WORKFLOW_TASK_EVENTS = 3
PART_EVENTS = 2 + WORKFLOW_TASK_EVENTS
"""Start, first workflow task, end or continue-as-new."""
RUN_EVENTS = 3
"""Two markers for the record of the run (opened, closed) and the search attribute of the step that failed."""
CANCEL_EVENTS = 1 + WORKFLOW_TASK_EVENTS
DEADLINE_EVENTS = 2 + WORKFLOW_TASK_EVENTS
"""In each part: timer started, and cancelled or fired."""

HISTORY_EVENTS = 4_000
HISTORY_BYTES = 4 * 1024 * 1024
"""A history that is longer goes on in a new part."""

FAILURE_BYTES = 16 * 1024
"""The last failure beside the start of an activity and the failure it ends with: texts are cut to 2,000 characters."""
STEP_BYTES = 2_048
"""Everything of a step's events but payloads and names."""
PART_BYTES = 8_192
"""Everything of a part's own events but payloads."""


def outline(plan: Plan) -> PlanOutline:
    """A plan by the ids of its steps, with its budget."""
    parents = [node.parents for node in plan.nodes]
    order = range(len(plan.nodes))
    return PlanOutline(
        order=tuple(node.id for node in plan.nodes),
        parallel_groups=tuple(
            tuple(plan.nodes[number].id for number in group) for group in graph.parallel_groups(parents, order)
        ),
        critical_path=tuple(plan.nodes[number].id for number in graph.critical_path(parents, order)),
        budget=_budget(plan),
    )


def _budget(plan: Plan) -> Budget:
    steps = len(plan.nodes)
    in_flight = min(steps, plan.max_parallel)
    step_events = steps * (ACTIVITY_EVENTS + WORKFLOW_TASK_EVENTS) + in_flight
    step_bytes = sum(_step_bytes(node) for node in plan.nodes)
    parts = 1 + step_events // HISTORY_EVENTS + step_bytes // HISTORY_BYTES
    part_events = PART_EVENTS + (DEADLINE_EVENTS if plan.timeout is not None else 0)
    return Budget(
        steps=steps,
        history_events=step_events + parts * part_events + RUN_EVENTS + CANCEL_EVENTS,
        history_bytes=step_bytes + parts * _part_bytes(plan) + FAILURE_BYTES,
    )


def _step_bytes(node: Node) -> int:
    names = sum(
        len(name.encode()) for name in (node.id, node.action, node.queue, node.summary, *node.retry.non_retryable)
    )
    given = 2 * INLINE_LIMIT if node.template.slots else min(INLINE_LIMIT, len(to_json(node.template.skeleton)))
    return STEP_BYTES + names + given + max(FAILURE_BYTES, INLINE_LIMIT)


def _part_bytes(plan: Plan) -> int:
    """The arguments (plan, request, progress), the result and the rest of a part's own events."""
    return PART_BYTES + min(INLINE_LIMIT, len(plan.json)) + 3 * INLINE_LIMIT
