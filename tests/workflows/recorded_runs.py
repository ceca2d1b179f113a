"""Histories of real runs, kept to be replayed by later code: what an edit must not break is every run in flight."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

import workflows
from tests.e2e.conftest import step
from tests.workflows.short_histories import history_limit
from workers.runtime import SANDBOX
from workflows.payloads import data_converter
from workflows.run_dag import RunDagWorkflow

HISTORIES = Path(__file__).parent / "histories"
BLOBS = HISTORIES / "blobs"
FINGERPRINT = HISTORIES / "fingerprint.txt"
_LARGE = "x" * 5_000


@dataclass(frozen=True)
class Scenario:
    """A run worth keeping."""

    steps: Sequence[dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the definition, beside its steps."""
    input: Any = None
    cancelled_at: str | None = None
    """The step that is under way when the run is cancelled."""
    history_limit: int | None = None
    """Events after which it continues as new; None: the engine's own limit."""
    recorded: bool = True
    """False: started by a schedule, so that the engine itself opens the record."""


SCENARIOS = {
    "chain": Scenario(
        [
            step("a", input={"value": {"n": 1}}),
            step("b", input={"value": "from:a.value.n"}),
            step("c", depends_on=["b"]),
        ],
        {"output": {"b": "from:b.value", "x": "from:input.x ?? 7"}},
    ),
    "fan-out": Scenario(
        [
            step("root"),
            *(step(f"leaf{n}", input={"value": n}, depends_on=["root"]) for n in range(5)),
            step("join", input={"value": [f"from:leaf{n}.value" for n in range(5)]}),
        ],
        {"limits": {"max_parallel": 2}, "output": "from:join"},
    ),
    "failure": Scenario(
        [
            step("bad", "fail", input={"message": "no", "code": "unlucky"}, retry={"max_attempts": 2, "initial": 0.01}),
            step("after", depends_on=["bad"]),
            step("last", depends_on=["after"]),
            step("aside"),
        ]
    ),
    "retry": Scenario(
        [
            step("a", "fail", input={"message": "no", "times": 1}, retry={"initial": 0.01}),
            step("b", input={"value": "from:a.attempt"}),
        ]
    ),
    "on-error-continue": Scenario(
        [
            step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, on_error="continue"),
            step("after", input={"value": "from:bad.attempt ?? 0"}),
        ],
        {"output": "from:after.value"},
    ),
    "cancel": Scenario(
        [
            step("a"),
            step("s", "sleep", input={"seconds": 600}, timeout={"heartbeat": 1}, depends_on=["a"]),
            step("z", depends_on=["s"]),
        ],
        cancelled_at="s",
    ),
    "fail-fast": Scenario(
        [
            step("s", "sleep", input={"seconds": 600}, timeout={"heartbeat": 1}),
            step("a"),
            step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, depends_on=["a"]),
        ],
        {"limits": {"fail_fast": True}},
    ),
    "timeout": Scenario(
        [step("s", "sleep", input={"seconds": 600}, timeout={"heartbeat": 1}), step("z", depends_on=["s"])],
        {"limits": {"timeout": 1}},
    ),
    "large-values": Scenario(
        [
            step("a", input={"value": "from:input"}),
            step("b", input={"value": {"whole": "from:a.value", "part": "from:a.value.n"}}),
            step("c", input={"value": [_LARGE, "from:b.value.part"]}),
        ],
        {"output": {"part": "from:b.value.part", "whole": "from:c"}},
        input={"text": _LARGE, "n": 5},
    ),
    "continue-as-new": Scenario(
        [
            step("large", input={"value": {"text": _LARGE, "n": 1}}),
            step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, on_error="continue"),
            step("c0", "count", input={"key": "recorded"}),
            *(step(f"c{n}", "count", input={"key": "recorded"}, depends_on=[f"c{n - 1}"]) for n in range(1, 8)),
            step("late", input={"value": ["from:c7.value", "from:large.value.n", "from:bad ?? 3"]}),
        ],
        {"output": "from:late.value", "limits": {"timeout": 600}},
        history_limit=30,
    ),
    "scheduled": Scenario([step("a")], recorded=False),
}


class FolderBlobs:
    """Payloads kept as files named by their hash."""

    def __init__(self, folder: Path, *, writes: bool) -> None:
        self._folder = folder
        self._writes = writes

    async def store(self, items: Sequence[bytes]) -> list[str]:
        """Keep each item; the refs in order."""
        refs = [sha256(item).hexdigest() for item in items]
        if self._writes:
            for ref, item in zip(refs, items, strict=True):
                await asyncio.to_thread((self._folder / ref).write_bytes, item)
        return refs

    async def load(self, refs: Sequence[str]) -> list[bytes]:
        """The bytes behind each ref."""
        return [await asyncio.to_thread((self._folder / ref).read_bytes) for ref in refs]


def stored_histories(name: str) -> list[Path]:
    """Files of a scenario's parts, in order."""
    return sorted(HISTORIES.glob(f"{name}.*.json"))


async def replay(name: str, history: str) -> None:
    """Run today's code over a history. Raises NondeterminismError when it decides other than what happened."""
    limit = SCENARIOS[name].history_limit
    if limit is None:
        await _replay(history, SANDBOX)
    else:
        with history_limit(limit) as sandbox:
            await _replay(history, sandbox)


async def _replay(history: str, sandbox: SandboxedWorkflowRunner) -> None:
    converter = data_converter(FolderBlobs(BLOBS, writes=False))
    replayer = Replayer(workflows=[RunDagWorkflow], data_converter=converter, workflow_runner=sandbox)
    await replayer.replay_workflow(WorkflowHistory.from_json("recorded", history))


def fingerprint() -> str:
    """Of the source of everything that decides what a run does next."""
    folder = Path(workflows.__file__).parent
    digest = sha256()
    for path in [folder / "run_dag.py", *sorted((folder / "dag").glob("*.py"))]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
