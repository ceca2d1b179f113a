"""How the steps of a run stand, by what is recorded, what Temporal shows and what the run's engine says."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from models.runs import Failure, LiveRun, StepDetail, StepReport, StepState, StepStatus
from services.orchestration import runs

PART = re.compile(r"(?P<step>[a-z0-9_-]+)[\[#](?P<place>\d+)\]?")
"""An item of a map, or a turn of a loop, by its id."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class StepStates:
    """How the steps of one run stand, by what is recorded, what Temporal shows and what the engine says."""

    def __init__(
        self, rows: Mapping[str, Row[Any]], live: LiveRun | None, reports: Sequence[StepReport], *, ended: bool
    ) -> None:
        self._rows = rows
        self._pending = {} if live is None or ended else {step.id: step for step in live.steps}
        self._reports = {} if ended else {report.id: report for report in reports}
        self._ended = ended

    def state(self, name: str) -> StepState:
        """One step."""
        row = self._rows.get(name)
        if row is not None and StepStatus(row.status).ended:
            return state_of(row)
        pending = self._pending.get(name)
        if pending is not None:
            return pending if row is None else pending.model_copy(update={"started_at": row.started_at})
        report = self._reports.get(name)
        if report is not None:
            return self._held_up(name, _reported(report))
        if row is not None:
            return state_of(row, ended=self._ended)
        # Terminated from outside: nobody was left to say what became of the steps that had not ended.
        return StepState(id=name, status=StepStatus.CANCELLED if self._ended else StepStatus.PENDING)

    def _held_up(self, name: str, state: StepState) -> StepState:
        """A step that goes on in parts does what they do, when all of them wait for a worker or another attempt."""
        parts = [one for one in self._pending.values() if (part := PART.fullmatch(one.id)) and part["step"] == name]
        if (
            state.status is not StepStatus.RUNNING
            or not parts
            or any(one.status is StepStatus.RUNNING for one in parts)
        ):
            return state
        first = min(parts, key=lambda one: (one.next_attempt_at is None, one.next_attempt_at or _NEVER))
        more = f" and {len(parts) - 1} more" if len(parts) > 1 else ""
        reason = f"{first.reason} of {first.id}{more}" if first.status is StepStatus.RETRYING else first.reason
        return state.model_copy(
            update={
                "status": first.status,
                "reason": reason,
                "error": first.error,
                "next_attempt_at": first.next_attempt_at,
            }
        )

    def compensations(self) -> list[StepState]:
        """What undoes steps: what has ended first."""
        rows = [row for name, row in self._rows.items() if name.endswith(runs.UNDO_SUFFIX)]
        rows.sort(key=lambda row: (row.ended_at is None, row.ended_at or row.started_at, row.step_id))
        seen = [state_of(row, ended=self._ended) for row in rows if row.ended_at is not None or self._ended]
        known = {state.id for state in seen}
        return [
            *seen,
            *(one for name, one in self._pending.items() if name.endswith(runs.UNDO_SUFFIX) and name not in known),
        ]


def state_of(row: Row[Any], *, ended: bool = False) -> StepState:
    """A recorded step or part. `ended`: its run has, so that it has too."""
    status = StepStatus(row.status)
    if ended and not status.ended:
        status = StepStatus.CANCELLED
    return StepState(
        id=row.step_id,
        status=status,
        reason=row.reason,
        attempts=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        detail=None if row.detail is None else StepDetail.model_validate(row.detail),
        error=None if row.error is None or status is StepStatus.SUCCEEDED else Failure.model_validate(row.error),
        output=row.output if row.output_ref is None else {"ref": row.output_ref, "bytes": row.output_bytes},
    )


def _reported(report: StepReport) -> StepState:
    return StepState(
        id=report.id,
        status=report.status,
        reason=report.reason,
        attempts=int(report.started_at is not None),
        started_at=report.started_at,
        ended_at=report.ended_at,
        detail=report.detail,
        error=report.failure,
        output=None if report.holes else report.output,
    )
