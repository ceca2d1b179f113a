"""What the engines of open runs say of their steps. Asking costs a workflow's worker, so it is asked once per state."""

import time
from collections import OrderedDict
from collections.abc import Sequence

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from models.runs import StepReport
from workflows.client import EVENTS_BEFORE_A_WORKER, step_reports

_KEPT = 512
_ASK_AGAIN_AFTER = 5.0
"""Seconds after which a run whose worker did not answer is asked again."""


class StepReports:
    """The last report of each run, by how long its history was."""

    def __init__(self, temporal: Client) -> None:
        self._temporal = temporal
        self._kept: OrderedDict[str, tuple[int, float, Sequence[StepReport]]] = OrderedDict()

    async def of(self, run_id: str, history_length: int) -> Sequence[StepReport]:
        """Steps as the engine knows them; what it said last when no worker answers."""
        if history_length <= EVENTS_BEFORE_A_WORKER:
            return ()
        length, retry_at, reports = self._kept.get(run_id, (0, 0.0, ()))
        if length == history_length or time.monotonic() < retry_at:
            return reports
        try:
            reports, retry_at = await step_reports(self._temporal, run_id), 0.0
        except (RPCError, WorkflowQueryFailedError, WorkflowQueryRejectedError):
            history_length, retry_at = 0, time.monotonic() + _ASK_AGAIN_AFTER
        self._kept[run_id] = (history_length, retry_at, reports)
        self._kept.move_to_end(run_id)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return reports
