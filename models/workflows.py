"""Definitions and actions as the API shows them (CONTRACT 3)."""

from datetime import datetime
from typing import Any

from pydantic import Field, JsonValue

from models.actions import Retry, Timeout
from models.contract import Contract
from models.definition import LabelName, LabelValue
from models.errors import Problem
from models.identity import Role
from models.plans import PlanOutline


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
    links: dict[str, str]


class ExecuteRequest(Contract):
    """Body of `POST /workflow/{id}/execute` and `POST /actions/{service}.{action}/execute`."""

    input: JsonValue = Field(default_factory=dict[str, JsonValue], examples=[{"owner": "psf", "repo": "requests"}])
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict[str, str], max_length=50)


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
