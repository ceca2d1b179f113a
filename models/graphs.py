"""A DAG to look at: the steps of a definition and their dependencies, with their states when a run is named."""

from datetime import datetime
from enum import StrEnum

from models.contract import Contract
from models.runs import RunStatus, StepStatus


class EdgeKind(StrEnum):
    """Why a step waits for another."""

    DATA = "data"
    """It reads the other's result."""
    ORDER = "order"
    """`depends_on` says so, and nothing is read."""


class GraphNode(Contract):
    """One step. What only a run knows is empty without one."""

    id: str
    label: str
    """The step's description, else its id."""
    action: str | None = None
    """`service.action`; None for a step that calls none."""
    status: StepStatus | None = None
    reason: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    """The message, cut to a line or two; the run has it in full."""


class GraphEdge(Contract):
    """`target` waits for `source`."""

    source: str
    target: str
    kind: EdgeKind


class Graph(Contract):
    """A definition's DAG: nodes as written, edges by target, then by source, as written."""

    workflow: str
    version: int
    run_id: str | None = None
    status: RunStatus | None = None
    """The run's."""
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
