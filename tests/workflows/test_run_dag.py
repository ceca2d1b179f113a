"""The engine on a real Temporal server and PostgreSQL."""

from typing import Any

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from models.persistence.tables import outbox, run_steps, runs
from tests.workflows.conftest import Engine


def step(step_id: str, action: str = "echo", **rest: Any) -> dict[str, Any]:
    return {"id": step_id, "service": "flow", "action": action, **rest}


async def test_chain_passes_values_and_is_recorded_with_its_events(engine: Engine) -> None:
    definition = {
        "id": "chain",
        "steps": [
            step("a", input={"value": {"n": 1}}),
            step("b", input={"value": "from:a.value.n"}),
            step("c", input={"value": {"b": "from:b.value", "x": "from:input.x ?? 7"}}),
        ],
        "output": {"c": "from:c.value"},
    }
    handle = await engine.start(definition)
    assert await handle.result() == {"c": {"b": 1, "x": 7}}
    async with engine.database.connect() as connection:
        run = (await connection.execute(select(runs))).one()
        steps = (await connection.execute(select(run_steps).order_by(run_steps.c.step_id))).all()
        events = (await connection.execute(select(outbox).order_by(outbox.c.sequence))).all()
    assert (run.status, run.output, run.error) == ("completed", {"c": {"b": 1, "x": 7}}, None)
    assert [(s.step_id, s.status, s.attempts) for s in steps] == [(name, "succeeded", 1) for name in "abc"]
    assert [(event.sequence, event.type.split(".")[1], event.data.get("step")) for event in events] == [
        (1, "workflow-started", None),
        (2, "step-completed", "a"),
        (3, "step-completed", "b"),
        (4, "step-completed", "c"),
        (5, "workflow-completed", None),
    ]


async def test_large_results_stay_out_of_history_and_reach_who_needs_them(engine: Engine) -> None:
    text = "x" * 100_000
    definition = {
        "id": "large",
        "steps": [
            step("a", input={"value": "from:input"}),
            step("b", input={"value": {"whole": "from:a.value", "part": "from:a.value.small"}}),
            step("c", input={"value": "from:b.value.part"}),
        ],
        "output": {"small": "from:c.value", "part": "from:b.value.whole.small"},
    }
    handle = await engine.start(definition, {"text": text, "small": 5})
    await handle.result()
    history = await handle.fetch_history()
    assert sum(event.ByteSize() for event in history.events) < 20_000
    async with engine.database.connect() as connection:
        run = (await connection.execute(select(runs))).one()
    assert run.output == {"small": 5, "part": 5}


async def test_failure_skips_what_follows_and_fails_the_run(engine: Engine) -> None:
    definition = {
        "id": "failing",
        "steps": [
            step("bad", "fail", input={"message": "no luck", "code": "unlucky"}, retry={"max_attempts": 2}),
            step("after", depends_on=["bad"]),
            step("aside"),
        ],
    }
    handle = await engine.start(definition)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "unlucky"
    async with engine.database.connect() as connection:
        run = (await connection.execute(select(runs))).one()
        steps = (await connection.execute(select(run_steps).order_by(run_steps.c.step_id))).all()
    assert run.error == {"step": "bad", "code": "unlucky", "message": "no luck", "attempt": 2}
    assert [(s.step_id, s.status, s.reason, s.attempts) for s in steps] == [
        ("after", "skipped", "upstream", 0),
        ("aside", "succeeded", None, 1),
        ("bad", "failed", None, 2),
    ]
