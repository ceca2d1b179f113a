"""What an action is: the typed contract between a step of a definition and the activity that does it."""

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar

from models.contract import Contract
from models.identity import Role

InputT = TypeVar("InputT", bound=Contract)
ResultT = TypeVar("ResultT", bound=Contract)

WORKFLOW_ROLES = frozenset({Role.LEARNER, Role.AUTHOR, Role.ADMIN})


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Retry policy; durations in seconds. `max_attempts` 0 means without end."""

    max_attempts: int = 5
    initial: float = 1.0
    backoff: float = 2.0
    max_interval: float = 60.0
    non_retryable: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Timeout:
    """Timeouts of one step in seconds; None leaves it open."""

    start_to_close: float = 60.0
    schedule_to_close: float | None = None
    schedule_to_start: float | None = None
    heartbeat: float | None = 10.0


@dataclass(frozen=True, kw_only=True)
class ActionSpec(Generic[InputT, ResultT]):
    """One action. The Temporal activity type is `service.name`."""

    service: str
    name: str
    summary: str
    input: type[InputT]
    result: type[ResultT]
    task_queue: str = ""
    """Empty: the queue named after the service."""
    retry: Retry = Retry()
    timeout: Timeout = Timeout()
    idempotent: bool = True
    """Doing it again with the same step does nothing twice."""
    fusible: bool = False
    """Short and idempotent: may share one activity with its neighbours in a chain."""
    roles: frozenset[Role] = WORKFLOW_ROLES
    """Who a run may act as when it uses this action."""
    touches_nothing: bool = False
    """Reads and changes nothing outside of the run, so that a dry run may do it."""

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else's worker does it."""
        return False

    @property
    def type(self) -> str:
        """`service.name`, as steps, catalogue and Temporal know it."""
        return f"{self.service}.{self.name}"

    @property
    def queue(self) -> str:
        """The task queue whose workers do it."""
        return self.task_queue or self.service

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the input."""
        return self.input.model_json_schema(mode="validation")

    @cached_property
    def result_schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the result."""
        return self.result.model_json_schema(mode="serialization")


@dataclass(frozen=True, kw_only=True)
class ForeignAction:
    """An action of a registered service, whose worker may be written in any language that has a Temporal SDK."""

    service: str
    name: str
    summary: str
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]
    task_queue: str
    retry: Retry = Retry()
    timeout: Timeout = Timeout()
    idempotent: bool = True
    roles: frozenset[Role] = WORKFLOW_ROLES
    touches_nothing: bool = False

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else's worker does it."""
        return True

    @property
    def type(self) -> str:
        """`service.name`, as steps, catalogue and Temporal know it."""
        return f"{self.service}.{self.name}"

    @property
    def queue(self) -> str:
        """The task queue whose workers do it."""
        return self.task_queue


AnyAction = ActionSpec[Any, Any] | ForeignAction


def seconds(value: float | None) -> timedelta | None:
    """A duration of the contract as Temporal takes it."""
    return None if value is None else timedelta(seconds=value)
