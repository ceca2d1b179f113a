"""Foreign services: task queues whose workers somebody else has written, in any language with a Temporal SDK."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from models.actions import ForeignAction, Retry, Timeout
from models.contract import Contract
from models.definition import JsonSchema, RetryOptions, Slug, Text, TimeoutOptions

QueueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,199}$")]
SCHEDULE_TO_START = 60.0
"""Seconds a step waits for a worker of a foreign service, unless it says otherwise."""


class NewAction(Contract):
    """An action of a foreign service. Its activity type is `<service>.<name>`: one JSON value in, one out."""

    name: Slug = Field(examples=["translate"])
    summary: Text = ""
    input_schema: JsonSchema = Field(default_factory=dict[str, Any], description="JSON Schema 2020-12 of the input.")
    result_schema: JsonSchema = Field(default_factory=dict[str, Any], description="JSON Schema 2020-12 of the result.")
    retry: RetryOptions = RetryOptions()
    timeout: TimeoutOptions = TimeoutOptions()
    idempotent: bool = True


class NewService(Contract):
    """Body of `POST /services`."""

    name: Slug = Field(examples=["translator"])
    task_queue: QueueName = Field(examples=["translator"])
    # A list: of a tuple with a bad item, pydantic also says that it is too short.
    actions: list[NewAction] = Field(min_length=1, max_length=200)


class Service(NewService):
    """A registered service."""

    owner_id: str
    created_at: datetime
    updated_at: datetime


def actions_of(service: NewService) -> list[ForeignAction]:
    """Its actions as the compiler knows them."""
    return [
        ForeignAction(
            service=service.name,
            name=action.name,
            summary=action.summary,
            input_schema=action.input_schema,
            result_schema=action.result_schema,
            task_queue=service.task_queue,
            retry=action.retry.over(Retry()),
            timeout=action.timeout.over(Timeout(schedule_to_start=SCHEDULE_TO_START, heartbeat=None)),
            idempotent=action.idempotent,
        )
        for action in service.actions
    ]
