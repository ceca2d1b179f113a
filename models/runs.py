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


class StepState(Contract):
    """One step of a run."""

    id: str
    status: StepStatus
    reason: str | None = None
    """Skipped: `condition` or `upstream`. Waiting and retrying: for what."""
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_attempt_at: datetime | None = None
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
    steps: tuple[StepState, ...] = ()


class LiveRun(Contract):
    """A run as Temporal shows it."""

    status: RunStatus
    ended_at: datetime | None
    error: Failure | None = None
    steps: tuple[StepState, ...] = ()
    """Steps whose activity is under way or waits."""


class RunRequest(Contract):
    """What the DAG workflow is started with, beside its plan."""

    input: JsonValue
    caller: Caller
    trigger: str = "api"
    recorded: bool = True
    """Whether the record of the run exists already: the API writes it before it starts one, a schedule can not."""


class StepCall(Contract):
    """What an activity is told beside its input: for whom it works, and which values it has to fetch itself."""

    caller: Caller
    holes: tuple[Hole, ...] = ()


class StepEnd(Contract):
    """How a step ended that no worker recorded as such: skipped, cancelled, failed by a timeout."""

    id: str
    status: StepStatus
    reason: str | None = None
    failure: Failure | None = None


class OpenRun(Contract):
    """The record of a run that did not come through the API."""

    run_id: str
    workflow: str
    version: int
    request: RunRequest


class CloseRun(Contract):
    """The end of a run, as the engine knows it."""

    run_id: str
    status: RunStatus
    output: JsonValue
    holes: tuple[Hole, ...] = ()
    error: Failure | None
    steps: tuple[StepEnd, ...]


class RecordedEnd(Contract):
    """How a run ended according to its record, which was closed before: what is recorded first holds."""

    status: RunStatus
    output: JsonValue
    """The value, or `{"ref", "bytes"}` when it is large."""
    error: Failure | None
