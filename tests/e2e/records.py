"""Whether the record of a run, its events and Temporal tell the same story."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHistory

from models.persistence.tables import outbox, run_steps, runs

_PATIENCE_SECONDS = 60
_STATUS = {
    "completed": WorkflowExecutionStatus.COMPLETED,
    "failed": WorkflowExecutionStatus.FAILED,
    "cancelled": WorkflowExecutionStatus.CANCELED,
    "timed_out": WorkflowExecutionStatus.FAILED,  # the limit is the definition's, not Temporal's
}
_ENDS = {
    "activity_task_completed_event_attributes": "succeeded",
    "activity_task_failed_event_attributes": "failed",
    "activity_task_timed_out_event_attributes": "failed",
    "activity_task_canceled_event_attributes": "cancelled",
}


async def assert_record_is_true(database: AsyncEngine, temporal: Client, run_id: str) -> None:
    """The recorded run is what Temporal has; each step was scheduled at most once; each event is there once."""
    handle = temporal.get_workflow_handle(run_id)
    with suppress(WorkflowFailureError):  # a run's end is recorded before Temporal has it
        await asyncio.wait_for(handle.result(), _PATIENCE_SECONDS)
    async with database.connect() as connection:
        run = (await connection.execute(select(runs).where(runs.c.run_id == run_id))).one()
        steps = (await connection.execute(select(run_steps).where(run_steps.c.run_id == run_id))).all()
        events = (
            await connection.execute(
                select(outbox).where(outbox.c.subject == f"run/{run_id}").order_by(outbox.c.sequence)
            )
        ).all()
    assert (await handle.describe()).status is _STATUS[run.status], run.status
    recorded = {step.step_id: step.status for step in steps}
    ended = ends_of_steps(await parts_of(temporal, run_id))
    assert recorded == {step_id: ended.get(step_id, recorded[step_id]) for step_id in recorded}
    assert set(ended) <= set(recorded)
    assert not {status for step_id, status in recorded.items() if step_id not in ended} & {"succeeded", "failed"}
    _assert_events(events, run.status, recorded)


def _assert_events(events: Any, status: str, recorded: dict[str, str]) -> None:
    assert [event.sequence for event in events] == list(range(1, len(recorded) + 3))
    first, *middle, last = events
    assert first.type == "orchestration.workflow-started"
    assert {event.type for event in middle} <= {"orchestration.step-completed"}
    assert {event.data["step"]: event.data["status"] for event in middle} == recorded
    assert (last.type, last.data["status"]) == ("orchestration.workflow-completed", status)


async def parts_of(temporal: Client, run_id: str) -> list[WorkflowHistory]:
    """A run's histories, first to last: continue-as-new begins another one."""
    histories: list[WorkflowHistory] = []
    part: str | None = None
    while part != "":
        history = await temporal.get_workflow_handle(run_id, run_id=part).fetch_history()
        histories.insert(0, history)
        part = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return histories


def ends_of_steps(histories: list[WorkflowHistory]) -> dict[str, str]:
    """How each step's activity ended, by step. Fails when one was scheduled, or ended, twice."""
    ended: list[tuple[str, str]] = []
    scheduled: list[str] = []
    for history in histories:
        ids = {
            event.event_id: event.activity_task_scheduled_event_attributes.activity_id
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        }
        scheduled += ids.values()
        for event in history.events:
            kind = event.WhichOneof("attributes")
            if kind in _ENDS:
                ended.append((ids[getattr(event, kind).scheduled_event_id], _ENDS[kind]))
    assert [step_id for step_id, times in Counter(scheduled).items() if times > 1] == []
    assert sorted(step_id for step_id, _ in ended) == sorted(scheduled)
    return dict(ended)
