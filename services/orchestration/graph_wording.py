"""What a drawing of a DAG says in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.graphs import Graph, GraphNode, StepKind
from models.runs import ItemCounts, StepStatus
from services.orchestration.graph_text import plain

_MOST_NAMES = 5
_MILLISECONDS_BELOW = 0.9995
_TENTHS_BELOW = 9.95
"""Seconds under which a tenth matters; from there on they round to ten."""
_RUN_ID_LENGTH = 8
ON_FAILURE = "on failure"


def headline(graph: Graph) -> tuple[str, str]:
    """What is drawn, and of which run."""
    title = f"{plain(graph.workflow)}, version {graph.version}"
    counts = f"{_counted(len(graph.nodes), 'step')}, {_counted(len(graph.edges), 'dependency', 'dependencies')}"
    if graph.run_id is None:
        return title, counts
    status = graph.status.value.replace("_", " ") if graph.status else "state unknown"
    what = "Dry run" if graph.dry_run else "Run"
    return title, f"{what} {plain(graph.run_id)}: {status} · {counts}"


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
    lists = [
        ("Failed", [node for node in graph.nodes if node.status is StepStatus.FAILED]),
        ("Waiting", [node for node in graph.nodes if node.status is StepStatus.WAITING]),
        ("Undone", [node for node in graph.nodes if node.undone and node.undone.succeeded]),
        ("Could not be undone", [node for node in graph.nodes if node.undone and node.undone.failed]),
        ("Only on failure", [node for node in graph.nodes if node.on_failure]),
    ]
    sentences += [f"{name}: {_names(nodes)}." for name, nodes in lists if nodes]
    return " ".join(sentences)


def _names(nodes: Sequence[GraphNode]) -> str:
    more = f" and {len(nodes) - _MOST_NAMES:,} more" if len(nodes) > _MOST_NAMES else ""
    return ", ".join(plain(node.id) for node in nodes[:_MOST_NAMES]) + more


def status_counts(graph: Graph) -> dict[StepStatus, int]:
    """How many steps have each status that occurs, in the order of a step's life."""
    counts = Counter(node.status for node in graph.nodes)
    return {status: counts[status] for status in StepStatus if counts[status]}


def doing(node: GraphNode) -> str:
    """One line on what a step does."""
    does = _does(node)
    if does and node.is_map:
        does += ", for each item"
    if does and node.max_turns is not None:
        does += f", at most {_counted(node.max_turns, 'turn')}"
    return does


def _does(node: GraphNode) -> str:
    match node.kind:
        case StepKind.ACTION:
            return plain(node.action or "")
        case StepKind.SWITCH:
            return f"switch, {_counted(node.cases or 0, 'case')}"
        case StepKind.WORKFLOW:
            version = "" if node.version is None else f" version {node.version}"
            return f"run of {plain(node.workflow or '')}{version}"
        case StepKind.WAIT:
            return f"wait for {plain(node.waits_for or '')}"
        case StepKind.APPROVAL:
            return f"answer by {' or '.join(map(plain, node.roles))}"


def entry(node: GraphNode) -> str:
    """How a step is entered other than after all steps before it: `any`, `if`, `any, if`; mostly empty."""
    join = "" if node.join == "all" else plain(node.join).replace("_", " ")
    return ", ".join(part for part in (join, "if" if node.when is not None else "") if part)


def outcome(node: GraphNode) -> str:
    """One line on where a step stands; empty without a run."""
    if node.status is None:
        return ""
    words = node.status.value
    match node.status:
        case StepStatus.FAILED | StepStatus.RETRYING if node.error:
            words += f": {plain(node.error)}"
            if node.status is StepStatus.FAILED:
                return words
        case StepStatus.WAITING if node.kind is StepKind.APPROVAL:
            words += " for an answer"  # by whom, what it does says already
        case StepStatus.SKIPPED | StepStatus.WAITING | StepStatus.RETRYING if node.reason:
            words += f": {plain(node.reason)}"
        case StepStatus.SUCCEEDED if node.started_at and node.ended_at:
            words += f" in {duration(node.started_at, node.ended_at)}"
        case _:
            pass
    if far := progress(node.items, node.turn, ended=node.status.ended):
        words += f": {far}"
    return f"{words}, attempt {node.attempts}" if node.attempts > 1 else words


