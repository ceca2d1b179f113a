"""The Temporal development server as TooLoo runs it."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from temporalio.client import Client
from temporalio.service import RPCError

from cli.stack.ports import LOOPBACK

DYNAMIC_CONFIG = {
    # The defaults suit thousands of shards; this server has one, so its queues would be read 20 times a second.
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    "history.visibilityProcessorMaxPollRPS": "1000",
    # A laptop's few pollers, spread over four partitions, would leave tasks waiting for up to 2 s.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # Users take turns, and a step's priority counts: without it, tasks are handed out in the order they came.
    "matching.enableFairness": "true",
    # Search attributes registered at `up` can be used by the next request.
    "system.forceSearchAttributesCacheRefreshOnRead": "true",
    # Many tasks are due at the same time: with 2 pollers and 30 starts a second, a hundred may take over a minute.
    "worker.perNamespaceWorkerOptions": '{"MaxConcurrentWorkflowTaskPollers": 20}',
    "worker.schedulerNamespaceStartWorkflowRPS": "1000",
}


@dataclass(frozen=True)
class TemporalServer:
    """A server with the settings of DESIGN 6."""

    program: Path
    port: int
    database: Path | None = None
    """File that keeps everything; in memory without it."""
    ui_port: int | None = None
    """Port of the Web UI; none without it."""
    codec_url: str = ""
    """Where the Web UI has payloads decoded."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    @property
    def address(self) -> str:
        """`host:port` of its gRPC service."""
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Make the folder of its database."""
        if self.database is not None:
            self.database.parent.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """Command line of the server in the foreground."""
        command = [str(self.program), "server", "start-dev", "--ip", LOOPBACK, "--port", str(self.port)]
        command += ["--log-level", "warn", "--disable-config-env", "--disable-config-file"]
        if self.database is not None:
            command += ["--db-filename", str(self.database)]
        command += ["--headless"] if self.ui_port is None else ["--ui-port", str(self.ui_port)]
        if self.codec_url:
            command += ["--ui-codec-endpoint", self.codec_url]
        for name, value in DYNAMIC_CONFIG.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        return command

    async def answers(self) -> bool:
        """Whether its gRPC service says it is healthy."""
        try:
            client = await Client.connect(self.address)
            return await client.service_client.check_health()
        except (RPCError, RuntimeError):  # the SDK raises RuntimeError when there is nothing to connect to
            return False
