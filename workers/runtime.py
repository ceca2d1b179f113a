"""What every worker process shares: connecting, running until told to stop, leaving cleanly."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NoReturn

import structlog
import uvloop
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.adapter import PROGRESS_EVERY, ActionAdapter
from activities.recorder import StepRecorder
from activities.results import ResultCache
from models.logs import configure_logging
from models.persistence.database import create_database
from models.persistence.values import BlobStore
from models.settings import Settings
from workflows.client import connect

_log = structlog.get_logger(__name__)

PURE_MODULES = (
    "models",  # frozen contracts and pure functions; persistence is never imported by workflows
    "workflows.dag",  # the engine: pure, and importing it anew for each run costs 90 ms
    "workflows.search_attributes",  # constants
    "cel_expr_python",  # evaluates expressions: bounded, and the same in every process
    "google.protobuf",  # reads their syntax trees
    "pydantic",  # validates contracts; no state
    "pydantic_core",
    "annotated_types",
    "jsonschema",  # validates values; no state
    "jsonschema_specifications",
    "referencing",
    "rpds",
    "attrs",
    "attr",
    "re2",
)
SANDBOX = SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PURE_MODULES))

STOP_WITHIN = timedelta(seconds=10)
"""How long activities may go on after a worker was told to stop; then they are tried again elsewhere."""
WORKFLOW_TASKS = 4
"""Few at once: after a restart many open runs replay, and replays compete for one interpreter (TRAPS 7)."""
ACTIVITIES = 200


@dataclass(frozen=True)
class WorkerParts:
    """What a worker builds its activities from."""

    settings: Settings
    database: AsyncEngine
    blobs: BlobStore
    client: Client
    adapter: ActionAdapter


@dataclass(frozen=True)
class WorkerSpec:
    """A worker: its task queue, what runs on it and what it makes sure of when it starts."""

    service: str
    activities: Callable[[WorkerParts], Sequence[Callable[..., Any]]]
    workflows: Sequence[type] = ()
    on_start: Callable[[WorkerParts], Awaitable[None]] | None = field(default=None)


@asynccontextmanager
async def worker_parts(settings: Settings, identity: str | None = None) -> AsyncGenerator[WorkerParts]:
    """The shared parts of one process, closed at the end."""
    database = create_database(settings.database_url, archive=settings.archive_path)
    blobs = BlobStore(database, patient=True)
    client = await connect(blobs, identity=identity)
    try:
        yield WorkerParts(
            settings, database, blobs, client, ActionAdapter(StepRecorder(database), blobs, ResultCache(database))
        )
    finally:
        await database.dispose()


def make_worker(spec: WorkerSpec, parts: WorkerParts) -> Worker:
    """The Temporal worker of a spec."""
    return Worker(
        parts.client,
        task_queue=spec.service,
        workflows=spec.workflows,
        activities=spec.activities(parts),
        workflow_runner=SANDBOX,
        max_concurrent_workflow_tasks=WORKFLOW_TASKS if spec.workflows else None,
        max_concurrent_activities=ACTIVITIES,
        max_heartbeat_throttle_interval=PROGRESS_EVERY,
        graceful_shutdown_timeout=STOP_WITHIN,
    )


async def serve(specs: Sequence[WorkerSpec], settings: Settings) -> None:
    """Run workers until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    identity = f"{'+'.join(spec.service for spec in specs)}@{os.getpid()}"
    async with worker_parts(settings, identity) as parts:
        workers = [make_worker(spec, parts) for spec in specs]
        running = [asyncio.create_task(worker.run()) for worker in workers]
        for spec in specs:
            if spec.on_start is not None:
                await spec.on_start(parts)
        _log.info("worker is running", services=[spec.service for spec in specs], pid=os.getpid())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([stopped, *running], return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:
            await worker.shutdown()
        await asyncio.gather(*running)


def main(*specs: WorkerSpec) -> NoReturn:
    """Entry point of a worker process.

    It leaves by `os._exit`: on threads of the SDK's core the usual way can hang or crash (TRAPS 20).
    """
    settings = Settings()
    configure_logging(settings.log_level)
    gc.freeze()  # what was imported stays: looking through it again and again takes a tenth of a second each time
    code = 0
    try:
        uvloop.run(serve(specs, settings))
    except Exception:  # noqa: BLE001 - the last frame of the process: whatever it is, it is logged
        _log.exception("the worker cannot run")
        code = 1
    logging.shutdown()
    os._exit(code)
