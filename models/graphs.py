"""A DAG to look at: the steps of a definition and their dependencies, with their states when a run is named."""

from datetime import datetime
from enum import StrEnum

from models.contract import Contract
from models.runs import ItemCounts, RunStatus, StepStatus


class StepKind(StrEnum):
    """What a step does."""

    ACTION = "action"
    SWITCH = "switch"
    WORKFLOW = "workflow"
    WAIT = "wait"
    APPROVAL = "approval"


class EdgeKind(StrEnum):
    """Why a step waits for another."""

    DATA = "data"
    """It reads the other's result."""
    ORDER = "order"
    """`depends_on` says so, and nothing is read."""


class EdgeState(StrEnum):
    """What a run made of an edge that is decided."""

    TAKEN = "taken"
    NOT_TAKEN = "not-taken"
    """The condition of the step it leads to did not hold."""
    UNREACHED = "unreached"
    """The run did not come this way: what is before it was skipped, or did not succeed."""


class Undone(Contract):
    """What became of a step's compensation; of a map, of those of its items."""

    succeeded: int = 0
    failed: int = 0
    under_way: int = 0


class GraphNode(Contract):
    """One step. What only a run knows is empty without one."""

    id: str
    label: str
    """The step's description, else its id."""
    kind: StepKind = StepKind.ACTION
    action: str | None = None
    """`service.action`; None for a step that calls none."""
    workflow: str | None = None
    """The definition whose run it is."""
    version: int | None = None
    """Of that definition."""
    cases: int | None = None
    """Of a switch."""
    waits_for: str | None = None
    """What a wait is for: `10 s`, `an instant`, `the signal go`."""
    roles: tuple[str, ...] = ()
    """Who may answer an approval."""
    on_failure: bool = False
    """Whether it runs only when the run has failed."""
    join: str = "all"
    when: str | None = None
    """The condition, cut to a line or two."""
    is_map: bool = False
    max_turns: int | None = None
    """Of a `while`."""
    compensate: str | None = None
    """`service.action` of what undoes it."""
    status: StepStatus | None = None
    reason: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None
    until: datetime | None = None
    """When a wait or an approval is over."""
    items: ItemCounts | None = None
    """How far a map is."""
    turn: int | None = None
    """Turns of a `while` that have ended."""
    run_id: str | None = None
    """The run of another definition that it is."""
    undone: Undone | None = None
    error: str | None = None
    """The message, cut to a line or two; the run has it in full."""


class GraphEdge(Contract):
    """`target` waits for `source`."""

    source: str
    target: str
    kind: EdgeKind
    state: EdgeState | None = None
    """None without a run, and where it is not decided yet."""


class Graph(Contract):
    """A definition's DAG: nodes as written, those of `on_failure` last; edges by target, then by source, as written."""

    workflow: str
    version: int
    run_id: str | None = None
    status: RunStatus | None = None
    """The run's."""
    dry_run: bool = False
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
