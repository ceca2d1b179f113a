"""Tasks: a workflow or an action that runs by a schedule (CONTRACT 9)."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from models.contract import Contract
from models.definition import SLUG
from models.identity import Caller
from models.runs import Failure
from models.schedules import Moment, Policy, Schedule, Timezone, refuse

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Slug = Annotated[str, StringConstraints(pattern=SLUG)]


class Target(Contract):
    """What a task runs: exactly one of these."""

    workflow: Slug | None = Field(default=None, examples=["code-review"])
    action: Annotated[str, StringConstraints(max_length=130)] | None = Field(default=None, examples=["context.search"])
    intent: str | None = Field(default=None, max_length=2_000, description="Not supported yet.")

    @model_validator(mode="after")
    def _one(self) -> "Target":
        if sum(one is not None for one in (self.workflow, self.action, self.intent)) != 1:
            refuse("bad-target", "not exactly one of workflow, action and intent", 'Give one: {"workflow": "its-id"}.')
        return self


class NewTask(Contract):
    """Body of `POST /task/schedule` and `PUT /task/{id}`."""

    name: Name = Field(examples=["nightly review"])
    schedule: Schedule
    timezone: Timezone | None = Field(default=None, description="IANA name; left out, the owner's own, else UTC.")
    target: Target
    input: JsonValue = Field(default_factory=dict)
    policy: Policy = Policy()


class Preview(Contract):
    """Body of `POST /task/preview`."""

    schedule: Schedule
    timezone: Timezone | None = None
    policy: Policy = Field(default=Policy(), description="As a task has it: `dst` decides upon the times.")
    from_: Moment | None = Field(
        default=None, alias="from", description="The first instant that may be shown; now, when left out."
    )
    count: int = Field(default=10, ge=1, le=1_000)


class Previewed(Contract):
    """When a schedule fires."""

    next: tuple[datetime, ...]
    """With the offset of the time zone."""
    text: str = Field(examples=["every day at 02:30, America/New_York"])


class Scheduled(Contract):
    """The answer to a new or changed task."""

    id: str
    next: tuple[datetime, ...]
    text: str


class Task(Contract):
    """A task as its owner sees it."""

    id: str
    name: str
    owner_id: str
    schedule: Schedule
    timezone: str
    target: Target
    input: JsonValue
    policy: Policy
    text: str
    next: tuple[datetime, ...]
    """Ten, in a list five; none while it is paused."""
    paused: bool
    skipped: int | None = None
    """Times without a run since one was still running, as Temporal counts; null in a list, or when it is away."""
    missed: int | None = None
    """Times without a run since the server was away for too long."""
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]


TaskOutcome = Literal["completed", "failed", "skipped", "missed", "running"]


class TaskRun(Contract):
    """One time at which a task was to run."""

    planned_at: datetime
    started_at: datetime | None
    outcome: TaskOutcome
    run_id: str | None
    error: Failure | None = None
    links: dict[str, str] = Field(default_factory=dict[str, str])


class ExecutedPending(Contract):
    """What was due and had not started, and does now."""

    started: int
    tasks: tuple[str, ...]
    """Ids."""


class Triggered(Contract):
    """The answer to a trigger."""

    id: str
    planned_at: datetime
    """Of its run: a second that no other run of the task has."""


class Backfill(Contract):
    """Body of `POST /task/{id}/backfill`: run what the schedule says for a time that has passed, bounds included."""

    from_: Moment = Field(alias="from", examples=["2027-03-13T00:00:00-05:00"])
    to: Moment = Field(examples=["2027-03-14T00:00:00-05:00"])


class OpenTaskRun(Contract):
    """A schedule asks for a run of its task."""

    task_id: str
    planned_at: datetime
    """To the second."""
    asked_at: datetime
    asked_by: str
    """Temporal's ids of the workflow and of the execution that asks."""


class OpenedTaskRun(Contract):
    """A recorded run, ready to start."""

    run_id: str
    plan: str
    """In its JSON form."""
    input: JsonValue
    caller: Caller
