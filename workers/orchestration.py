"""The worker of the orchestration service: runs DAGs and the `flow` actions, keeps the record of runs."""

from collections.abc import Callable, Sequence
from typing import Any

from activities.flow import FlowActivities
from activities.orchestration import OrchestrationActivities, RunRecordActivities
from models import flow, orchestration
from workers.runs_in_temporal import RunsInTemporal
from workers.runtime import WorkerParts, WorkerSpec, main
from workflows.run_dag import RunDagWorkflow


def _activities(parts: WorkerParts) -> Sequence[Callable[..., Any]]:
    record = RunRecordActivities(parts.database, parts.blobs)
    own = OrchestrationActivities(parts.database, RunsInTemporal(parts.client, parts.database))
    return [
        record.open_run,
        record.close_run,
        *parts.adapter.activities(FlowActivities(parts.database), flow.ACTIONS),
        *parts.adapter.activities(own, orchestration.ACTIONS),
    ]


WORKER = WorkerSpec("orchestration", _activities, workflows=[RunDagWorkflow])

if __name__ == "__main__":
    main(WORKER)
