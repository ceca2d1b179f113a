"""All workers in one process, for laptops and tests."""

from workers.analytics import WORKER as ANALYTICS
from workers.context import WORKER as CONTEXT
from workers.orchestration import WORKER as ORCHESTRATION
from workers.runtime import main

WORKERS = (ORCHESTRATION, CONTEXT, ANALYTICS)

if __name__ == "__main__":
    main(*WORKERS)
