"""What a schedule starts: it opens a run of the task's target, and lives as long as that run.

So Temporal's own policies hold: what overlaps is told by this workflow, to cancel it is to cancel the run, and its
failure is the run's.
"""

from temporalio import workflow
from temporalio.common import RawValue, SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from models.runs import RunRequest
    from models.tasks import OpenedTaskRun, OpenTaskRun
    from workflows.dag.effects import StepFailedError
    from workflows.dag.plan import load_plan
    from workflows.effects_in_temporal import child_failure, json_data, json_value
    from workflows.local_activities import ask_locally, raise_if_cancelled
    from workflows.start import RUN_TASK, run_attributes, run_priority, run_summary

_PLANNED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""Temporal sets it: when the schedule meant to start the workflow."""


@workflow.defn(name=RUN_TASK)
class RunTaskWorkflow:
    """Runs a task once."""

    @workflow.run
    async def run(self, task_id: str) -> str:
        """The id of the run. Raises ApplicationError when it failed, or could not begin."""
        info = workflow.info()
        asked = OpenTaskRun(
            task_id=task_id,
            planned_at=info.typed_search_attributes.get(_PLANNED_AT) or info.start_time,
            asked_at=info.start_time,
            asked_by=f"{info.workflow_id}/{info.run_id}",
        )
        try:
            opened = await ask_locally("orchestration.open-task-run", asked, OpenedTaskRun)
            await _run(opened)
        except StepFailedError as error:
            await ask_locally("orchestration.task-failed", task_id, type(None))
            raise ApplicationError(error.failure.message, type=error.failure.code, non_retryable=True) from error
        return opened.run_id


async def _run(opened: OpenedTaskRun) -> None:
    """Run it to its end. Raises StepFailedError when it fails; not when somebody cancelled or terminated it."""
    plan = load_plan(opened.plan.encode())
    request = RunRequest(
        input=opened.input, caller=opened.caller, trigger="schedule", admitted=plan.concurrency is None
    )
    try:
        await workflow.execute_child_workflow(
            plan.workflow,
            args=[json_data(opened.plan.encode()), json_value(request.model_dump(mode="json"))],
            id=opened.run_id,
            result_type=RawValue,
            cancellation_type=workflow.ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=workflow.ParentClosePolicy.TERMINATE,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=run_attributes(plan, request),
            static_summary=run_summary(plan),
            priority=run_priority(request.caller),
        )
    except WorkflowAlreadyStartedError:
        pass  # this planned time has had its run
    except ChildWorkflowError as error:
        raise_if_cancelled(error.cause)
        if not isinstance(error.cause, CancelledError | TerminatedError):
            raise StepFailedError(child_failure(error)) from error
