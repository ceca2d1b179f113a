"""DAGs to draw: named shapes, and random ones."""

from collections.abc import Iterable
from datetime import UTC

from hypothesis import strategies as st

from models.graphs import EdgeKind, EdgeState, Graph, GraphEdge, GraphNode, StepKind, Undone
from models.runs import ItemCounts, RunStatus, StepStatus
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
    counts = st.integers(0, 20_000)
    first_handler = draw(st.sampled_from([0, len(ids) // 2, len(ids), len(ids)]))
    nodes = tuple(
        GraphNode(
            id=step,
            label=draw(st.text(max_size=60)),
            kind=draw(st.sampled_from(StepKind)),
            action=draw(st.none() | st.text(max_size=60)),
            workflow=draw(st.none() | st.text(max_size=60)),
            version=draw(st.none() | counts),
            cases=draw(st.none() | counts),
            waits_for=draw(st.none() | st.text(max_size=60)),
            roles=tuple(draw(st.lists(st.text(max_size=9), max_size=3))),
            on_failure=place >= first_handler,
            join=draw(st.sampled_from(["all", "any", "none_failed", "all_done"]) | st.text(max_size=9)),
            when=draw(st.none() | st.text(max_size=60)),
            is_map=draw(st.booleans()),
            max_turns=draw(st.none() | counts),
            compensate=draw(st.none() | st.text(max_size=60)),
            status=draw(st.sampled_from(StepStatus)) if run else None,
            reason=draw(st.none() | st.text(max_size=40)),
            attempts=draw(st.integers(0, 5)),
            started_at=draw(st.none() | st.datetimes()),
            next_attempt_at=draw(st.none() | st.datetimes()),
            until=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
            items=draw(st.none() | st.builds(ItemCounts, total=counts, ended=counts, failed=counts, skipped=counts)),
            turn=draw(st.none() | counts),
            run_id=draw(st.none() | st.text(max_size=40)),
            undone=draw(st.none() | st.builds(Undone, succeeded=counts, failed=counts, under_way=counts)),
            error=draw(st.none() | st.text(max_size=60)),
        )
        for place, step in enumerate(ids)
    )
    return Graph(
        workflow=draw(st.text(max_size=20)),
        version=1,
        run_id=draw(st.text(max_size=20)) if run else None,
        status=draw(st.sampled_from(RunStatus)) if run else None,
        nodes=nodes,
        edges=tuple(
            GraphEdge(
                source=ids[source],
                target=ids[target],
                kind=EdgeKind(kind),
                state=draw(st.none() | st.sampled_from(EdgeState)) if run else None,
            )
            for source, target, kind in edges
            if nodes[source].on_failure is nodes[target].on_failure
        ),
    )
