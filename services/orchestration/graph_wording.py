"""What a drawing of a DAG says in words."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from models.graphs import Graph, GraphNode
from models.runs import StepStatus
from services.orchestration.graph_text import plain

_MOST_NAMES = 5
_MILLISECONDS_BELOW = 0.9995
_TENTHS_BELOW = 9.95
"""Seconds under which a tenth matters; from there on they round to ten."""


def headline(graph: Graph) -> tuple[str, str]:
    """What is drawn, and of which run."""
    title = f"{plain(graph.workflow)}, version {graph.version}"
    counts = f"{_counted(len(graph.nodes), 'step')}, {_counted(len(graph.edges), 'dependency', 'dependencies')}"
    if graph.run_id is None:
        return title, counts
    status = graph.status.value.replace("_", " ") if graph.status else "state unknown"
    return title, f"Run {plain(graph.run_id)}: {status} · {counts}"


def describe(graph: Graph) -> str:
    """The drawing for those who do not see it: how many steps stand where, and which went wrong."""
    title, subtitle = headline(graph)
    sentences = [
        f"Steps of the workflow {title}, from top to bottom in the order they depend on each other.",
        f"{subtitle}.",
    ]
    tally = status_counts(graph)
    if tally:
        sentences.append(", ".join(f"{count:,} {status.value}" for status, count in tally.items()) + ".")
    failed = [plain(node.id) for node in graph.nodes if node.status is StepStatus.FAILED]
    if failed:
        more = f" and {len(failed) - _MOST_NAMES:,} more" if len(failed) > _MOST_NAMES else ""
        sentences.append(f"Failed: {', '.join(failed[:_MOST_NAMES])}{more}.")
    return " ".join(sentences)


def status_counts(graph: Graph) -> dict[StepStatus, int]:
    """How many steps have each status that occurs, in the order of a step's life."""
    counts = Counter(node.status for node in graph.nodes)
    return {status: counts[status] for status in StepStatus if counts[status]}


def outcome(node: GraphNode) -> str:
    """One line on where a step stands; empty without a run."""
    if node.status is None:
        return ""
    words = node.status.value
    match node.status:
        case StepStatus.FAILED if node.error:
            return f"{words}: {plain(node.error)}"
        case StepStatus.SKIPPED | StepStatus.WAITING | StepStatus.RETRYING if node.reason:
            words += f": {plain(node.reason)}"
        case StepStatus.SUCCEEDED if node.started_at and node.ended_at:
            words += f" in {duration(node.started_at, node.ended_at)}"
        case _:
            pass
    return f"{words}, attempt {node.attempts}" if node.attempts > 1 else words


def tooltip(node: GraphNode) -> str:
    """Everything known about a step, a line each."""
    lines = [plain(node.id)]
    if node.label != node.id:
        lines.append(plain(node.label))
    if node.action:
        lines.append(plain(node.action))
    if node.status:
        lines.append(outcome(node))
    if node.started_at:
        lines.append(f"started {node.started_at.isoformat(sep=' ', timespec='seconds')}")
    if node.ended_at:
        lines.append(f"ended {node.ended_at.isoformat(sep=' ', timespec='seconds')}")
    return "\n".join(lines)


def side_by_side(chains: Sequence[Sequence[int]]) -> str:
    """The caption of a group of twins."""
    if len(chains[0]) == 1:
        return f"{len(chains):,} steps side by side"
    return f"{len(chains):,} chains of {len(chains[0]):,} steps side by side"


def duration(start: datetime, end: datetime) -> str:
    """`40 ms`, `3.1 s`, `12 s`, `3 min 5 s`, `2 h 4 min`."""
    exact = max(0.0, (end - start).total_seconds())
    seconds = round(exact)
    if exact < _MILLISECONDS_BELOW:
        return f"{exact * 1_000:.0f} ms"
    if exact < _TENTHS_BELOW:
        return f"{exact:.1f} s"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s"
    if seconds < 3_600:  # noqa: PLR2004 - an hour
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3_600:,} h {seconds % 3_600 // 60} min"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
