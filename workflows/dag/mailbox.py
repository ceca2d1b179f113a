"""What reaches a run from outside while its steps wait: signals, and answers to approvals."""

import asyncio
from typing import Any, NamedTuple

from models.errors import InvalidInputError, Problem
from workflows.dag.effects import Answer
from workflows.dag.plan import Node, Pause, Plan
from workflows.dag.progress import Progress, Signal
from workflows.dag.slots import DrainedError
from workflows.dag.validation import validate_value

MAX_SIGNALS = 1_000
"""Signals kept for steps that do not wait yet, and ids remembered. What comes beyond is lost."""


class AnswerRefusedError(Exception):
    """An answer that cannot be taken; `code` says why."""

    def __init__(self, code: str, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = problems


class _Waiter(NamedTuple):
    pause: Pause
    turn: asyncio.Future[Any]


class Mailbox:
    """Hands what comes to whoever waits for it, first come first served."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._waiting: dict[str, list[_Waiter]] = {}
        self._questions: dict[str, tuple[Node, asyncio.Future[Answer]]] = {}
        self._open: dict[asyncio.Future[Any], None] = {}

    def deliver(self, signal: Signal) -> None:
        """A signal has come; one that has come before changes nothing."""
        seen = self._progress.signal_ids
        if signal.id in seen:
            return
        seen[signal.id] = None
        if len(seen) > MAX_SIGNALS:
            del seen[next(iter(seen))]
        waiting = self._waiting.get(signal.name, [])
        waiting[:] = [waiter for waiter in waiting if not waiter.turn.done()]
        for waiter in waiting:
            if fits(waiter.pause, signal):
                waiting.remove(waiter)
                waiter.turn.set_result(signal.payload)
                return
        if len(self._progress.signals) < MAX_SIGNALS:
            self._progress.signals.append(signal)

    def signal(self, pause: Pause) -> asyncio.Future[Any]:
        """The payload of the next signal that a step waits for."""
        assert pause.signal is not None  # noqa: S101 - the step waits for one
        turn = self.nothing()
        kept = next((one for one in self._progress.signals if fits(pause, one)), None)
        if kept is None:
            self._waiting.setdefault(pause.signal, []).append(_Waiter(pause, turn))
        else:
            self._progress.signals.remove(kept)
            turn.set_result(kept.payload)
        return turn

    @property
    def kept(self) -> int:
        """How many signals have come that nobody has taken yet."""
        return len(self._progress.signals)

    def answer(self, node: Node) -> asyncio.Future[Answer]:
        """The answer to a step's question."""
        turn = self.nothing()
        self._questions[node.id] = (node, turn)
        return turn

    def nothing(self) -> asyncio.Future[Any]:
        """What never comes, for those who wait for a time to pass."""
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[turn] = None
        turn.add_done_callback(lambda done: self._open.pop(done, None))
        return turn

    def close(self) -> None:
        """Let nobody wait any longer: who does gets DrainedError. What has come and was not taken stays."""
        for turn in self._open:
            if not turn.done():
                turn.set_exception(DrainedError())

    def check_answer(self, step_id: str, answer: Answer, requester: str) -> None:
        """Whether an answer can be taken. Raises AnswerRefusedError."""
        node, turn = self._questions.get(step_id, (None, None))
        if node is None or turn is None or turn.done() or node.question is None:
            raise AnswerRefusedError("not-waiting", f"{step_id} does not wait for an answer")
        question = node.question
        if answer.role not in question.roles:
            raise AnswerRefusedError("forbidden", f"{step_id} is answered by the role {' or '.join(question.roles)}")
        if answer.by == requester and not question.allow_requester:
            raise AnswerRefusedError("forbidden", "who has started a run does not answer its questions")
        if answer.approved and question.schema is not None:
            problems = validate_value(question.schema, answer.data, "/data")
            if problems:
                message = "the data does not fit the question"
                raise AnswerRefusedError(InvalidInputError.code, message, tuple(problems))

    def take_answer(self, step_id: str, answer: Answer) -> None:
        """Hand over an answer that was checked."""
        self._questions[step_id][1].set_result(answer)


def fits(pause: Pause, signal: Signal) -> bool:
    """Whether a step that waits takes this signal: it has the name, and a payload of the step's schema."""
    return pause.signal == signal.name and (
        pause.schema is None or not validate_value(pause.schema, signal.payload, "/payload")
    )


def waits_for(plan: Plan, name: str) -> list[Pause]:
    """The waits of a plan for a signal of that name."""
    return [node.pause for node in plan.nodes if node.pause is not None and node.pause.signal == name]
