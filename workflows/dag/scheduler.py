"""Which steps may start. Pure: it is told what ended and says what follows, always in the same order."""

from collections.abc import Mapping
from enum import StrEnum
from heapq import heappop, heappush
from typing import NamedTuple

from models.runs import StepStatus
from workflows.dag.plan import Join, Node


class SkipReason(StrEnum):
    """Why a step never ran."""

    CONDITION = "condition"
    UPSTREAM = "upstream"


class Ended(NamedTuple):
    """How a step ended."""

    status: StepStatus
    reason: SkipReason | None = None


SUCCEEDED, FAILED, CANCELLED = Ended(StepStatus.SUCCEEDED), Ended(StepStatus.FAILED), Ended(StepStatus.CANCELLED)
NOT_WANTED = Ended(StepStatus.SKIPPED, SkipReason.CONDITION)
NOT_REACHED = Ended(StepStatus.SKIPPED, SkipReason.UPSTREAM)


class Verdict(StrEnum):
    """What a join says of a step while its parents end."""

    WAIT = "wait"
    START = "start"
    SKIP = "skip"


def judge(join: Join, *, waiting: int, passed: int, dropped: int, blocked: int) -> Verdict:
    """The truth table of joins: what follows for a step from how many of its parents ended how.

    `waiting`: not ended. `passed`: succeeded, or failed and passed over (`on_error: continue`). `dropped`: skipped by
    their own condition. `blocked`: failed, or skipped because of what came before them.
    """
    match join:
        case Join.ALL:
            fits, hopeless = not dropped and not blocked, dropped or blocked
        case Join.ANY:
            if passed:
                return Verdict.START
            fits, hopeless = False, not waiting
        case Join.NONE_FAILED:
            fits, hopeless = not blocked, blocked
        case Join.ALL_DONE:
            fits, hopeless = True, False
    if hopeless:
        return Verdict.SKIP
    if waiting:
        return Verdict.WAIT
    return Verdict.START if fits else Verdict.SKIP


class _Parents:
    """How the parents of one step have ended so far."""

    def __init__(self, count: int) -> None:
        self.waiting = count
        self.passed = self.dropped = self.blocked = 0

    def count(self, ended: Ended, *, continues: bool) -> None:
        self.waiting -= 1
        if ended.status is StepStatus.SUCCEEDED or (ended.status is StepStatus.FAILED and continues):
            self.passed += 1
        elif ended == NOT_WANTED:
            self.dropped += 1
        else:
            self.blocked += 1


class Scheduler:
    """The state of one graph. Every node is started at most once, lowest number first of those that may.

    Independent branches go on: an uncontinued failure ends the graph only when nothing more can start.
    """

    def __init__(self, nodes: Mapping[int, Node], ended: Mapping[int, Ended] | None = None) -> None:
        """`nodes` by number; parents that are not among them do not count.

        `ended`: what an earlier part of the run (before continue-as-new) has done.
        """
        self._nodes = nodes
        self._parents = {number: _Parents(sum(one in nodes for one in node.parents)) for number, node in nodes.items()}
        self._ready: list[int] = []
        self.ended: dict[int, Ended] = {}
        self.running: dict[int, None] = {}
        for number in sorted(nodes):
            if self._parents[number].waiting == 0:
                heappush(self._ready, number)
        self.ended.update((number, end) for number, end in (ended or {}).items() if number in nodes)
        for number, end in list(self.ended.items()):
            self._tell_children(number, end)
        self._ready = sorted(number for number in self._ready if number not in self.ended)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing can start."""
        return not self.running and not self._ready

    def start(self) -> list[int]:
        """All nodes that may start now, in order."""
        started: list[int] = []
        while self._ready:
            number = heappop(self._ready)
            self.running[number] = None
            started.append(number)
        return started

    def put_back(self, number: int) -> None:
        """A running node has not ended, and may start again: in the next part of the run."""
        del self.running[number]
        heappush(self._ready, number)

    def end(self, number: int, end: Ended) -> None:
        """A running node has ended. A failure its definition passes over counts as a success for what follows."""
        del self.running[number]
        self.ended[number] = end
        self._tell_children(number, end)

    def cancel_rest(self) -> None:
        """Nothing more will start: what has not is cancelled."""
        self._ready.clear()
        for number in self._nodes:
            if number not in self.ended and number not in self.running:
                self.ended[number] = CANCELLED

    def _tell_children(self, number: int, end: Ended) -> None:
        news = [(number, end)]
        for parent, outcome in news:
            node = self._nodes[parent]
            for child in node.children:
                if child not in self._parents:
                    continue
                parents = self._parents[child]
                settled = self._judge(child) is not Verdict.WAIT
                parents.count(outcome, continues=node.continue_on_error)
                if settled or child in self.ended:
                    continue
                match self._judge(child):
                    case Verdict.START:
                        heappush(self._ready, child)
                    case Verdict.SKIP:
                        self.ended[child] = NOT_REACHED
                        news.append((child, NOT_REACHED))
                    case Verdict.WAIT:
                        pass

    def _judge(self, number: int) -> Verdict:
        parents = self._parents[number]
        return judge(
            self._nodes[number].join,
            waiting=parents.waiting,
            passed=parents.passed,
            dropped=parents.dropped,
            blocked=parents.blocked,
        )
