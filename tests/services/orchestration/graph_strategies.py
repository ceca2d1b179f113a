"""DAGs to draw: named shapes, and random ones."""

from collections.abc import Iterable

from hypothesis import strategies as st

from models.graphs import EdgeKind, Graph, GraphEdge, GraphNode
from models.runs import RunStatus, StepStatus
from services.orchestration.graph_order import Edge


def graph(edges: Iterable[tuple[str, str]], *alone: str, kind: EdgeKind = EdgeKind.DATA) -> Graph:
    edges = list(edges)
    ids = dict.fromkeys([*alone, *(step for edge in edges for step in edge)])
    return Graph(
        workflow="review",
        version=2,
        nodes=tuple(GraphNode(id=step, label=step, action="flow.echo") for step in ids),
        edges=tuple(GraphEdge(source=source, target=target, kind=kind) for source, target in edges),
    )


def fan(count: int) -> Graph:
    return graph(edge for part in range(count) for edge in (("split", f"part-{part}"), (f"part-{part}", "merge")))


@st.composite
def dags(draw: st.DrawFn, most: int = 14) -> tuple[int, list[Edge]]:
    boxes = draw(st.integers(1, most))
    pairs = [(source, target) for target in range(boxes) for source in range(target)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=2 * boxes)) if pairs else []
    names = draw(st.permutations(range(boxes)))
    return boxes, [
        (names[source], names[target], draw(st.sampled_from(["data", "order"]))) for source, target in chosen
    ]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any text in every place that holds text."""
    boxes, edges = draw(dags(6))
    ids = draw(st.lists(st.text(max_size=30), min_size=boxes, max_size=boxes, unique=True))
    run = draw(st.booleans())
    nodes = tuple(
        GraphNode(
            id=step,
            label=draw(st.text(max_size=60)),
            action=draw(st.none() | st.text(max_size=60)),
            status=draw(st.sampled_from(StepStatus)) if run else None,
            reason=draw(st.none() | st.text(max_size=40)),
            attempts=draw(st.integers(0, 5)),
            started_at=draw(st.none() | st.datetimes()),
            error=draw(st.none() | st.text(max_size=60)),
        )
        for step in ids
    )
    return Graph(
        workflow=draw(st.text(max_size=20)),
        version=1,
        run_id=draw(st.text(max_size=20)) if run else None,
        status=draw(st.sampled_from(RunStatus)) if run else None,
        nodes=nodes,
        edges=tuple(
            GraphEdge(source=ids[source], target=ids[target], kind=EdgeKind(kind)) for source, target, kind in edges
        ),
    )
