"""The definition language: a workflow as a user writes it (DESIGN 4, CONTRACT 3).

The models know every field of the language; which of them the engine does not run yet is said by `NOT_YET`.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, WithJsonSchema

from models.actions import Retry, Timeout
from models.contract import Contract
from models.identity import Role

SLUG = r"^[a-z0-9][a-z0-9_-]{0,62}$"
MAX_STEPS = 5_000
MAX_HANDLERS = 100
"""Most steps of `on_failure`."""
MAX_VERSION = 2**31 - 1
MAX_TURNS = 10_000
"""Most turns of a `while`, and most items of a `map`."""
MAX_WINDOW = 500
"""Most steps in flight at once: one activation must not issue more commands (TRAPS 1)."""

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
MIN_DURATION = 0.001
"""Temporal rounds less to nothing, which means "no limit" to it, or sticks the run."""
MAX_DURATION = 10 * 366 * 86_400


def _to_seconds(value: object) -> object:
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        return float(match[1]) * _UNIT_SECONDS[match[2]]
    if isinstance(value, (str, bool)):
        raise ValueError("write a duration as seconds or as 30s, 5m, 2h, 1d")  # noqa: TRY004 - what pydantic reports
    return value


Duration = Annotated[
    float,
    Field(ge=MIN_DURATION, le=MAX_DURATION, allow_inf_nan=False),
    BeforeValidator(_to_seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": MIN_DURATION, "maximum": MAX_DURATION},
                {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
            ],
            "description": "Seconds, or 30s, 5m, 2h, 1d.",
        }
    ),
]
Slug = Annotated[str, StringConstraints(pattern=SLUG)]
ItemName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]
Code = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LabelName = Annotated[str, StringConstraints(max_length=63)]
LabelValue = Annotated[str, StringConstraints(max_length=255)]
Template = JsonValue
"""A JSON value in which strings that start with `from:` are references."""
JsonSchema = dict[str, Any]


class _Aliased(Contract):
    """Fields whose names are words of Python are written without the underscore, and only so."""

    model_config = ConfigDict(populate_by_name=False)


class RetryOptions(Contract):
    """How a failed attempt is tried again. What is left out comes from the action."""

    max_attempts: int | None = Field(default=None, ge=1, le=10_000)
    initial: Duration | None = None
    backoff: float | None = Field(default=None, ge=1, le=100, allow_inf_nan=False)
    max_interval: Duration | None = None
    non_retryable: tuple[Code, ...] | None = Field(default=None, max_length=50)

    def over(self, default: Retry) -> Retry:
        """These options, and the action's own where they say nothing."""
        if not self.model_fields_set:
            return default
        initial = self.initial or default.initial
        return Retry(
            max_attempts=self.max_attempts or default.max_attempts,
            initial=initial,
            backoff=self.backoff or default.backoff,
            max_interval=max(initial, self.max_interval or default.max_interval),
            non_retryable=default.non_retryable if self.non_retryable is None else self.non_retryable,
        )


class TimeoutOptions(Contract):
    """How long a step may take. What is left out comes from the action."""

    start_to_close: Duration | None = None
    schedule_to_close: Duration | None = None
    schedule_to_start: Duration | None = None
    heartbeat: Duration | None = None

    def over(self, default: Timeout) -> Timeout:
        """These options, and the action's own where they say nothing."""
        if not self.model_fields_set:
            return default
        start_to_close = self.start_to_close or default.start_to_close
        heartbeat = self.heartbeat or default.heartbeat
        return Timeout(
            start_to_close=start_to_close,
            schedule_to_close=self.schedule_to_close or default.schedule_to_close,
            schedule_to_start=self.schedule_to_start or default.schedule_to_start,
            heartbeat=None if heartbeat is None else min(heartbeat, start_to_close),
        )


class MapOptions(_Aliased):
    """One turn of the step per item."""

    items: Template = Field(description="A list, a reference to one, or a CEL expression that gives one.")
    as_: ItemName = Field(default="item", alias="as")
    max_parallel: int | None = Field(default=None, ge=1, le=MAX_WINDOW)
    on_error: Literal["fail", "continue"] = "fail"


class SwitchCase(Contract):
    """The first case whose `when` holds gives the value; one without `when` always holds."""

    when: Expression | None = None
    value: Template


