"""Contracts of the `flow` actions: small parts for authors and for tests (CONTRACT 3)."""

from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from models.actions import ActionSpec, Retry, Timeout
from models.contract import Contract

CounterKey = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class Echo(Contract):
    """Any value."""

    value: JsonValue = None


class Sleep(Contract):
    """How long to sleep, in seconds."""

    seconds: float = Field(ge=0, le=86_400, allow_inf_nan=False)


class Slept(Contract):
    """How long the step slept, in seconds."""

    seconds: float


class Fail(Contract):
    """A failure on demand: for the first `times` attempts, without it for ever."""

    message: str = Field(max_length=10_000)
    code: str | None = Field(default=None, max_length=100)
    times: int | None = Field(default=None, ge=0)


class Failed(Contract):
    """The attempt at which it no longer failed."""

    attempt: int


class Count(Contract):
    """A counter and what to add to it."""

    key: CounterKey
    by: int = Field(default=1, ge=-(2**31), lt=2**31)


class Counter(Contract):
    """A counter and its value."""

    key: str
    value: int


QUEUE = "orchestration"

ECHO = ActionSpec(
    service="flow",
    name="echo",
    summary="Give back a value",
    input=Echo,
    result=Echo,
    task_queue=QUEUE,
    fusible=True,
    touches_nothing=True,
)
SLEEP = ActionSpec(
    service="flow",
    name="sleep",
    summary="Sleep, heartbeating and resuming where an earlier attempt was",
    input=Sleep,
    result=Slept,
    task_queue=QUEUE,
    timeout=Timeout(start_to_close=86_460),
)
FAIL = ActionSpec(
    service="flow",
    name="fail",
    summary="Fail, always or for the first attempts",
    input=Fail,
    result=Failed,
    task_queue=QUEUE,
    retry=Retry(max_attempts=3, initial=0.1),
)
COUNT = ActionSpec(
    service="flow",
    name="count",
    summary="Add to a counter, once per step however often it is tried",
    input=Count,
    result=Counter,
    task_queue=QUEUE,
    fusible=True,
)

ACTIONS = (ECHO, SLEEP, FAIL, COUNT)
