"""What steps do: act, choose, run another workflow, wait, ask. Once, for each item of a list, or turn by turn."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import MINYEAR, UTC, datetime
from math import inf
from typing import TypeVar

from models.definition import MAX_DURATION, MAX_TURNS
from models.values import MISSING, NULL, Hole, Missing, Read, Value, select
from workflows.dag.effects import ActionCall, Answer, CacheKey, Effects, RunCall, StepFailedError
from workflows.dag.evaluation import Evaluation, Turn, failed, item_variables
from workflows.dag.mailbox import Mailbox
from workflows.dag.plan import ITEM, Action, Case, Each, Expression, Loop, Node, Pause, Plan, Question, SubRun
from workflows.dag.progress import Begun, Part, Progress
from workflows.dag.slots import DrainedError, Slots

ResultT = TypeVar("ResultT")

_LENGTH = Expression("type(item) == list ? size(item) : -1")
_WHOLE = Expression("item")


def item_id(step_id: str, index: int) -> str:
    """What an item of a map is known by."""
    return f"{step_id}[{index}]"


class Bodies:
    """Does what the steps of one run do, through the effects it is given."""

    def __init__(
        self,
        plan: Plan,
        progress: Progress,
        effects: Effects,
        mailbox: Mailbox,
        value_of: Callable[[int], Value | Missing],
        *,
        dry_run: bool,
        on_progress: Callable[[], None],
    ) -> None:
        """`on_progress` is called when a part of a step has ended, and when a step begins to wait."""
        self._plan = plan
        self._progress = progress
        self._effects = effects
        self._evaluation = Evaluation(effects)
        self._mailbox = mailbox
        self._value_of = value_of
        self._dry_run = dry_run
        self._on_progress = on_progress
        self._slots = Slots(plan.max_parallel)
        self._closed = False
        self._stopped = False
        self.queued: dict[int, None] = {}
        """Steps that wait for a place."""
        self.waiting = 0
        """Steps that wait for a time, a signal or an answer."""
        self.children = 0
        """Runs of other definitions that are waited for."""

    def close(self) -> None:
        """Begin nothing more: who waits for a place raises DrainedError. Signals and answers are still taken."""
        self._closed = True
        self._slots.close()

    def interrupt(self) -> None:
        """Let no step wait any longer for a time, a signal or an answer: who does raises DrainedError."""
        self._mailbox.close()

    def stop(self) -> None:
        """Begin no further part of a step. What is under way is cancelled by whoever stops the run."""
        self._stopped = True

    def resume(self) -> None:
        """Steps begin again: those of `on_failure`."""
        self._stopped = False

    def is_recorded_elsewhere(self, node: Node) -> bool:
        """Whether the worker that does a step records its start and end."""
        return node.is_plain_action and not self._is_mocked(node)

    async def is_wanted(self, number: int) -> bool:
        """Whether a step's condition holds; without one it does."""
        condition = self._plan.nodes[number].when
        return condition is None or await self._evaluation.holds(condition, self._value_of)

    async def run(self, number: int) -> Value:
        """Do what a step does. Raises StepFailedError, and DrainedError when it has to go on in the next part."""
        node = self._plan.nodes[number]
        if node.each is not None:
            return await self._items(number, node, node.each)
        if node.loop is not None:
            return await self._rounds(number, node, node.loop)
        return await self._turn(node, Turn(node.id, (number,), self._value_of))

    async def undo(self, number: int, index: int | None) -> None:
        """Do what undoes a step, or an item of its map. Raises StepFailedError."""
        node = self._plan.nodes[number]
        assert node.compensation is not None  # noqa: S101 - only such steps are noted to be undone
        if self._dry_run:
            return
        if index is None:
            turn = Turn(f"{node.id}:undo", (number,), self._value_of)
        else:
            begun = self._progress.begun[number]
            value_of = self._names(number, own=begun.parts[index].value, item=self._item(begun, index))
            turn = Turn(f"{item_id(node.id, index)}:undo", (number, index), value_of)
        given = await self._evaluation.fill(node.compensation.template, turn)
        call = ActionCall(turn.id, node.compensation.action, given, is_part=True, summary=f"undo {node.id}")
        await self._effects.act(call)

    async def _turn(self, node: Node, turn: Turn) -> Value:
        if self._is_mocked(node):
            return await self._mocked(node, turn)
        if node.action is not None:
            return await self._act(node, node.action, turn)
        if node.cases is not None:
            return await self._choose(node.cases, turn)
        if node.run is not None:
            return await self._run(node, node.run, turn)
        if node.pause is not None:
            return await self._pause(node.pause, turn)
        assert node.question is not None  # noqa: S101 - a node has one of these
        return await self._ask(node, node.question, turn)

    # Parts of a step

    async def _items(self, number: int, node: Node, each: Each) -> Value:
        begun = self._progress.begun[number]
        if begun.items is None:
            items = await self._list(each, Turn(node.id, (number,), self._value_of))
            begun.count = await self._count(items)
            begun.items = items
        left = iter([index for index in range(begun.count) if index not in begun.parts])
        window = min(each.max_parallel or self._plan.max_parallel, begun.count - len(begun.parts))
        workers = [asyncio.create_task(self._work(number, node, each, left)) for _ in range(window)]
        await _all_of(workers)
        if not each.goes_on:
            for index, part in begun.parts.items():
                if part.failure is not None:
                    message = f"item {index}: {part.failure.message}"
                    raise StepFailedError(replace(part.failure, message=message))
        return _listed([begun.parts[index].value for index in range(begun.count)])

    async def _work(self, number: int, node: Node, each: Each, left: Iterator[int]) -> None:
        """One of those that go through the items of a map."""
        begun = self._progress.begun[number]
        for index in left:
            self._go_on()
            if begun.failed and not each.goes_on:
                return
            part = await self._part(number, node, each, index)
            begun.parts[index] = part
            begun.failed += part.failure is not None
            if part.failure is None and not part.skipped and node.compensation is not None:
                self._progress.to_undo.append((number, index))
            self._on_progress()

    async def _part(self, number: int, node: Node, each: Each, index: int) -> Part:
        begun = self._progress.begun[number]
        if begun.items is not None and begun.items.holes:
            await self._effects.breathe(len(begun.items.holes) // 1_000)
        value_of = self._names(number, own=MISSING, item=self._item(begun, index))
        turn = Turn(item_id(node.id, index), (number, index), value_of, is_part=True)
        try:
            if each.when is not None and not await self._evaluation.holds(each.when, value_of):
                return Part(skipped=True)
            return Part(await self._turn(node, turn))
        except StepFailedError as error:
            return Part(failure=error.failure)

    async def _rounds(self, number: int, node: Node, loop: Loop) -> Value:
        begun = self._progress.begun[number]
        while True:
            self._go_on()
            before = MISSING if begun.last is None else begun.last
            turn = Turn(
                f"{node.id}#{begun.turn + 1}", (number, begun.turn), self._names(number, own=before), is_part=True
            )
            last = await self._turn(node, turn)
            begun.turn, begun.last = begun.turn + 1, last
            self._on_progress()
            if not await self._evaluation.holds(loop.condition, self._names(number, own=last)):
                return last
            if begun.turn >= loop.max:
                message = f"the condition still holds after {loop.max:,} turns, which is the step's max"
                raise failed("too-many-turns", message)

    def _go_on(self) -> None:
        """Raise where the next part of a step must not begin.

        An activity may complete although it was asked to cancel; then that request is all its task would notice.
        """
        if self._stopped:
            raise asyncio.CancelledError
        if self._closed:
            raise DrainedError

    async def _list(self, each: Each, turn: Turn) -> Value:
        if isinstance(each.items, Expression):
            return await self._evaluation.value(each.items, turn.value_of)
        return await self._evaluation.fill(each.items, turn)

    async def _count(self, items: Value) -> int:
        if items.holes and items.holes[0].at == ():
            count = (await self._evaluation.evaluated(_LENGTH, item_variables(_LENGTH, items))).json
        else:
            count = len(items.json) if isinstance(items.json, list) else -1
        if count < 0:
            raise failed("invalid-items", "what the map goes through is no list")
        if count > MAX_TURNS:
            raise failed("too-many-items", f"the list has {count:,} items; a map goes through at most {MAX_TURNS:,}")
        return int(count)

    @staticmethod
    def _item(begun: Begun, index: int) -> Value | Missing:
        assert begun.items is not None  # noqa: S101 - the list is there before its first item
        return select(begun.items, Read((index,)))

    def _names(
        self, number: int, *, own: Value | Missing, item: Value | Missing = MISSING
    ) -> Callable[[int], Value | Missing]:
        """What names stand for in a part of a step: its own name, the item of its map, and those of the run."""

        def value_of(source: int) -> Value | Missing:
            if source == number:
                return own
            return item if source == ITEM else self._value_of(source)

        return value_of

    # What a step does

    async def _act(self, node: Node, action: Action, turn: Turn) -> Value:
        async with self._place(turn):
            cache = (
                None
                if node.cache is None or self._dry_run
                else CacheKey(await self._evaluation.fill(node.cache.key, turn), node.cache.ttl)
            )
            given = await self._evaluation.fill(node.template, turn)
            return await self._effects.act(
                ActionCall(turn.id, action, given, turn.is_part, node.summary, node.priority, cache)
            )

    async def _run(self, node: Node, run: SubRun, turn: Turn) -> Value:
        async with self._place(turn):
            given = await self._evaluation.fill(node.template, turn)
            self.children += run.wait
            try:
                return await self._effects.run(RunCall(turn.id, run, given, node.summary, node.priority))
            finally:
                self.children -= run.wait

    async def _choose(self, cases: tuple[Case, ...], turn: Turn) -> Value:
        for case in cases:
            if case.when is None or await self._evaluation.holds(case.when, turn.value_of):
                return await self._evaluation.fill(case.value, turn)
        return NULL

    async def _pause(self, pause: Pause, turn: Turn) -> Value:
        begun = self._progress.begun[turn.rank[0]]
        if pause.signal is not None:
            if begun.until is None and pause.timeout is not None:
                begun.until = self._effects.time() + pause.timeout
            await self._effects.breathe(1 + self._mailbox.kept // 4)  # each of these is held against the schema
            try:
                return await self._effects.keep(Value(await self._until(begun.until, self._mailbox.signal(pause))))
            except TimeoutError as error:
                message = f"no signal {pause.signal} came within {pause.timeout:g} s"
                raise failed("wait-timeout", message) from error
        if begun.until is None:
            begun.until = self._effects.time() + pause.seconds if pause.seconds else await self._instant(pause, turn)
        if not self._dry_run:
            with suppress(TimeoutError):
                await self._until(begun.until, self._mailbox.nothing())
        return Value({"until": _rfc3339(begun.until)})

    async def _instant(self, pause: Pause, turn: Turn) -> float:
        assert pause.until is not None  # noqa: S101 - a wait without a signal has a duration or an instant
        value = await self._evaluation.fill(pause.until, turn)
        if value.holes:
            value = await self._evaluation.evaluated(_WHOLE, item_variables(_WHOLE, value))
        try:
            at = datetime.fromisoformat(value.json)
        except (TypeError, ValueError) as error:
            raise failed("invalid-instant", "until is no instant: write it as 2026-01-31T12:00:00Z") from error
        if at.tzinfo is None:
            raise failed("invalid-instant", "until says no offset: write it as 2026-01-31T12:00:00Z")
        try:
            seconds = at.timestamp()
        except OverflowError:
            seconds = -inf if at.year == MINYEAR else inf
        if seconds > self._effects.time() + MAX_DURATION:
            raise failed("invalid-instant", "until is more than ten years from now")
        return max(0.0, seconds)

    async def _ask(self, node: Node, question: Question, turn: Turn) -> Value:
        begun = self._progress.begun[turn.rank[0]]
        if begun.until is None and question.timeout is not None:
            begun.until = self._effects.time() + question.timeout
        if not begun.asked:
            await self._effects.ask(node, await self._evaluation.fill(node.template, turn), begun.until)
            begun.asked = True
        try:
            answer = await self._until(begun.until, self._mailbox.answer(node))
        except TimeoutError as error:
            await self._effects.settle(node, None)
            if not question.goes_on:
                raise failed("approval-timeout", f"nobody answered within {question.timeout:g} s") from error
            return _answered("timed_out", self._effects.time(), None)
        await self._effects.settle(node, answer)
        if not answer.approved:
            because = f": {answer.comment}" if answer.comment else ""
            raise failed("rejected", f"{answer.by} has rejected it{because}")
        return await self._effects.keep(_answered("approved", self._effects.time(), answer))

    def _is_mocked(self, node: Node) -> bool:
        return self._dry_run and node.is_mocked

    async def _mocked(self, node: Node, turn: Turn) -> Value:
        if node.mock is None:
            raise failed("missing-mock", f"{node.id} has no mock, and a dry run does not do what it does")
        return await self._evaluation.fill(node.mock, turn)

    # Values and time

    @asynccontextmanager
    async def _place(self, turn: Turn) -> AsyncGenerator[None]:
        """A place among those that may be under way at once."""
        number = turn.rank[0]
        self.queued[number] = None
        try:
            async with self._slots.slot(turn.rank):
                self.queued.pop(number, None)
                yield
        finally:
            self.queued.pop(number, None)

    async def _until(self, until: float | None, coming: "asyncio.Future[ResultT]") -> ResultT:
        """What comes, or TimeoutError at an instant."""
        self.waiting += 1
        self._on_progress()
        try:
            if until is None:
                return await coming
            async with asyncio.timeout(max(0.0, until - self._effects.time())):
                return await coming
        except TimeoutError:
            if coming.done() and not coming.cancelled():  # it came at that very instant, and is taken
                return coming.result()
            raise
        finally:
            self.waiting -= 1


async def _all_of(tasks: list["asyncio.Task[None]"]) -> None:
    """Wait for all; then raise the first error there was, a defect before a drain."""
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if isinstance(end, BaseException)]
    for error in sorted(errors, key=lambda one: isinstance(one, DrainedError)):
        raise error


def _listed(values: list[Value]) -> Value:
    holes = [Hole((at, *hole.at), hole.stored, hole.reads) for at, value in enumerate(values) for hole in value.holes]
    return Value([value.json for value in values], tuple(holes))


def _answered(decision: str, at: float, answer: Answer | None) -> Value:
    return Value(
        {
            "decision": decision,
            "by": answer and answer.by,
            "at": answer.at if answer else _rfc3339(at),
            "comment": answer and answer.comment,
            "data": answer and answer.data,
        }
    )


def _rfc3339(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
