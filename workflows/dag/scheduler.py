"""Which steps may start. Pure: it is told what ended and says what follows, always in the same order."""

from collections.abc import Mapping
from enum import StrEnum
from heapq import heappop, heappush

from models.runs import StepStatus
from workflows.dag.plan import Plan


class SkipReason(StrEnum):
    """Why a step never ran."""

    CONDITION = "condition"
    UPSTREAM = "upstream"


class Scheduler:
    """The state of one run's graph. Every node is started at most once, after its parents, lowest number first.

    A step whose join is `all` runs when every parent succeeded; a parent that did not makes it `skipped` (upstream).
    Independent branches go on: an uncontinued failure ends the run only when nothing more can start.
    """

    def __init__(self, plan: Plan, ended: Mapping[int, StepStatus] | None = None) -> None:
        """`ended`: what an earlier part of the run (before continue-as-new) has done."""
        self._plan = plan
        self._waiting = [len(node.parents) for node in plan.nodes]
        self._ready: list[int] = []
        self.status: dict[int, StepStatus] = {}
        self.running: dict[int, None] = {}
        for number, node in enumerate(plan.nodes):
            if not node.parents:
                heappush(self._ready, number)
        for number, status in sorted((ended or {}).items()):
            self.status[number] = status
            self._tell_children(number, status)
        self._ready = sorted(number for number in self._ready if number not in self.status)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing can start."""
        return not self.running and not self._ready

    def start(self, window: int) -> list[int]:
        """Nodes to start now, so that at most `window` are in flight."""
        started: list[int] = []
        while self._ready and len(self.running) < window:
            number = heappop(self._ready)
            self.running[number] = None
            started.append(number)
        return started

    def end(self, number: int, status: StepStatus) -> None:
        """A running node has ended. A failure its definition passes over counts as a success for what follows."""
        del self.running[number]
        self.status[number] = status
        self._tell_children(number, status)

    def cancel_rest(self) -> None:
        """Nothing more will start: what has not is cancelled."""
        self._ready.clear()
        for number in range(len(self._plan.nodes)):
            if number not in self.status and number not in self.running:
                self.status[number] = StepStatus.CANCELLED

    def _tell_children(self, number: int, status: StepStatus) -> None:
        ended = [(number, status)]
        for parent, outcome in ended:
            node = self._plan.nodes[parent]
            passed = outcome is StepStatus.SUCCEEDED or (outcome is StepStatus.FAILED and node.continue_on_error)
            for child in node.children:
                if child in self.status:
                    continue
                if not passed:
                    self.status[child] = StepStatus.SKIPPED
                    ended.append((child, StepStatus.SKIPPED))
                    continue
                self._waiting[child] -= 1
                if self._waiting[child] == 0:
                    heappush(self._ready, child)