def progress(items: ItemCounts | None, turn: int | None, *, ended: bool) -> str:
    """How far a map or a loop is: `7 of 20, 1 failed`, `turn 3`; empty for other steps."""
    if items is not None:
        whole = ended and items.ended == items.total
        parts = [_counted(items.total, "item") if whole else f"{items.ended:,} of {items.total:,}"]
        parts += [
            f"{count:,} {word}" for count, word in ((items.failed, "failed"), (items.skipped, "skipped")) if count
        ]
        return ", ".join(parts)
    if turn is not None:
        return _counted(turn, "turn") if ended else f"turn {turn + 1:,}"
    return ""


def particulars(node: GraphNode) -> str:
    """A second line on where a step stands: until when, what comes next, which run it is, that it was undone."""
    parts: list[str] = []
    if node.undone is not None:
        parts.append(undoing(node))
    if node.status is StepStatus.RETRYING and node.next_attempt_at:
        parts.append(f"again at {instant(node.next_attempt_at)}")
    if node.until and node.status is StepStatus.WAITING:
        parts.append(f"until {instant(node.until)}")
    if node.run_id:
        parts.append(f"run {plain(node.run_id)[:_RUN_ID_LENGTH]}…")
    return ", ".join(parts)


def undoing(node: GraphNode) -> str:
    """Whether a step was undone: `undone`, `could not be undone`, `being undone`; of a map with counts."""
    undone = node.undone
    if undone is None:
        return ""
    counted = (
        (undone.succeeded, "undone"),
        (undone.failed, "could not be undone"),
        (undone.under_way, "being undone"),
    )
    if not node.is_map:
        return next((words for count, words in counted if count), "")
    return ", ".join(f"{count:,} {words}" for count, words in counted if count)


@dataclass(frozen=True)
class Words:
    """The lines of a step's card."""

    label: str
    doing: str
    outcome: str
    particulars: str
    entry: str


def words_of(node: GraphNode) -> Words:
    """What is written on the card of a step."""
    return Words(plain(node.label), doing(node), outcome(node), particulars(node), entry(node))


def tooltip(node: GraphNode, words: Words) -> str:
    """Everything known about a step, a line each."""
    lines = [
        plain(node.id),
        words.label if node.label != node.id else "",
        words.doing,
        f"join {plain(node.join)}" if node.join != "all" else "",
        f"if {plain(node.when)}" if node.when is not None else "",
        f"undone by {plain(node.compensate)}" if node.compensate else "",
        "only when the run has failed" if node.on_failure else "",
        words.outcome,
        undoing(node),
        f"run {plain(node.run_id)}" if node.run_id else "",
    ]
    for word, at in (
        ("started", node.started_at),
        ("ended", node.ended_at),
        ("next attempt", node.next_attempt_at),
        ("until", node.until),
    ):
        if at:
            lines.append(f"{word} {at.isoformat(sep=' ', timespec='seconds')}")
    return "\n".join(line for line in lines if line)


def side_by_side(chains: Sequence[Sequence[int]]) -> str:
    """The caption of a group of twins."""
    if len(chains[0]) == 1:
        return f"{len(chains):,} steps side by side"
    return f"{len(chains):,} chains of {len(chains[0]):,} steps side by side"


def instant(at: datetime) -> str:
    """`2026-11-03 09:30:00 UTC`; what has no offset is taken as it is."""
    if at.tzinfo is None:
        return at.isoformat(sep=" ", timespec="seconds")
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"


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


def seconds_in_words(seconds: float) -> str:
    """A duration as it was written, more or less: `0.5 s`, `90 s`, `5 min`, `2 h`, `3 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.12g} s"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
