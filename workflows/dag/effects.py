"""What the engine asks of the world. Handed in, so that it works without Temporal as it does with it."""

from dataclasses import dataclass
from typing import Any, Protocol

from models.values import Value
from workflows.dag.plan import Action, Expression, Node, SubRun


@dataclass(frozen=True)
class StepFailure:
    """Why a step failed."""

    code: str
    message: str
    attempt: int | None = None


class StepFailedError(Exception):
    """Raised by what does a step's work when no attempt is left."""

    def __init__(self, failure: StepFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class CacheKey:
    """Under which key a result is kept, and for how many seconds."""

    value: Value
    ttl: float


@dataclass(frozen=True)
class ActionCall:
    """One call of an action."""

    id: str
    """Of the step, of an item of its map (`step[3]`), of a turn (`step#2`), of its compensation (`step:undo`)."""
    action: Action
    input: Value
    is_part: bool = False
    """Whether it is only a part of a step, whose end is recorded elsewhere."""
    summary: str = ""
    priority: int | None = None
    cache: CacheKey | None = None


@dataclass(frozen=True)
class RunCall:
    """A run of another definition."""

    id: str
    run: SubRun
    input: Value
    summary: str = ""
    priority: int | None = None


@dataclass(frozen=True)
class Answer:
    """A person's answer to an approval."""

    approved: bool
    by: str
    role: str
    at: str
    """RFC 3339."""
    comment: str | None = None
    data: Any = None


class Effects(Protocol):
    """Each of these raises StepFailedError when there is no value, and gives up when it is cancelled."""

    def time(self) -> float:
        """The time, in seconds since the epoch; the same on every replay."""
        ...

    async def breathe(self, work: int) -> None:
        """Note that some work was done without waiting for anything, and make a break now and then.

        One is about what it takes to evaluate a condition.
        """
        ...

    async def act(self, call: ActionCall) -> Value:
        """The result of an action."""
        ...

    async def run(self, call: RunCall) -> Value:
        """The output of a run, or what names it when nobody waits for it."""
        ...

    async def evaluate(self, expression: Expression, variables: Value) -> Value:
        """The value of an expression that takes long, or for which values have to be fetched."""
        ...

    async def keep(self, value: Value) -> Value:
        """A value as later steps get it: a large one lies outside of history."""
        ...

    async def ask(self, node: Node, shown: Value, until: float | None) -> None:
        """Put a question before people."""
        ...

    async def settle(self, node: Node, answer: Answer | None) -> None:
        """Record how a question was answered; None: nobody did in time."""
        ...
