"""Definitions and actions as the API shows them (CONTRACT 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue

from models.actions import Retry, Timeout
from models.contract import Contract
from models.definition import Access, LabelName, LabelValue
from models.errors import Problem
from models.identity import Role
from models.plans import PlanOutline


@dataclass(frozen=True)
class StoredDefinition:
    """One version of a definition, as it was posted."""

    id: str
    version: int
    hash: str
    source: dict[str, Any]
    owner_id: str
    created_at: datetime
    calls: Mapping[str, int]
    """The version it runs of each workflow that its steps name without one: the current one when it was posted."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who may start runs, whether or not it still compiles."""
        return Access.model_validate(self.source.get("access", {})).execute


@dataclass(frozen=True)
class ChildPlan:
    """What a run needs that a step of another one starts."""

    json: bytes
    is_limited: bool
    """Whether it may have to wait for its place."""
    labels: dict[str, str]


class SavedWorkflow(Contract):
    """The answer to `POST /workflow`."""

    id: str = Field(examples=["code-review"])
    version: int = Field(examples=[1])
    hash: str
    warnings: tuple[Problem, ...]
    links: dict[str, str]


class ValidatedWorkflow(Contract):
    """The answer to `POST /workflow/validate` for a definition without problems."""

    valid: bool
    plan: PlanOutline
    warnings: tuple[Problem, ...]


class WorkflowSummary(Contract):
    """A definition in a list."""

    id: str
    name: str
    version: int
    hash: str
    owner_id: str
    created_at: datetime
    """When this version was made."""


class Workflow(WorkflowSummary):
    """A definition as it was posted."""

    definition: dict[str, Any]
    input_schema: dict[str, Any] | None
    """JSON Schema of what a run is given."""
    output_schema: dict[str, Any]
    """JSON Schema of what it gives back: a workflow is an action to others."""
    links: dict[str, str]


class ExecuteRequest(Contract):
    """Body of `POST /workflow/{id}/execute` and `POST /actions/{service}.{action}/execute`."""

    input: JsonValue = Field(default_factory=dict[str, JsonValue], examples=[{"owner": "psf", "repo": "requests"}])
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict[str, str], max_length=50)
    dry_run: bool = Field(
        default=False, description="Touch nothing: steps give their `mock`, but for those that touch nothing anyway."
    )


class SignalRequest(Contract):
    """Body of `POST …/executions/{run}/signals/{name}`."""

    payload: JsonValue = None
    id: str | None = Field(
        default=None, min_length=1, max_length=200, description="A signal with an id that came before changes nothing."
    )


class SentSignal(Contract):
    """A signal on its way."""

    run_id: str
    name: str
    id: str
    """Sent again under this id, it changes nothing."""


class AnswerRequest(Contract):
    """Body of `POST …/steps/{step}/approve` and `…/reject`."""

    comment: str | None = Field(default=None, max_length=2_000)
    data: JsonValue = Field(default=None, description="What the question's schema asks for.")


class Approval(Contract):
    """A question that a run puts before people."""

    run_id: str
    step_id: str
    workflow: str
    status: str
    """`open`, `approved`, `rejected`, `timed_out`, or `withdrawn` when the run ended first."""
    summary: str
    requested_by: str
    roles: tuple[str, ...]
    schema_: JsonValue = Field(alias="schema")
    """JSON Schema of the answer's data; null for none."""
    shown: JsonValue
    """The step's input: what the question is about."""
    asked_at: datetime
    until: datetime | None
    answered_by: str | None
    answered_at: datetime | None
    comment: str | None
    links: dict[str, str]


class ActionInfo(Contract):
    """An action of the catalogue, with its schemas."""

    type: str = Field(examples=["context.load-repo"])
    service: str
    action: str
    summary: str
    task_queue: str
    idempotent: bool
    roles: tuple[Role, ...]
    """Roles a run may have to use it."""
    retry: Retry
    timeout: Timeout
    input_schema: dict[str, Any]
    result_schema: dict[str, Any]
