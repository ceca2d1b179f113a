"""What a plan looks like from outside: the order of its steps and what a run of it may cost in Temporal.

The budget follows from how `workflows/run_dag.py` works. A step is one activity (scheduled, started, ended; attempts
in between are not in history), asks for cancellation at most once, and its end wakes the workflow at worst on its own
(workflow task scheduled, started, completed). Expressions cost nothing but where they go through long lists or stored
values: then a local activity evaluates them. A payload over the inline limit is a reference that is far smaller.
"""

from pydantic_core import to_json

from models.plans import Budget, PlanOutline
from models.values import INLINE_LIMIT
from workflows.dag import graph
from workflows.dag.plan import Expression, Node, Plan, Template

ACTIVITY_EVENTS = 3
WORKFLOW_TASK_EVENTS = 3
PART_EVENTS = 2 + WORKFLOW_TASK_EVENTS
"""Start, first workflow task, end or continue-as-new."""
RUN_EVENTS = 3
"""Two markers for the record of the run (opened, closed) and the search attribute of the step that failed."""
CANCEL_EVENTS = 1 + WORKFLOW_TASK_EVENTS
DEADLINE_EVENTS = 2 + WORKFLOW_TASK_EVENTS
"""In each part: timer started, and cancelled or fired."""

MARKER = 1
"""A local activity, where it ends within its workflow task."""
FOREIGN_EVENTS = 2 * MARKER
"""Its input made whole, its result kept."""
CHILD_EVENTS = MARKER + 4 + 3 * WORKFLOW_TASK_EVENTS
"""Recorded, asked for, started, asked to cancel, ended."""
WAIT_EVENTS = MARKER + 3 + 2 * WORKFLOW_TASK_EVENTS
"""Timer started and ended, a signal and its payload kept."""
QUESTION_EVENTS = 3 * MARKER + 4 + 3 * WORKFLOW_TASK_EVENTS
"""Asked, settled and kept; timer started and ended, answer accepted and completed."""

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
    parents = [node.parents for node in plan.nodes[: plan.steps]]
    order = range(plan.steps)
    return PlanOutline(
        order=tuple(plan.nodes[number].id for number in order),
        on_failure=tuple(node.id for node in plan.nodes[plan.steps :]),
        parallel_groups=tuple(
            tuple(plan.nodes[number].id for number in group) for group in graph.parallel_groups(parents, order)
        ),
        critical_path=tuple(plan.nodes[number].id for number in graph.critical_path(parents, order)),
        budget=_budget(plan),
    )


def _budget(plan: Plan) -> Budget:
    in_flight = min(len(plan.nodes), plan.max_parallel)
    turns = [_turns(node) for node in plan.nodes]
    events = sum(_events(node, count) for node, count in zip(plan.nodes, turns, strict=True)) + in_flight
    size = sum(_bytes(node) * count for node, count in zip(plan.nodes, turns, strict=True))
    parts = 1 + events // HISTORY_EVENTS + size // HISTORY_BYTES
    part_events = PART_EVENTS + (DEADLINE_EVENTS if plan.timeout is not None else 0)
    return Budget(
        steps=plan.steps,
        open_maps=sum(node.each is not None and _items(node) is None for node in plan.nodes),
        history_events=events + parts * part_events + RUN_EVENTS + CANCEL_EVENTS,
        history_bytes=size + parts * _part_bytes(plan) + FAILURE_BYTES,
    )


def _turns(node: Node) -> int:
    if node.loop is not None:
        return node.loop.max
    items = _items(node)
    return 1 if items is None else items


def _items(node: Node) -> int | None:
    """How many items a map goes through, where it is known."""
    items = None if node.each is None else node.each.items
    if isinstance(items, Template) and not items.slots and isinstance(items.skeleton, list):
        return len(items.skeleton)
    return None


def _events(node: Node, turns: int) -> int:
    expressions = [node.when, node.each and node.each.when, node.loop and node.loop.condition]
    expressions += [case.when for case in node.cases or ()]
    if node.each is not None:
        expressions.append(node.each.items if isinstance(node.each.items, Expression) else None)
    each_turn = _body_events(node) + sum(one is not None for one in expressions)
    undo = ACTIVITY_EVENTS + WORKFLOW_TASK_EVENTS if node.compensation is not None else 0
    return turns * (each_turn + undo)


def _body_events(node: Node) -> int:
    """Of one turn of a step, at worst."""
    if node.action is not None:
        return ACTIVITY_EVENTS + WORKFLOW_TASK_EVENTS + (FOREIGN_EVENTS if node.action.foreign else 0)
    if node.run is not None:
        return CHILD_EVENTS
    if node.pause is not None:
        return WAIT_EVENTS
    return QUESTION_EVENTS if node.question is not None else 0


def _bytes(node: Node) -> int:
    """Of one turn of a step, at worst."""
    names = [node.id, node.summary]
    for action in (node.action, node.compensation and node.compensation.action):
        if action is not None:
            names += [action.type, action.queue, *action.retry.non_retryable]
    given = 2 * INLINE_LIMIT if node.template.slots else min(INLINE_LIMIT, len(to_json(node.template.skeleton)))
    size = STEP_BYTES + sum(len(name.encode()) for name in names) + given + max(FAILURE_BYTES, INLINE_LIMIT)
    return size if node.compensation is None else 2 * size


def _part_bytes(plan: Plan) -> int:
    """The arguments (plan, request, progress), the result and the rest of a part's own events."""
    return PART_BYTES + min(INLINE_LIMIT, len(plan.json)) + 3 * INLINE_LIMIT
