"""Whether a part of the stack does its work, asked in the part's own protocol."""

from collections.abc import Callable
from datetime import timedelta

import httpx2
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError

_PATIENCE = timedelta(seconds=3)


async def api_answers(base_url: str) -> bool:
    """Whether the API and what it depends on are ready."""
    async with httpx2.AsyncClient(timeout=_PATIENCE.total_seconds(), trust_env=False) as client:
        try:
            return (await client.get(f"{base_url}/api/v1/health/ready")).is_success
        except httpx2.HTTPError:
            return False


class TemporalProbe:
    """Asks a Temporal server; connects when it is first asked."""

    def __init__(self, config: Callable[[], ClientConnectConfig]) -> None:
        self._config = config
        self._client: Client | None = None

    async def answers(self) -> bool:
        """Whether the server is there and knows the namespace."""
        try:
            return await (await self._connected()).service_client.check_health(timeout=_PATIENCE)
        except (RPCError, RuntimeError):  # the SDK raises RuntimeError when there is nothing to connect to
            return False

    async def has_poller(self, service: str, pid: int) -> bool:
        """Whether the server has been asked for tasks of this service by this very process."""
        try:
            client = await self._connected()
            described = await client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=client.namespace,
                    task_queue=TaskQueue(name=service),
                    task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                ),
                timeout=_PATIENCE,
            )
        except (RPCError, RuntimeError):
            return False
        return any(poller.identity == f"{service}@{pid}" for poller in described.pollers)

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await Client.connect(**self._config())
        return self._client
