"""What a run has done: all that a later part of it (after continue-as-new) needs to go on."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter

from models.values import NULL, Value
from workflows.dag.effects import StepFailure
from workflows.dag.scheduler import Ended


class RunEnd(StrEnum):
    """How a run, or the part of it before continue-as-new, ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    DRAINED = "drained"


@dataclass
class Part:
    """How an item of a map ended."""

    value: Value = NULL
    failure: StepFailure | None = None
    skipped: bool = False


@dataclass
class Begun:
    """A step between its start and its end."""

    since: float
    """Seconds since the epoch."""
    items: Value | None = None
    """The list a map goes through."""
    count: int = 0
    """Of its items."""
    parts: dict[int, Part] = field(default_factory=dict[int, Part])
    """Items that have ended, in the order they did."""
    failed: int = 0
    """Of them."""
    turn: int = 0
    """Turns of a `while` that have ended."""
    last: Value | None = None
    """What the last of them gave."""
    until: float | None = None
    """When a wait or an approval is over."""
    asked: bool = False
    """Whether an approval is before people."""


@dataclass(frozen=True)
class Signal:
    """A signal that nobody has taken yet."""

    name: str
    id: str
    payload: Any


@dataclass
class Progress:
    """Steps by their number in the plan."""

    ended: dict[int, Ended] = field(default_factory=dict[int, Ended])
    values: dict[int, Value] = field(default_factory=dict[int, Value])
    """Of steps that succeeded, in the order they did."""
    failures: dict[int, StepFailure] = field(default_factory=dict[int, StepFailure])
    """In the order they happened."""
    begun: dict[int, Begun] = field(default_factory=dict[int, Begun])
    """Steps whose start and end no worker records; they stay here when they have ended."""
    at: dict[int, float] = field(default_factory=dict[int, float])
    """When such a step ended."""
    to_undo: list[tuple[int, int | None]] = field(default_factory=list[tuple[int, int | None]])
    """Steps, and items of maps, that have a compensation and have succeeded, in the order they did."""
    signals: list[Signal] = field(default_factory=list[Signal])
    signal_ids: dict[str, None] = field(default_factory=dict[str, None])
    """Of signals that have come, so that none counts twice."""
    cancelled: bool = False
    """Whether the run was asked to cancel, whatever it ends as."""
    outcome: RunEnd | None = None
    """How the steps ended, once they have: what undoes them and what handles the failure comes after."""
    undone: dict[str, StepFailure | None] = field(default_factory=dict[str, StepFailure | None])
    """Compensations that have ended, by their id."""
    deadline: float | None = None
    """When the run has to be over, in seconds since the epoch; fixed when its first part starts."""

    def deadline_after(self, now: float, timeout: float) -> float:
        """The deadline, fixed now if it is not yet."""
        if self.deadline is None:
            self.deadline = now + timeout
        return self.deadline


PROGRESS = TypeAdapter(Progress)
