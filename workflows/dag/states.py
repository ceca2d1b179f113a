"""How the steps of a run stand, where the engine knows and no worker does."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from models.runs import Failure, ItemCounts, StepDetail, StepReport, StepStatus
from models.values import Value
from workflows.dag.effects import StepFailure
from workflows.dag.execution import Execution
from workflows.dag.plan import Node
from workflows.dag.progress import Begun
from workflows.dag.scheduler import Ended

ChildRun = Callable[[str], str]
"""The run that a step of that id runs."""


def reports(execution: Execution, child_run: ChildRun) -> Iterator[StepReport]:
    """Every step that has begun, waits or has ended, but those whose success a worker has recorded; what undid some."""
    progress, scheduler = execution.progress, execution.scheduler
    for number, node in enumerate(execution.plan.nodes):
        ended = progress.ended.get(number) or scheduler.ended.get(number)
        begun = progress.begun.get(number)
        if ended is not None:
            if begun is not None or ended.status is not StepStatus.SUCCEEDED:
                yield _ended(execution, number, node, ended, child_run)
        elif begun is not None:
            status, reason = _standing(node)
            yield StepReport(
                id=node.id,
                status=status,
                reason=reason,
                started_at=_instant(begun.since),
                detail=_detail(node, begun, child_run),
            )
        elif number in execution.bodies.queued:
            yield StepReport(id=node.id, status=StepStatus.WAITING, reason="a place among those that run at once")
    for undo_id, failure in progress.undone.items():
        status = StepStatus.SUCCEEDED if failure is None else StepStatus.FAILED
        yield StepReport(id=undo_id, part=True, status=status, failure=failure and failure_of(undo_id, failure))


def _ended(execution: Execution, number: int, node: Node, ended: Ended, child_run: ChildRun) -> StepReport:
    progress = execution.progress
    begun = progress.begun.get(number)
    value = progress.values.get(number, Value())
    failure = progress.failures.get(number)
    return StepReport(
        id=node.id,
        status=ended.status,
        reason=ended.reason and ended.reason.value,
        started_at=None if begun is None else _instant(begun.since),
        ended_at=_instant(progress.at[number]) if number in progress.at else None,
        detail=None if begun is None else _detail(node, begun, child_run),
        failure=None if failure is None else failure_of(node.id, failure),
        output=value.json if ended.status is StepStatus.SUCCEEDED else None,
        holes=value.holes if ended.status is StepStatus.SUCCEEDED else (),
    )


def failure_of(step_id: str | None, failure: StepFailure) -> Failure:
    """A failure as the record has it."""
    return Failure(step=step_id, **vars(failure))


def _standing(node: Node) -> tuple[StepStatus, str | None]:
    if node.question is not None:
        return StepStatus.WAITING, f"an answer by {' or '.join(node.question.roles)}"
    if node.pause is not None:
        return StepStatus.WAITING, "time" if node.pause.signal is None else f"the signal {node.pause.signal}"
    return StepStatus.RUNNING, None


def _detail(node: Node, begun: Begun, child_run: ChildRun) -> StepDetail | None:
    is_child = node.run is not None and node.each is None and node.loop is None
    items = None
    if node.each is not None:
        skipped = sum(part.skipped for part in begun.parts.values())
        items = ItemCounts(total=begun.count, ended=len(begun.parts), failed=begun.failed, skipped=skipped)
    detail = StepDetail(
        until=None if begun.until is None else _instant(begun.until),
        items=items,
        turn=begun.turn if node.loop is not None else None,
        run_id=child_run(node.id) if is_child else None,
    )
    return None if detail == StepDetail() else detail


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
