"""The DAG of a definition, to look at: its data, and as text for Mermaid. `graph_svg` draws it."""

from collections.abc import Iterable

from models.definition import Definition
from models.graphs import EdgeKind, Graph, GraphEdge, GraphNode
from models.runs import Run, StepState, StepStatus
from services.orchestration.graph_svg import svg
from services.orchestration.graph_text import plain
from services.orchestration.graph_wording import outcome

__all__ = ["graph_of", "mermaid", "svg"]

_ERROR_LENGTH = 300
_LABEL_LENGTH = 120
_SAFE = frozenset(" .,-_/")
_ARROWS = {EdgeKind.DATA: "-->", EdgeKind.ORDER: "-.->"}
_CLASSES = {
    StepStatus.PENDING: "fill:#ffffff,stroke:#a9b3c1,color:#1a2230",
    StepStatus.WAITING: "fill:#f4effc,stroke:#6a3fb5,color:#1a2230",
    StepStatus.RUNNING: "fill:#eaf1fe,stroke:#2059c4,color:#1a2230,stroke-width:2px",
    StepStatus.RETRYING: "fill:#fdf2e5,stroke:#9a4a06,color:#1a2230",
    StepStatus.SUCCEEDED: "fill:#edf7f1,stroke:#1c6b41,color:#1a2230",
    StepStatus.FAILED: "fill:#fdecee,stroke:#b3202c,color:#1a2230,stroke-width:2px",
    StepStatus.SKIPPED: "fill:#ffffff,stroke:#a9b3c1,color:#566173,stroke-dasharray:4 3",
    StepStatus.CANCELLED: "fill:#f6f2ea,stroke:#6b5a3a,color:#1a2230",
}


def graph_of(definition: Definition, version: int, edges: Iterable[GraphEdge], run: Run | None = None) -> Graph:
    """The steps of a version with their dependencies and, when a run of it is given, their states.

    A step the run does not speak of is pending.
    """
    states = {} if run is None else {state.id: state for state in run.steps}
    nodes: list[GraphNode] = []
    for step in definition.steps:
        action = f"{step.service}.{step.action}" if step.service and step.action else None
        node = GraphNode(id=step.id, label=plain(step.description or "") or step.id, action=action)
        if run is not None:
            node = _with_state(node, states.get(step.id) or StepState(id=step.id, status=StepStatus.PENDING))
        nodes.append(node)
    place = {node.id: index for index, node in enumerate(nodes)}
    return Graph(
        workflow=definition.id,
        version=version,
        run_id=run.run_id if run else None,
        status=run.status if run else None,
        nodes=tuple(nodes),
        edges=tuple(sorted(edges, key=lambda edge: (place[edge.target], place[edge.source], edge.kind))),
    )


def _with_state(node: GraphNode, state: StepState) -> GraphNode:
    message = plain(state.error.message) if state.error else None
    if message and len(message) > _ERROR_LENGTH:
        message = message[: _ERROR_LENGTH - 1] + "…"
    return node.model_copy(
        update={
            "status": state.status,
            "reason": state.reason,
            "attempts": state.attempts,
            "started_at": state.started_at,
            "ended_at": state.ended_at,
            "error": message,
        }
    )


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart. Steps are named by number; their texts are labels of which no character is syntax."""
    name = {node.id: f"s{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart TD", f"    accTitle: {_escape(graph.workflow)}, version {graph.version}"]
    lines.extend(f'    {name[node.id]}["{_label(node)}"]' for node in graph.nodes)
    lines.extend(f"    {name[edge.source]} {_ARROWS[edge.kind]} {name[edge.target]}" for edge in graph.edges)
    for status, style in _CLASSES.items():
        members = [name[node.id] for node in graph.nodes if node.status is status]
        if members:
            lines.append(f"    classDef {status.value} {style}")
            lines.append(f"    class {','.join(members)} {status.value}")
    return "\n".join(lines) + "\n"


def _label(node: GraphNode) -> str:
    texts = (node.label, node.action or "", outcome(node))
    return "<br/>".join(_escape(text) for text in texts if text)


def _escape(text: str) -> str:
    """Mermaid's entity codes for all but letters, digits and a few harmless signs."""
    shown = plain(text)
    if len(shown) > _LABEL_LENGTH:
        shown = shown[: _LABEL_LENGTH - 1] + "…"
    return "".join(char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in shown)
