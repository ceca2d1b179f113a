"""Continue-as-new after fewer events than the engine's own limit, so that tests reach it soon."""

from collections.abc import Generator
from contextlib import contextmanager
from unittest.mock import patch

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

import workers.runtime
from workflows import run_dag


@contextmanager
def history_limit(events: int) -> Generator[SandboxedWorkflowRunner]:
    """Runs continue as new past this many events on workers made meanwhile, and in the runner this gives.

    The sandbox imports the workflow's module anew for each run, which would undo the change: here it is shared.
    """
    restrictions = workers.runtime.SANDBOX.restrictions.with_passthrough_modules("workflows.run_dag")
    sandbox = SandboxedWorkflowRunner(restrictions=restrictions)
    with patch.object(run_dag, "HISTORY_EVENTS", events), patch.object(workers.runtime, "SANDBOX", sandbox):
        yield sandbox
