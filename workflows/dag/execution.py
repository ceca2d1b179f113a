"""Running a plan. What touches the world is handed in, so that the engine works without Temporal as it does with it.

A run has up to three phases: its steps; when they did not complete, what undoes those that succeeded, last one first;
and when they failed or took too long, the steps of `on_failure`.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from models.runs import Failure
from models.values import MISSING, Missing, MissingValueError, Value
from workflows.dag.bodies import Bodies, item_id
from workflows.dag.effects import Effects, StepFailedError, StepFailure
from workflows.dag.mailbox import Mailbox
from workflows.dag.plan import ERROR, INPUT, Plan
from workflows.dag.progress import Begun, Progress, RunEnd
from workflows.dag.scheduler import CANCELLED, FAILED, NOT_WANTED, SUCCEEDED, Ended, Scheduler
from workflows.dag.slots import DrainedError
from workflows.dag.templates import fill_template

TICKS_TO_TELL = 10
"""Turns of the event loop within which the end of a call has become the end of its step."""


class Execution:
    """One run of a plan. Event-driven: when a step ends its successors start at once, in a fixed order."""

    def __init__(
        self,
        plan: Plan,
        run_input: Any,
        effects: Effects,
        *,
        progress: Progress | None = None,
        dry_run: bool = False,
        must_drain: Callable[[bool], bool] = lambda _: False,
        on_change: Callable[["Execution"], None] = lambda _: None,
    ) -> None:
        """`must_drain` is asked after each change, and told whether runs of other definitions are waited for.

        Once it says yes, nothing starts and what runs is waited for; then waits are given up, until the next part.
        """
        self.plan = plan
        self.progress = progress or Progress()
        self.mailbox = Mailbox(self.progress)
        self._changed = asyncio.Event()
        self.bodies = Bodies(
            plan,
            self.progress,
            effects,
            self.mailbox,
            self._value_of,
            dry_run=dry_run,
            on_progress=self.look,
        )
        nodes = dict(enumerate(plan.nodes))
        self._steps = Scheduler({number: nodes[number] for number in range(plan.steps)}, self.progress.ended)
        handlers = {number: nodes[number] for number in range(plan.steps, len(nodes))}
        self._handlers = Scheduler(handlers, self.progress.ended)
        self.scheduler = self._steps
        """Of the graph that runs now."""
        self._input = Value(run_input)
        self._effects = effects
        self._must_drain = must_drain
        self._on_change = on_change
        self._tasks: dict[int, asyncio.Task[Value | None]] = {}
        self._stopped_as: RunEnd | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._draining = False
        self._defect: BaseException | None = None

    @property
    def first_failure(self) -> tuple[str, StepFailure] | None:
        """The step and failure that make the run fail."""
        for number, failure in self.progress.failures.items():
            if number < self.plan.steps and not self.plan.nodes[number].continue_on_error:
                return self.plan.nodes[number].id, failure
        return None

    @property
    def error(self) -> Failure | None:
        """Why the run did not complete; None when it did, or was cancelled."""
        if self.progress.outcome is RunEnd.TIMED_OUT:
            message = f"the run took longer than its limit of {self.plan.timeout:g} s"
            return Failure(step=None, code="run-timeout", message=message, attempt=None)
        if self.progress.outcome is RunEnd.FAILED and (first := self.first_failure):
            return Failure(step=first[0], **vars(first[1]))
        return None

    async def run(self) -> RunEnd:
        """Run until nothing is left to do. Cancelling this coroutine cancels the steps and waits for them to end."""
        progress = self.progress
        if progress.outcome is None:
            await self._run_graph(self._steps)
            end = self._end_of_steps()
            if end is RunEnd.DRAINED:
                return end
            progress.outcome, self._stopped_as = end, None
            self.bodies.resume()
        if progress.outcome is not RunEnd.COMPLETED:
            await self._undo()
            if not self._draining and progress.outcome in {RunEnd.FAILED, RunEnd.TIMED_OUT}:
                if progress.cancelled:
                    self._handlers.cancel_rest()
                await self._run_graph(self._handlers)
            if self._draining and not (self._handlers.finished and self._all_undone):
                return RunEnd.DRAINED
        for number in range(self.plan.steps, len(self.plan.nodes)):
            progress.ended.setdefault(number, NOT_WANTED)
        return progress.outcome

    def stop(self, end: RunEnd) -> None:
        """Start nothing more and cancel what runs; the run ends as `end` once all steps have.

        Afterwards, what undoes steps is not stopped at all, and the steps of `on_failure` only by a cancellation.
        """
        if end is RunEnd.CANCELLED:
            self.progress.cancelled = True
        elif self.progress.outcome is not None:
            return
        if self._stopped_as is None:
            self._stopped_as = end
            self.bodies.stop()
            self.scheduler.cancel_rest()
            self._stopping = asyncio.create_task(self._cancel_tasks())
            self._changed.set()

    async def _cancel_tasks(self) -> None:
        """Cancel what runs, but for what has ended at this very moment: its result is told first, and not lost."""
        for _ in range(TICKS_TO_TELL):
            await asyncio.sleep(0)
        for task in list(self._tasks.values()):
            task.cancel()

    def look(self) -> None:
        """Something has happened that no step's end shows: see whether the run has to go on in a new part."""
        self._drain_if_needed()
        self._changed.set()

    def output(self) -> Value:
        """What the run gives back. Null when a value is missing that can not be left out: the whole, or an item."""
        try:
            return fill_template(self.plan.output, self._value_of)
        except MissingValueError:
            return Value()

    async def _run_graph(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        if self._stopped_as is not None:
            scheduler.cancel_rest()
        while True:
            self._drain_if_needed()
            if self._stopped_as is None and not self._draining:
                self._start_steps()
            self._on_change(self)
            if not self._tasks:
                break
            if self._draining and len(self._tasks) == self.bodies.waiting:
                self.bodies.interrupt()
            await self._settle()
        if self._stopped_as is not None:
            scheduler.cancel_rest()
        self.progress.ended.update(scheduler.ended)

    async def _settle(self) -> None:
        """Wait until something has changed. A cancellation of the run arrives here."""
        try:
            await self._changed.wait()
        except asyncio.CancelledError:
            self.stop(RunEnd.CANCELLED)
        self._changed.clear()
        if self._defect is not None:
            raise self._defect

    def _drain_if_needed(self) -> None:
        if not self._draining and self._must_drain(self.bodies.children > 0):
            self._draining = True
            self.bodies.close()

    def _start_steps(self) -> None:
        for number in self.scheduler.start():
            task = asyncio.create_task(self._run_node(number))
            task.add_done_callback(partial(self._step_ended, number))
            self._tasks[number] = task

    async def _run_node(self, number: int) -> Value | None:
        """A step's value; None when its condition does not hold."""
        node = self.plan.nodes[number]
        if number not in self.progress.begun:
            if not await self.bodies.is_wanted(number):
                return None
            if not self.bodies.is_recorded_elsewhere(node):
                self.progress.begun[number] = Begun(self._effects.time())
        return await self.bodies.run(number)

    def _step_ended(self, number: int, task: "asyncio.Task[Value | None]") -> None:
        """Note how a step ended. A callback and not the task's own last lines: it may be cancelled before its first."""
        del self._tasks[number]
        self._changed.set()
        if task.cancelled():
            if self._stopped_as is None:
                self._fail(number, StepFailure("cancelled", "the step was cancelled, but not by its run"))
            else:
                self._end(number, CANCELLED)
        elif (error := task.exception()) is None:
            self._succeed(number, task.result())
        elif isinstance(error, StepFailedError):
            self._fail(number, error.failure)
        elif isinstance(error, DrainedError):
            self.scheduler.put_back(number)
        else:
            # Not the step's fault but ours. Nobody awaits this task, so the run itself has to raise it.
            self._defect = self._defect or error

    def _succeed(self, number: int, value: Value | None) -> None:
        if value is None:
            self._end(number, NOT_WANTED)
            return
        node = self.plan.nodes[number]
        self.progress.values[number] = value
        if node.compensation is not None and node.each is None:
            self.progress.to_undo.append((number, None))
        self._end(number, SUCCEEDED)

    def _fail(self, number: int, failure: StepFailure) -> None:
        self.progress.failures[number] = failure
        self._end(number, FAILED)
        ends_the_run = self.progress.outcome is None and not self.plan.nodes[number].continue_on_error
        if self.plan.fail_fast and ends_the_run:
            self.stop(RunEnd.FAILED)

    def _end(self, number: int, end: Ended) -> None:
        self.scheduler.end(number, end)
        if number in self.progress.begun:
            self.progress.at[number] = self._effects.time()

    def _end_of_steps(self) -> RunEnd:
        if self._stopped_as is not None:
            return self._stopped_as
        if not self._steps.finished:
            return RunEnd.DRAINED
        return RunEnd.FAILED if self.first_failure else RunEnd.COMPLETED

    async def _undo(self) -> None:
        """Undo what has succeeded, one after the other, the last first. One that cannot be undone stops no other."""
        for number, index in reversed(self.progress.to_undo):
            self._drain_if_needed()
            if self._draining:
                return
            undo_id = self._undo_id(number, index)
            if undo_id not in self.progress.undone:
                self.progress.undone[undo_id] = await self._undo_one(number, index)
                self._on_change(self)

    async def _undo_one(self, number: int, index: int | None) -> StepFailure | None:
        """Why it cannot be undone. A cancellation of the run does not stop it."""
        task = asyncio.create_task(self.bodies.undo(number, index))
        task.add_done_callback(lambda _: self._changed.set())
        while not task.done():
            await self._settle()
        try:
            task.result()
        except StepFailedError as error:
            return error.failure
        except asyncio.CancelledError:
            return StepFailure("cancelled", "the compensation was cancelled, but not by its run")
        return None

    @property
    def _all_undone(self) -> bool:
        return all(self._undo_id(*one) in self.progress.undone for one in self.progress.to_undo)

    def _undo_id(self, number: int, index: int | None) -> str:
        step_id = self.plan.nodes[number].id
        return f"{step_id if index is None else item_id(step_id, index)}:undo"

    def _value_of(self, source: int) -> Value | Missing:
        if source == INPUT:
            return self._input
        if source == ERROR:
            error = self.error
            return MISSING if error is None else Value(error.model_dump(mode="json"))
        return self.progress.values.get(source, MISSING)
