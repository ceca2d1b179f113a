"""The world as the engine's tests have it: what a step asks for ends when the test says so."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from models.values import INLINE_LIMIT, Value
from tests.unit.dag.definitions import compiled
from workflows.dag.effects import ActionCall, Answer, RunCall, StepFailedError, StepFailure
from workflows.dag.execution import Execution
from workflows.dag.expressions import ExpressionFailedError, evaluate
from workflows.dag.plan import Expression, Node
from workflows.dag.progress import PROGRESS, Progress, RunEnd, Signal


@dataclass
class World:
    """Effects on plain asyncio. Notes what was asked for, in its order."""

    started: list[str] = field(default_factory=list[str])
    calls: dict[str, ActionCall | RunCall] = field(default_factory=dict[str, ActionCall | RunCall])
    ends: dict[str, asyncio.Future[Any]] = field(default_factory=dict[str, "asyncio.Future[Any]"])
    stubborn: list[str] = field(default_factory=list[str])
    """Steps that ignore one cancellation."""
    at_once: dict[str, Any] = field(default_factory=dict[str, Any])
    """What a call of that id, or of that step, gives without waiting."""
    asked: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    settled: list[tuple[str, str | None]] = field(default_factory=list[tuple[str, str | None]])
    far: list[str] = field(default_factory=list[str])
    """Expressions that were not evaluated by the engine itself."""
    breaths: int = 0
    blobs: dict[str, Any] = field(default_factory=dict[str, Any])
    """Stored values by their ref."""

    def time(self) -> float:
        return time.time()

    async def breathe(self, work: int) -> None:
        self.breaths += work

    async def act(self, call: ActionCall) -> Value:
        return await self._call(call)

    async def run(self, call: RunCall) -> Value:
        return await self._call(call)

    async def evaluate(self, expression: Expression, variables: Value) -> Value:
        self.far.append(expression.text)
        document = variables.json
        for hole in variables.holes:
            part = self.blobs[hole.stored.ref]
            for read in hole.reads:
                part = read.of(part)
            container = document
            for name in hole.at[:-1]:
                container = container[name]
            container[hole.at[-1]] = part
        try:
            return Value(evaluate(expression.text, expression.item, document))
        except ExpressionFailedError as error:
            raise StepFailedError(StepFailure("expression-failed", str(error))) from error

    async def keep(self, value: Value) -> Value:
        assert len(str(value.json)) <= INLINE_LIMIT
        return value

    async def ask(self, node: Node, shown: Value, until: float | None) -> None:
        self.asked.append((node.id, shown.json))

    async def settle(self, node: Node, answer: Answer | None) -> None:
        self.settled.append((node.id, None if answer is None else answer.by))

    def input(self, call_id: str) -> Any:
        """What a call was given."""
        return self.calls[call_id].input.json

    async def end(self, call_id: str, value: Any = None) -> None:
        """End a call and let the engine do all that follows."""
        if isinstance(value, BaseException):
            self.ends[call_id].set_exception(value)
        else:
            self.ends[call_id].set_result(value)
        await settle()

    async def _call(self, call: ActionCall | RunCall) -> Value:
        self.started.append(call.id)
        self.calls[call.id] = call
        step_id = call.id.split("[")[0].split("#")[0]
        for name in (call.id, step_id):
            if name in self.at_once:
                return _value(self.at_once[name](call) if callable(self.at_once[name]) else self.at_once[name])
        end = self.ends[call.id] = asyncio.get_running_loop().create_future()
        try:
            return _value(await asyncio.shield(end))
        except asyncio.CancelledError:
            if call.id not in self.stubborn:
                raise
            return _value(await end)


def _value(value: Any) -> Value:
    if isinstance(value, BaseException):
        raise value
    return value if isinstance(value, Value) else Value(value)


def echo(call: ActionCall | RunCall) -> Any:
    """What `flow.echo` gives."""
    return {"value": call.input.json.get("value")}


async def settle() -> None:
    """Let everything happen that can."""
    for _ in range(40):
        await asyncio.sleep(0)


class Run:
    """A run of a definition, on a world of its own; `parts` continues it as new."""

    def __init__(self, raw: dict[str, Any], run_input: Any = None, world: World | None = None, **options: Any) -> None:
        self.plan = compiled(raw).plan
        self.world = world or World()
        self.execution = Execution(self.plan, run_input, self.world, **options)
        self._input = run_input

    async def begin(self) -> "asyncio.Task[RunEnd]":
        """Start it, and let everything happen that can."""
        task = asyncio.create_task(self.execution.run())
        await settle()
        return task

    async def finish(self) -> RunEnd:
        """Run it to its end, with nothing to wait for."""
        async with asyncio.timeout(10):
            return await self.execution.run()

    def next_part(self, world: World | None = None, **options: Any) -> "Run":
        """The run as continue-as-new goes on with it."""
        rest = object.__new__(Run)
        rest.plan, rest.world, rest._input = self.plan, world or World(), self._input
        progress = PROGRESS.validate_json(PROGRESS.dump_json(self.execution.progress))
        assert progress == self.execution.progress
        rest.execution = Execution(self.plan, self._input, rest.world, progress=progress, **options)
        return rest

    @property
    def progress(self) -> Progress:
        return self.execution.progress

    @property
    def statuses(self) -> dict[str, str]:
        """How the steps ended: the status, and why it was skipped."""
        shown: dict[str, str] = {}
        for number, end in sorted(self.progress.ended.items()):
            shown[self.plan.nodes[number].id] = end.status if end.reason is None else f"{end.status}: {end.reason}"
        return shown

    @property
    def failure(self) -> tuple[str, str] | None:
        """The step and code that made the run fail."""
        first = self.execution.first_failure
        return None if first is None else (first[0], first[1].code)

    def value(self, step_id: str) -> Any:
        """What a step gave."""
        return self.progress.values[self.plan.numbers[step_id]].json

    def signal(self, name: str, payload: Any = None, signal_id: str = "") -> None:
        self.execution.mailbox.deliver(Signal(name, signal_id or f"{name}-{payload}", payload))


def failure(code: str = "bad") -> StepFailedError:
    return StepFailedError(StepFailure(code, f"{code} luck", 1))