class WhileOptions(Contract):
    """Turns of the step as long as the condition holds, evaluated after each."""

    condition: Expression
    max: int = Field(ge=1, le=MAX_TURNS)


class SubWorkflow(Contract):
    """A run of another definition as a step."""

    id: Slug
    version: int | None = Field(default=None, ge=1, le=MAX_VERSION)
    wait: bool = True


class Wait(_Aliased):
    """A pause: for a duration, until an instant, or for a signal."""

    for_: Duration | None = Field(default=None, alias="for")
    until: Template = None
    signal: Slug | None = None
    schema_: JsonSchema | None = Field(default=None, alias="schema")
    timeout: Duration | None = None


class Approval(_Aliased):
    """A question to a person."""

    schema_: JsonSchema | None = Field(default=None, alias="schema", description="JSON Schema of the answer's data.")
    roles: tuple[Role, ...] = Field(default=(Role.ADMIN,), min_length=1)
    allow_requester: bool = False
    timeout: Duration | None = None
    on_timeout: Literal["fail", "continue"] = "fail"


class ActionCall(Contract):
    """An action with its input."""

    service: Slug
    action: Slug
    input: Template = Field(default_factory=dict[str, JsonValue])


class CacheOptions(Contract):
    """A result used again for the same key."""

    key: Template
    ttl: Duration


class StepDefinition(_Aliased):
    """One step."""

    id: Slug = Field(examples=["load"])
    description: Text | None = None
    service: Slug | None = Field(default=None, examples=["context"])
    action: Slug | None = Field(default=None, examples=["load-repo"])
    input: Template = Field(default_factory=dict[str, JsonValue])
    depends_on: tuple[str, ...] = ()
    when: Expression | None = None
    join: Literal["all", "any", "none_failed", "all_done"] = "all"
    map: MapOptions | None = None
    switch: tuple[SwitchCase, ...] | None = Field(default=None, min_length=1, max_length=100)
    while_: WhileOptions | None = Field(default=None, alias="while")
    workflow: SubWorkflow | None = None
    wait: Wait | None = None
    approval: Approval | None = None
    retry: RetryOptions = RetryOptions()
    timeout: TimeoutOptions = TimeoutOptions()
    on_error: Literal["fail", "continue"] = "fail"
    compensate: ActionCall | None = None
    cache: CacheOptions | None = None
    priority: int | None = Field(default=None, ge=1, le=5)
    fuse: bool | None = None
    mock: Template = None


class Limits(Contract):
    """Bounds of a run."""

    max_parallel: int = Field(default=250, ge=1, le=MAX_WINDOW)
    timeout: Duration | None = None
    fail_fast: bool = False


class Concurrency(Contract):
    """How many runs with the same key at once."""

    key: Template = None
    max: int = Field(default=1, ge=1, le=1_000)
    policy: Literal["queue", "reject", "cancel_oldest"] = "queue"


class Access(Contract):
    """Who may start runs."""

    execute: tuple[Role, ...] = (Role.ADMIN, Role.AUTHOR)


class DefinitionHead(Contract):
    """Everything of a definition but its steps."""

    id: Slug = Field(examples=["code-review"])
    name: Annotated[str, StringConstraints(max_length=200)] = ""
    description: Text = ""
    input: JsonSchema | None = Field(default=None, description="JSON Schema 2020-12 of the run's input.")
    output: Template = Field(default=None, description="What the run gives back; references are resolved.")
    on_failure: tuple[StepDefinition, ...] | None = Field(default=None, min_length=1, max_length=MAX_HANDLERS)
    limits: Limits = Limits()
    concurrency: Concurrency | None = None
    access: Access = Access()
    triggers: tuple[dict[str, JsonValue], ...] | None = None
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict[str, str], max_length=50)


class Definition(DefinitionHead):
    """A workflow definition: a DAG of steps."""

    steps: tuple[StepDefinition, ...] = Field(min_length=1, max_length=MAX_STEPS)


NOT_YET_IN_STEP = ("fuse",)
NOT_YET_IN_DEFINITION = ("triggers",)
"""Fields of the language that the engine does not run yet: any value but the default is refused by name."""


def definition_schema() -> dict[str, Any]:
    """The published JSON Schema 2020-12 of definitions."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:tooloo:schema:workflow",
        **Definition.model_json_schema(by_alias=True, mode="validation"),
    }
