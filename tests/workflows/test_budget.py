"""A run's history is never larger than what validating its definition has said."""

from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError

from models.catalogue import CATALOGUE
from tests.e2e.conftest import step
from tests.workflows.conftest import Engine
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.outline import outline


def chain() -> list[dict[str, Any]]:
    return [step(f"s{n}", input={"value": f"from:s{n - 1}.value" if n else "from:input"}) for n in range(30)]


def fan_out() -> list[dict[str, Any]]:
    return [step(f"s{n}", input={"value": "from:input"}) for n in range(60)]


def ladder() -> list[dict[str, Any]]:
    """Rungs of two steps, each of which needs both of the rung before."""
    return [
        step(f"{side}{n}", input={"value": [f"from:l{n - 1}.value.x ?? 0"] if n else "from:input"},
             depends_on=[f"r{n - 1}"] if n else [])
        for n in range(15)
        for side in "lr"
    ]  # fmt: skip


def failing() -> list[dict[str, Any]]:
    failure = {"message": "é" * 5_000, "code": "c" * 100}
    return [step(f"s{n}", "fail", input=failure, retry={"max_attempts": 2, "initial": 0.01}) for n in range(20)]


@pytest.mark.parametrize(
    "steps", [chain(), fan_out(), ladder(), failing()], ids=["chain", "fan-out", "ladder", "failing"]
)
@pytest.mark.parametrize("size", [10, 4_000, 50_000])
async def test_history_stays_within_the_budget(engine: Engine, steps: list[dict[str, Any]], size: int) -> None:
    definition = {"id": f"budget-{uuid4().hex}", "steps": steps, "limits": {"timeout": 600}}
    compiled = compile_definition(definition, CATALOGUE)
    assert isinstance(compiled, Compiled)
    budget = outline(compiled.plan).budget
    handle = await engine.start(definition, {"x": "y" * size})
    try:
        await handle.result()
    except WorkflowFailureError:
        assert steps[0]["action"] == "fail"
    info = (await handle.describe()).raw_description.workflow_execution_info
    assert info.history_length <= budget.history_events
    assert info.history_size_bytes <= budget.history_bytes
