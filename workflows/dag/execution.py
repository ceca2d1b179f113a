"""Running a plan. What runs a step is handed in, so that the engine works without Temporal as it does with it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from models.runs import StepStatus
from models.values import MissingValueError, StoredValue
from workflows.dag.plan import INPUT, Plan
from workflows.dag.scheduler import Scheduler
from workflows.dag.templates import Filled, fill_template


@dataclass(frozen=True)
class StepFailure:
    """Why a step failed."""

    code: str
    message: str
    attempt: int | None = None


class StepFailedError(Exception):
    """Raised by what runs a step when no attempt is left."""

    def __init__(self, failure: StepFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class RunEnd(StrEnum):
    """How a run, or the part of it before continue-as-new, ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    DRAINED = "drained"


RunStep = Callable[[int, Filled], Awaitable[Any]]
"""Runs the node of that number with that input; gives its JSON value or a StoredValue. Raises StepFailedError."""


@dataclass
class Progress:
    """What a run has done, by node number: all that a later part of it needs to go on."""

    status: dict[int, StepStatus] = field(default_factory=dict[int, StepStatus])
    values: dict[int, Any] = field(default_factory=dict[int, Any])
    stored: dict[int, StoredValue] = field(default_factory=dict[int, StoredValue])
    failures: dict[int, StepFailure] = field(default_factory=dict[int, StepFailure])
    """In the order they happened."""
    deadline: float | None = None
    """When the run has to be over, in seconds since the epoch; fixed when its first part starts."""

    def deadline_after(self, now: float, timeout: float) -> float:
        """The deadline, fixed now if it is not yet."""
        if self.deadline is None:
            self.deadline = now + timeout
        return self.deadline

    def output(self, number: int) -> Any:
        """A node's JSON value, or the StoredValue that names it."""
        return self.stored[number] if number in self.stored else self.values.get(number)


PROGRESS = TypeAdapter(Progress)


class Execution:
    """One run of a plan. Event-driven: when a step ends its successors start at once, in a fixed order."""

    def __init__(
        self,
        plan: Plan,
        run_input: Any,
        run_step: RunStep,
        *,
        progress: Progress | None = None,
        must_drain: Callable[[], bool] = lambda: False,
        on_change: Callable[["Execution"], None] = lambda _: None,
    ) -> None:
        """`must_drain` is asked after each change: once true, nothing starts until what runs has ended."""
        self.plan = plan
        self.progress = progress or Progress()
        self.scheduler = Scheduler(plan, self.progress.status)
        self._input = run_input
        self._run_step = run_step
        self._must_drain = must_drain
        self._on_change = on_change
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._changed = asyncio.Event()
        self._stopped_as: RunEnd | None = None
        self._draining = False
        self._defect: BaseException | None = None

    @property
    def first_failure(self) -> tuple[str, StepFailure] | None:
        """The step and failure that make the run fail."""
        for number, failure in self.progress.failures.items():
            if not self.plan.nodes[number].continue_on_error:
                return self.plan.nodes[number].id, failure
        return None

    async def run(self) -> RunEnd:
        """Run until nothing is left to do. Cancelling this coroutine cancels the steps and waits for them to end."""
        while True:
            if self._defect is not None:
                raise self._defect
            self._draining = self._draining or self._must_drain()
            if self._stopped_as is None and not self._draining:
                self._start_steps()
            self._on_change(self)
            if not self._tasks:
                return self._end()
            try:
                await self._changed.wait()
            except asyncio.CancelledError:
                self.stop(RunEnd.CANCELLED)
            self._changed.clear()

    def stop(self, end: RunEnd) -> None:
        """Start nothing more and cancel what runs; the run ends as `end` once all steps have."""
        if self._stopped_as is None:
            self._stopped_as = end
            self.scheduler.cancel_rest()
            for task in list(self._tasks.values()):
                task.cancel()
            self._changed.set()

    def output(self) -> Filled:
        """What the run gives back. Null when a value is missing that can not be left out: the whole, or an item."""
        try:
            return fill_template(self.plan.output, self._value_of)
        except MissingValueError:
            return Filled(None, ())

    def _start_steps(self) -> None:
        for number in self.scheduler.start(self.plan.max_parallel):
            task = asyncio.create_task(self._run_node(number))
            task.add_done_callback(partial(self._step_ended, number))
            self._tasks[number] = task

    async def _run_node(self, number: int) -> Any:
        return await self._run_step(number, self._input_of(number))

    def _step_ended(self, number: int, task: asyncio.Task[Any]) -> None:
        """Note how a step ended. A callback and not the task's own last lines: it may be cancelled before its first."""
        del self._tasks[number]
        self._changed.set()
        if task.cancelled():
            self._note_cancelled(number)
        elif (error := task.exception()) is None:
            self._note_success(number, task.result())
        elif isinstance(error, StepFailedError):
            self._note_failure(number, error.failure)
        else:
            # Not the step's fault but ours. Nobody awaits this task, so the run itself has to raise it.
            self._defect = self._defect or error

    def _note_success(self, number: int, output: Any) -> None:
        if isinstance(output, StoredValue):
            self.progress.stored[number] = output
        else:
            self.progress.values[number] = output
        self.scheduler.end(number, StepStatus.SUCCEEDED)

    def _note_failure(self, number: int, failure: StepFailure) -> None:
        self.progress.failures[number] = failure
        self.scheduler.end(number, StepStatus.FAILED)
        if self.plan.fail_fast and not self.plan.nodes[number].continue_on_error:
            self.stop(RunEnd.FAILED)

    def _note_cancelled(self, number: int) -> None:
        if self._stopped_as is None:
            self._note_failure(number, StepFailure("cancelled", "the step was cancelled, but not by its run"))
        else:
            self.scheduler.end(number, StepStatus.CANCELLED)

    def _input_of(self, number: int) -> Filled:
        try:
            return fill_template(self.plan.nodes[number].template, self._value_of)
        except MissingValueError as error:
            message = "a value this step's input needs is missing; give its reference a default with ??"
            raise StepFailedError(StepFailure("missing-value", message)) from error

    def _value_of(self, source: int) -> Any:
        return self._input if source == INPUT else self.progress.output(source)

    def _end(self) -> RunEnd:
        self.progress.status = self.scheduler.status
        if self._stopped_as is not None:
            return self._stopped_as
        if not self.scheduler.finished:
            return RunEnd.DRAINED
        return RunEnd.FAILED if self.first_failure else RunEnd.COMPLETED
