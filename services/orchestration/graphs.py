"""The DAG of a definition, to look at: its data, and as text for Mermaid. `graph_svg` draws it."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from models.definition import Definition
from models.graphs import EdgeKind, EdgeState, Graph, GraphEdge, GraphNode, StepKind
from models.runs import Run, StepStatus
from services.orchestration.graph_nodes import edge_states, node_of, with_states
from services.orchestration.graph_svg import svg
from services.orchestration.graph_text import plain
from services.orchestration.graph_wording import ON_FAILURE, doing, entry, outcome, particulars

__all__ = ["graph_of", "mermaid", "svg"]

_LABEL_LENGTH = 120
_SAFE = frozenset(" .,-_/")
_ARROWS = {EdgeKind.DATA: "-->", EdgeKind.ORDER: "-.->"}
_CROSSES = {EdgeKind.DATA: "--x", EdgeKind.ORDER: "-.-x"}
"""For branches that were not taken."""
_SHAPES = {
    StepKind.ACTION: ("[", "]"),
    StepKind.SWITCH: ("{", "}"),
    StepKind.WORKFLOW: ("[[", "]]"),
    StepKind.WAIT: ("([", "])"),
    StepKind.APPROVAL: ("{{", "}}"),
}
_DOWNWARDS = "    direction TB"
"""Otherwise a subgraph goes sideways."""
_PALE_LINES = "stroke:#a9b3c1,stroke-width:1px"
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


def graph_of(
    definition: Definition,
    version: int,
    edges: Iterable[GraphEdge],
    run: Run | None = None,
    versions: Mapping[str, int] | None = None,
) -> Graph:
    """The steps of a version with their dependencies and, when a run of it is given, their states.

    `versions`: of the definitions that steps run, by step.
    """
    pinned = versions or {}
    nodes = [node_of(step, pinned.get(step.id), on_failure=False) for step in definition.steps]
    nodes += [node_of(step, pinned.get(step.id), on_failure=True) for step in definition.on_failure or ()]
    place = {node.id: index for index, node in enumerate(nodes)}
    ordered = sorted(edges, key=lambda edge: (place[edge.target], place[edge.source], edge.kind))
    if run is not None:
        nodes = with_states(nodes, run)
        ordered = edge_states(ordered, {node.id: node for node in nodes})
    return Graph(
        workflow=definition.id,
        version=version,
        run_id=run.run_id if run else None,
        status=run.status if run else None,
        dry_run=run is not None and run.dry_run,
        nodes=tuple(nodes),
        edges=tuple(ordered),
    )


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart. Steps are named by number; their texts are labels of which no character is syntax."""
    name = {node.id: f"s{index}" for index, node in enumerate(graph.nodes)}
    handlers = [node for node in graph.nodes if node.on_failure]
    lines = ["flowchart TD", f"    accTitle: {_escape(graph.workflow)}, version {graph.version}"]
    if handlers:
        lines.extend(['    subgraph steps[" "]', _DOWNWARDS])
        lines.extend(_node(name[node.id], node) for node in graph.nodes if not node.on_failure)
        lines.extend(["    end", f'    subgraph failure["{ON_FAILURE}"]', _DOWNWARDS])
        lines.extend(_node(name[node.id], node) for node in handlers)
        lines.append("    end")
    else:
        lines.extend(_node(name[node.id], node) for node in graph.nodes)
    entries = {node.id: entry(node) for node in graph.nodes}
    lines.extend(
        f"    {name[edge.source]} {_arrow(edge)}{_on_edge(entries[edge.target])} {name[edge.target]}"
        for edge in graph.edges
    )
    pale = [str(at) for at, edge in enumerate(graph.edges) if edge.state in {EdgeState.NOT_TAKEN, EdgeState.UNREACHED}]
    if pale:
        lines.append(f"    linkStyle {','.join(pale)} {_PALE_LINES}")
    if handlers:
        lines.append("    steps -.-> failure")
        lines.append("    style steps fill:none,stroke:none")
        lines.append("    style failure fill:none,stroke:#a9b3c1,stroke-dasharray:6 4")
    for status, style in _CLASSES.items():
        members = [name[node.id] for node in graph.nodes if node.status is status]
        if members:
            lines.append(f"    classDef {status.value} {style}")
            lines.append(f"    class {','.join(members)} {status.value}")
    return "\n".join(lines) + "\n"


def _node(name: str, node: GraphNode) -> str:
    opening, closing = _SHAPES[node.kind]
    return f'    {name}{opening}"{_label(node)}"{closing}'


def _arrow(edge: GraphEdge) -> str:
    return (_CROSSES if edge.state is EdgeState.NOT_TAKEN else _ARROWS)[edge.kind]


def _on_edge(words: str) -> str:
    return f'|"{_escape(words)}"|' if words else ""


def _label(node: GraphNode) -> str:
    condition = f"if {node.when}" if node.when is not None else ""
    texts = (node.label, doing(node), condition, outcome(node), particulars(node))
    return "<br/>".join(_escape(text) for text in texts if text)


@lru_cache(maxsize=4096)
def _escape(text: str) -> str:
    """Mermaid's entity codes for all but letters, digits and a few harmless signs."""
    shown = plain(text)
    if len(shown) > _LABEL_LENGTH:
        shown = shown[: _LABEL_LENGTH - 1] + "…"
    return "".join(char if char.isalnum() or char in _SAFE else f"#{ord(char)};" for char in shown)
