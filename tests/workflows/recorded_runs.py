"""Histories of real runs, kept to be replayed by later code: what an edit must not break is every run in flight."""

import asyncio
import json
from collections.abc import Mapping, Sequence
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
from workflows.run_task import RunTaskWorkflow

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
    """The step that is under way, or waits, when the run is cancelled."""
    signals: Sequence[tuple[str, Any]] = ()
    """Sent when the run has begun."""
    answers: Mapping[str, bool] = field(default_factory=dict[str, bool])
    """Approvals and their answers, given as soon as they are asked for."""
    others: Sequence[dict[str, Any]] = ()
    """Definitions that its steps run."""
    request: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the run, beside its input."""
    history_limit: int | None = None
    """Events after which it continues as new; None: the engine's own limit."""
    recorded: bool = True
    """False: started by a schedule, so that the engine itself opens the record."""
    by_task: bool = False
    """Started by a task, whose history it is."""


def _undo(value: str) -> dict[str, Any]:
    return {"service": "flow", "action": "echo", "input": {"value": value}}


_CHILD = {
    "id": "child",
    "input": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    "steps": [step("a", input={"value": "from:input.n"})],
    "output": {"n": "from:a.value"},
}

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
    "branches": Scenario(
        [
            {"id": "size", "switch": [{"when": "input.n > 10", "value": "big"}, {"value": "small"}]},
            step("big", when='steps["size"] == "big"'),
            step("small", when='steps["size"] == "small"'),
            step("any", join="any", depends_on=["big", "small"]),
            step("none-failed", join="none_failed", depends_on=["big", "small"]),
            step("all-done", join="all_done", depends_on=["big", "small"]),
            step("never", depends_on=["small"]),
        ],
        {
            "input": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
            "output": "from:size",
        },
        input={"n": 50},
    ),
    "map": Scenario(
        [
            step("list", input={"value": [3, 1, 2]}),
            step("m", map={"items": "from:list.value", "max_parallel": 2}, input={"value": "from:item"}),
            step("some", map={"items": "[1, 2, 3]", "as": "n"}, when="n != 2", input={"value": "from:n"}),
            step(
                "fails",
                "fail",
                map={"items": [0, 9], "on_error": "continue"},
                input={"message": "no", "times": "from:item"},
                retry={"max_attempts": 2, "initial": 0.01},
            ),
            {"id": "kinds", "map": {"items": "from:m"}, "switch": [{"when": "item.value == 1", "value": "one"}]},
            step("long", map={"items": [1, 2]}, input={"value": [_LARGE, "from:item"]}),
        ],
        {"output": {"m": "from:m", "some": "from:some", "kinds": "from:kinds", "long": "from:long[1].value[1]"}},
    ),
    "map-continued": Scenario(
        [
            step("m", "count", map={"items": list(range(20)), "max_parallel": 3}, input={"key": "recorded"}),
            {"id": "go", "wait": {"signal": "go"}},
            step("after", depends_on=["m", "go"]),
        ],
        {"output": "from:go"},
        signals=[("go", 7)],
        history_limit=30,
    ),
    "while": Scenario(
        [step("w", "count", input={"key": "turns"}, **{"while": {"condition": 'steps["w"].value < 3', "max": 5}})],
        {"output": "from:w.value"},
    ),
    "sub-workflow": Scenario(
        [
            {"id": "one", "workflow": {"id": "child"}, "input": {"n": 1}},
            {"id": "two", "map": {"items": [2, 3]}, "workflow": {"id": "child"}, "input": {"n": "from:item"}},
            {"id": "apart", "workflow": {"id": "child", "wait": False}, "input": {"n": 4}},
        ],
        {"output": ["from:one.n", "from:two[1].n"]},
        others=[_CHILD],
    ),
    "wait": Scenario(
        [
            {"id": "pause", "wait": {"for": 0.5}},
            {"id": "past", "wait": {"until": "2020-01-01T00:00:00Z"}},
            {"id": "go", "wait": {"signal": "go", "schema": {"type": "integer"}, "timeout": "1h"}},
            {"id": "never", "wait": {"signal": "never", "timeout": 0.5}, "on_error": "continue"},
        ],
        {"output": "from:go"},
        signals=[("go", "refused"), ("go", 5), ("other", _LARGE)],
    ),
    "approval": Scenario(
        [
            step("a", input={"value": 1}),
            {"id": "yes", "approval": {"roles": ["admin"]}, "input": {"a": "from:a.value"}},
            {"id": "no", "approval": {}, "on_error": "continue"},
            {"id": "late", "approval": {"timeout": 0.5, "on_timeout": "continue"}},
        ],
        {"output": "from:yes.by"},
        answers={"yes": True, "no": False},
    ),
    "compensate": Scenario(
        [
            step("a", input={"value": 1}, compensate=_undo("from:a.value")),
            step(
                "m",
                map={"items": [1, 2]},
                input={"value": "from:item"},
                compensate=_undo("from:item"),
                depends_on=["a"],
            ),
            step("bad", "fail", input={"message": "no"}, retry={"max_attempts": 1}, depends_on=["m"]),
        ],
        {"on_failure": [step("tell", input={"value": "from:error.code"}), step("then", depends_on=["tell"])]},
    ),
    "cancel-undone": Scenario(
        [
            step("a", input={"value": 1}, compensate=_undo("from:a.value")),
            {"id": "w", "wait": {"signal": "never"}, "depends_on": ["a"]},
        ],
        cancelled_at="w",
    ),
    "options": Scenario([step("a", input={"value": 1}, priority=2, cache={"key": "recorded", "ttl": "1h"})]),
    "dry-run": Scenario(
        [
            step("a", "count", input={"key": "dry"}, mock={"key": "dry", "value": 3}),
            step("b", input={"value": "from:a.value"}),
            {"id": "pause", "wait": {"for": "1d"}},
        ],
        {"output": "from:b.value"},
        request={"dry_run": True},
    ),
    "waits-for-place": Scenario(
        [step("a")], {"concurrency": {"key": "from:input.key ?? 1", "max": 1}}, request={"admitted": False}
    ),
    "long-expression": Scenario(
        [
            step("a", input={"value": "from:input.list"}),
            step("b", map={"items": 'items(steps["a"].value).filter(n, n > 1497)'}, input={"value": "from:item"}),
            step("c", when="1 / input.zero == 1", on_error="continue"),
        ],
        {
            "input": {
                "type": "object",
                "properties": {"list": {"type": "array"}, "zero": {"type": "integer"}},
                "required": ["list", "zero"],
            },
            "output": "from:b",
        },
        input={"list": list(range(1_500)), "zero": 0},
    ),
    "task": Scenario([step("a", input={"value": "from:input"})], input={"n": 1}, by_task=True),
    "task-failed": Scenario([step("a", "fail", input={"message": "no"}, retry={"max_attempts": 1})], by_task=True),
    "task-refused": Scenario([step("a")], {"input": {"type": "object", "required": ["n"]}}, input={}, by_task=True),
    "task-cancelled": Scenario([step("a", "sleep", input={"seconds": 60})], cancelled_at="a", by_task=True),
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
    replayer = Replayer(workflows=[RunDagWorkflow, RunTaskWorkflow], data_converter=converter, workflow_runner=sandbox)
    started = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"]
    await replayer.replay_workflow(WorkflowHistory.from_json(started["workflowId"], history))


def fingerprint() -> str:
    """Of the source of everything that decides what a run does next."""
    folder = Path(workflows.__file__).parent
    digest = sha256()
    names = ("run_dag.py", "run_task.py", "effects_in_temporal.py", "local_activities.py", "start.py")
    shells = [folder / name for name in names]
    for path in [*shells, *sorted((folder / "dag").glob("*.py"))]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()
