"""The worker of the orchestration service: runs DAGs and the `flow` actions, keeps the record of runs."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.engine import EngineActivities
from activities.flow import FlowActivities
from activities.orchestration import OrchestrationActivities
from activities.tasks import TaskActivities
from models import flow, orchestration
from workers.runs_in_temporal import RunsInTemporal
from workers.runtime import WorkerParts, WorkerSpec, main
from workflows.run_dag import RunDagWorkflow
from workflows.run_task import RunTaskWorkflow
from workflows.task_schedules import TaskSchedules


def _activities(parts: WorkerParts) -> Sequence[Callable[..., Any]]:
    runs = RunsInTemporal(parts.client, parts.database)
    engine = EngineActivities(parts.database, parts.blobs, runs)
    schedules = TaskSchedules(parts.client)
    own = OrchestrationActivities(parts.database, runs, schedules)
    tasks = TaskActivities(parts.database, runs, schedules)
    return [
        engine.open_run,
        engine.open_child,
        engine.admit_run,
        engine.cancel_run,
        engine.evaluate,
        engine.fill,
        engine.keep,
        engine.ask_approval,
        engine.settle_approval,
        engine.close_run,
        tasks.open_task_run,
        tasks.task_failed,
        *parts.adapter.activities(FlowActivities(parts.database), flow.ACTIONS),
        *parts.adapter.activities(own, orchestration.ACTIONS),
    ]


WORKER = WorkerSpec("orchestration", _activities, workflows=[RunDagWorkflow, RunTaskWorkflow])

if __name__ == "__main__":
    main(WORKER)
