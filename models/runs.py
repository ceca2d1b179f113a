"""A run as the API shows it (CONTRACT 3)."""

from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from models.contract import Contract
from models.identity import Caller
from models.values import Hole


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in {RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED}


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    WAITING = "waiting"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in {StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED}


class Failure(Contract):
    """Why a step or a run failed."""

    step: str | None
    code: str
    message: str
    attempt: int | None


class ItemCounts(Contract):
    """How far a map is."""

    total: int
    ended: int
    failed: int
    skipped: int


class StepDetail(Contract):
    """What is to be seen of a step that is more than one call of an action."""

    until: datetime | None = None
    """When a wait or an approval is over."""
    items: ItemCounts | None = None
    turn: int | None = None
    """Turns of a `while` that have ended."""
    run_id: str | None = None
    """The run of another definition that it is."""


class StepState(Contract):
    """One step of a run, an item of its map, or what undoes it."""

    id: str
    status: StepStatus
    reason: str | None = None
    """Skipped: `condition` or `upstream`. Waiting and retrying: for what."""
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None
    progress: JsonValue = None
    """While it runs: where it stands, as its action says, some seconds old."""
    detail: StepDetail | None = None
    error: Failure | None = None
    output: JsonValue = None
    """The value, or `{"ref", "bytes"}` when it is large."""


class Run(Contract):
    """One execution of a definition."""

    run_id: str
    workflow: str
    version: int
    status: RunStatus
    user_id: str
    trigger: str
    input: JsonValue
    output: JsonValue
    error: Failure | None
    labels: dict[str, str]
    started_at: datetime
    ended_at: datetime | None
    links: dict[str, str]
    parent: str | None = None
    """The run whose step this one is."""
    dry_run: bool = False
    steps: tuple[StepState, ...] = ()
    compensations: tuple[StepState, ...] = ()
    """What undid steps, in the order it did: `<step>:undo`."""


class LiveRun(Contract):
    """A run as Temporal shows it."""

    status: RunStatus
    ended_at: datetime | None
    error: Failure | None = None
    steps: tuple[StepState, ...] = ()
    """Steps, and parts of steps, whose activity is under way or waits."""
    history_length: int = 0


class RunRequest(Contract):
    """What the DAG workflow is started with, beside its plan."""

    input: JsonValue
    caller: Caller
    trigger: str = "api"
    recorded: bool = True
    """Whether the record of the run exists already: the API writes it before it starts one, a schedule can not."""
    admitted: bool = True
    """Whether the run has its place among those of its definition that may run at once."""
    dry_run: bool = False
    parent: str | None = None
    """The run whose step this one is."""
    depth: int = 0
    """Of parents above it."""


class CacheCall(Contract):
    """Under which key a result is kept, and for how long."""

    key: JsonValue
    holes: tuple[Hole, ...] = ()
    ttl_seconds: float


class StepCall(Contract):
    """What an activity is told beside its input: for whom it works, and which values it has to fetch itself."""

    caller: Caller
    holes: tuple[Hole, ...] = ()
    part: bool = False
    """Whether it is only a part of a step, whose end the engine records."""
    cache: CacheCall | None = None


class StepReport(Contract):
    """A step, or what undid one, as the engine knows it, where no worker says more."""

    id: str
    part: bool = False
    status: StepStatus
    reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    detail: StepDetail | None = None
    failure: Failure | None = None
    output: JsonValue = None
    holes: tuple[Hole, ...] = ()


class OpenRun(Contract):
    """The record of a run that did not come through the API."""

    run_id: str
    workflow: str
    version: int
    request: RunRequest
    labels: dict[str, str]


class OpenChild(Contract):
    """A run of another definition, as a step asks for it."""

    parent: str
    run_id: str
    workflow: str
    version: int
    caller: Caller
    input: JsonValue
    holes: tuple[Hole, ...] = ()
    dry_run: bool = False
    depth: int


class OpenedChild(Contract):
    """A recorded run, ready to start."""

    plan: str
    """In its JSON form."""
    input: JsonValue
    """Whole."""


class Admit(Contract):
    """A run asks for its place among those of its definition that may run at once."""

    run_id: str
    key: str
    max: int
    policy: str


class Admission(Contract):
    """Whether it has it, and which runs have to make room first."""

    admitted: bool
    cancel: tuple[str, ...] = ()
    refused: str | None = None
    """Why it is not to wait."""


class AskApproval(Contract):
    """A question to put before people."""

    run_id: str
    workflow: str
    step_id: str
    summary: str
    owner_id: str
    roles: tuple[str, ...]
    allow_requester: bool
    schema_: JsonValue = None
    shown: JsonValue
    holes: tuple[Hole, ...] = ()
    until: datetime | None


class SettleApproval(Contract):
    """How a question was answered."""

    run_id: str
    step_id: str
    decision: str
    """`approved`, `rejected` or `timed_out`."""
    by: str | None
    comment: str | None


class CloseRun(Contract):
    """The end of a run, as the engine knows it."""

    run_id: str
    status: RunStatus
    output: JsonValue
    holes: tuple[Hole, ...] = ()
    error: Failure | None
    steps: tuple[StepReport, ...]


class RecordedEnd(Contract):
    """How a run ended according to its record, which was closed before: what is recorded first holds."""

    status: RunStatus
    output: JsonValue
    holes: tuple[Hole, ...] = ()
    error: Failure | None
