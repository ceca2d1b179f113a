"""The progress of one run as a stream: what is recorded, in its order, and what is under way right now."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from fastapi.sse import ServerSentEvent

from api.parts import Parts
from api.runs import show_run
from models.events import EventType, run_subject
from models.identity import Caller
from models.persistence.outbox import events_after
from models.runs import Run, StepState

POLL_SECONDS = 0.25


async def follow(
    parts: Parts, caller: Caller, workflow: str, run_id: str, last_sequence: int
) -> AsyncIterator[ServerSentEvent]:
    """Events behind `last_sequence` until the run has ended. Ids are the run's event sequence: they can be resumed."""
    run = await show_run(parts, caller, workflow, run_id)
    yield _event("run", run.model_copy(update={"steps": ()}), last_sequence or None)
    shown: dict[str, StepState] = {}
    while True:
        async with parts.database.connect() as connection:
            events = await events_after(connection, run_subject(run_id), last_sequence)
        run = await show_run(parts, caller, workflow, run_id)
        steps = {step.id: step for step in run.steps}
        for event in events:
            last_sequence = event.sequence
            step = steps.get(str(event.data.get("step")))
            if event.type == EventType.STEP_COMPLETED and step is not None:
                shown[step.id] = step
                yield _event("step", step, last_sequence)
        for step in run.steps:
            if not step.status.ended and shown.get(step.id) != step:
                shown[step.id] = step
                yield _event("step", step, None)
        for compensation in run.compensations:
            if shown.get(compensation.id) != compensation:
                shown[compensation.id] = compensation
                yield _event("compensation", compensation, None)
        if run.status.ended and not events:
            yield _event("end", run, last_sequence)
            return
        await asyncio.sleep(POLL_SECONDS)


def _event(kind: str, data: Run | StepState, sequence: int | None) -> ServerSentEvent:
    content: Any = data.model_dump(mode="json")
    return ServerSentEvent(event=kind, data=content, id=None if sequence is None else str(sequence))
