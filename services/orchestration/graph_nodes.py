"""From the steps of a definition to the nodes of a drawing, and from a run to what the nodes and edges say of it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from models.definition import ActionCall, StepDefinition, Wait
from models.graphs import EdgeState, GraphEdge, GraphNode, StepKind, Undone
from models.runs import Run, StepDetail, StepState, StepStatus
from services.orchestration.graph_text import plain
from services.orchestration.graph_wording import seconds_in_words
from services.orchestration.runs import UNDO_SUFFIX

_TEXT_LENGTH = 300
_NO_DETAIL = StepDetail()
_ITEM = re.compile(r"\[\d+\]$")
_NEVER_BEGAN = frozenset({StepStatus.SKIPPED, StepStatus.CANCELLED, StepStatus.PENDING})


def node_of(step: StepDefinition, version: int | None, *, on_failure: bool) -> GraphNode:
    """A step as it is written. `version`: of the definition that it runs."""
    return GraphNode(
        id=step.id,
        label=plain(step.description or "") or step.id,
        kind=_kind(step),
        action=f"{step.service}.{step.action}" if step.service and step.action else None,
        workflow=step.workflow.id if step.workflow else None,
        version=version if step.workflow else None,
        cases=len(step.switch) if step.switch else None,
        waits_for=_waits_for(step.wait) if step.wait else None,
        roles=tuple(sorted(role.value for role in step.approval.roles)) if step.approval else (),
        on_failure=on_failure,
        join=step.join,
        when=None if step.when is None else _cut(step.when),
        is_map=step.map is not None,
        max_turns=step.while_.max if step.while_ else None,
        compensate=_call(step.compensate),
    )


def _kind(step: StepDefinition) -> StepKind:
    if step.switch:
        return StepKind.SWITCH
    if step.workflow:
        return StepKind.WORKFLOW
    if step.wait:
        return StepKind.WAIT
    return StepKind.APPROVAL if step.approval else StepKind.ACTION


def _call(call: ActionCall | None) -> str | None:
    return None if call is None else f"{call.service}.{call.action}"


def _waits_for(wait: Wait) -> str:
    if wait.signal is not None:
        return f"the signal {wait.signal}"
    return "an instant" if wait.for_ is None else seconds_in_words(wait.for_)


def _cut(text: str) -> str:
    line = plain(text)
    return line if len(line) <= _TEXT_LENGTH else line[: _TEXT_LENGTH - 1] + "…"


def with_states(nodes: Iterable[GraphNode], run: Run) -> list[GraphNode]:
    """The nodes as a run has them. A step that the run does not speak of is pending."""
    states = {state.id: state for state in run.steps}
    undone = _undone(run.compensations)
    return [
        node.model_copy(
            update=_state(states.get(node.id) or StepState(id=node.id, status=StepStatus.PENDING))
            | {"undone": undone.get(node.id)}
        )
        for node in nodes
    ]


def _state(state: StepState) -> dict[str, Any]:
    detail = state.detail or _NO_DETAIL
    return {
        "status": state.status,
        "reason": state.reason,
        "attempts": state.attempts,
        "started_at": state.started_at,
        "ended_at": state.ended_at,
        "next_attempt_at": state.next_attempt_at,
        "until": detail.until,
        "items": detail.items,
        "turn": detail.turn,
        "run_id": detail.run_id,
        "error": None if state.error is None else _cut(state.error.message),
    }


def _undone(compensations: Iterable[StepState]) -> dict[str, Undone]:
    """By step: what undid items of its map counts together."""
    counts: dict[str, dict[str, int]] = {}
    for state in compensations:
        step_id = _ITEM.sub("", state.id.removesuffix(UNDO_SUFFIX))
        key = "succeeded" if state.status is StepStatus.SUCCEEDED else "failed" if state.status.ended else "under_way"
        own = counts.setdefault(step_id, {})
        own[key] = own.get(key, 0) + 1
    return {step_id: Undone(**own) for step_id, own in counts.items()}


def edge_states(edges: Iterable[GraphEdge], nodes: Mapping[str, GraphNode]) -> list[GraphEdge]:
    """The edges as a run has them: taken, not taken, not reached, or not decided yet."""
    return [
        edge if (state := _fate(nodes[edge.source], nodes[edge.target])) is None else _decided(edge, state)
        for edge in edges
    ]


def _decided(edge: GraphEdge, state: EdgeState) -> GraphEdge:
    return GraphEdge(source=edge.source, target=edge.target, kind=edge.kind, state=state)


def _fate(source: GraphNode, target: GraphNode) -> EdgeState | None:
    if target.status is StepStatus.PENDING:
        return None
    if target.status is StepStatus.SKIPPED and target.reason == "condition":
        return EdgeState.NOT_TAKEN
    if target.status is StepStatus.SKIPPED or (target.status is StepStatus.CANCELLED and target.started_at is None):
        return EdgeState.UNREACHED
    if source.status is not None and source.status.ended:
        return EdgeState.UNREACHED if source.status in _NEVER_BEGAN else EdgeState.TAKEN
    return None  # its join did not wait for this one
