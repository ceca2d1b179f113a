"""Looking after what the platform depends on, each look bounded in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from models.catalogue import SERVICES, WORKER_SERVICES
from models.contract import Contract

PATIENCE = timedelta(seconds=2)
SEEN_WITHIN = timedelta(seconds=75)
"""A poll waits up to a minute: a worker that was not seen for longer than this has gone."""
API = "api"


class Dependency(Contract):
    """Something without which requests fail."""

    name: str
    ok: bool
    detail: str


class Readiness(Contract):
    """Whether requests can be answered."""

    ready: bool
    dependencies: tuple[Dependency, ...]


class ServiceState(StrEnum):
    """How a service is."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
    """Temporal, which knows the workers, does not answer."""
    ABSENT = "absent"
    """It has no actions yet, so no worker."""


class ServiceHealth(Contract):
    """One of the nine services, or a foreign one."""

    name: str
    state: ServiceState
    workers: int
    """Processes that were seen lately."""
    last_seen: datetime | None


class ServicesHealth(Contract):
    """All services in the order of the contract, then the foreign ones by name."""

    services: tuple[ServiceHealth, ...]


async def check_dependencies(database: AsyncEngine, temporal: Client) -> Readiness:
    """PostgreSQL and Temporal, looked at at the same time."""

    async def ask_postgres() -> None:
        async with database.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def ask_temporal() -> None:
        await temporal.service_client.check_health(timeout=PATIENCE)

    found = await asyncio.gather(_look("postgres", ask_postgres), _look("temporal", ask_temporal))
    return Readiness(ready=all(dependency.ok for dependency in found), dependencies=tuple(found))


async def check_services(temporal: Client, now: datetime, foreign: Mapping[str, str]) -> ServicesHealth:
    """Every service by the workers that Temporal has seen; all queues are asked at the same time.

    `foreign`: the task queues of registered services, by name.
    """
    looks = [
        *(_service(temporal, name, now) for name in SERVICES),
        *(_worker_service(temporal, name, queue, now) for name, queue in foreign.items()),
    ]
    return ServicesHealth(services=tuple(await asyncio.gather(*looks)))


def judge(name: str, pollers: Iterable[PollerInfo], now: datetime) -> ServiceHealth:
    """The health of a worker service whose queue has these pollers."""
    seen = {poller.identity: poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in pollers}
    workers = sum(now - at <= SEEN_WITHIN for at in seen.values())
    state = ServiceState.UP if workers else ServiceState.DOWN
    return ServiceHealth(name=name, state=state, workers=workers, last_seen=max(seen.values(), default=None))


async def _service(temporal: Client, name: str, now: datetime) -> ServiceHealth:
    if name == API:
        return ServiceHealth(name=name, state=ServiceState.UP, workers=1, last_seen=now)
    if name not in WORKER_SERVICES:
        return ServiceHealth(name=name, state=ServiceState.ABSENT, workers=0, last_seen=None)
    return await _worker_service(temporal, name, name, now)


async def _worker_service(temporal: Client, name: str, queue: str, now: datetime) -> ServiceHealth:
    request = DescribeTaskQueueRequest(
        namespace=temporal.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            described = await temporal.workflow_service.describe_task_queue(request, timeout=PATIENCE)
    except Exception:  # noqa: BLE001 - whatever it is, the answer is that nobody knows
        return ServiceHealth(name=name, state=ServiceState.UNKNOWN, workers=0, last_seen=None)
    return judge(name, described.pollers, now)


async def _look(name: str, ask: Callable[[], Awaitable[None]]) -> Dependency:
    """Anyone may read the detail, so it names no address and no user."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await ask()
    except TimeoutError:
        return Dependency(name=name, ok=False, detail=f"no answer within {PATIENCE.total_seconds():g} seconds")
    except Exception as error:  # noqa: BLE001 - a health check reports whatever is wrong
        return Dependency(name=name, ok=False, detail=f"cannot be used: {type(error).__name__}")
    return Dependency(name=name, ok=True, detail="answers")
