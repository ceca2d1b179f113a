"""Runs that older code has begun go on under today's: it decides at each point of their histories as they say."""

import pytest
from temporalio.workflow import NondeterminismError

from tests.workflows.recorded_runs import FINGERPRINT, HISTORIES, SCENARIOS, fingerprint, replay, stored_histories

FILES = {path.stem: path for path in sorted(HISTORIES.glob("*.json"))}


@pytest.mark.parametrize("part", FILES)
async def test_stored_history_replays(part: str) -> None:
    await replay(_scenario(part), FILES[part].read_text())


def _scenario(part: str) -> str:
    return part.rpartition(".")[0]


async def test_replay_notices_code_that_decides_otherwise() -> None:
    (path,) = stored_histories("chain")
    history = path.read_text()
    with pytest.raises(NondeterminismError):
        await replay("chain", history.replace('"activityId": "b"', '"activityId": "other"'))


def test_every_scenario_is_recorded() -> None:
    assert {_scenario(part) for part in FILES} == set(SCENARIOS)
    assert len(stored_histories("continue-as-new")) > 1


def test_workflow_code_is_the_code_that_was_replayed() -> None:
    assert fingerprint() == FINGERPRINT.read_text().strip(), (
        "The code that runs workflows has changed. Runs in flight were begun by the code before it and will be "
        "replayed by the new one, so it must decide the same at every point of their histories.\n"
        "Run `python -m tests.workflows.record_histories`: it replays the stored histories and, when all pass, writes "
        "the new fingerprint, to be committed with the change. When the change adds a way to run that no history "
        "shows, add a scenario to tests/workflows/recorded_runs.py first; the same command records it.\n"
        "When a history does not replay, keep the old decision for runs that began with it: "
        "`if workflow.patched(...)` in workflows/run_dag.py, old branch included. Never record that history anew."
    )
