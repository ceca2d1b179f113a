"""Following a run: its server-sent progress, over connections that may break."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2

from cli.client.api import Platform, path
from cli.client.exit_codes import ExitCode, exit_code_of
from cli.client.refusals import UnreachableError
from models.errors import TooLooError

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""How long a platform may be away while a run is followed."""


@dataclass(frozen=True)
class RunEvent:
    """`run` (the run without steps), `step` (one step as it is now) or `end` (the run with steps, as the last one)."""

    kind: str
    data: dict[str, Any]


def follow(
    platform: Platform, workflow: str, run_id: str, *, patience_seconds: float = PATIENCE_SECONDS
) -> Iterator[RunEvent]:
    """Progress of a run until its end. A broken connection is made again, and goes on behind what was seen.

    Raises UnreachableError when the platform stays away, RefusedError when it does not show the run.
    """
    where = path("workflow", workflow, "executions", run_id, "events")
    last_id = ""
    lost_at = time.monotonic()
    pause = _FIRST_PAUSE_SECONDS
    while True:
        heard = False
        try:
            with platform.stream(where, last_id) as messages:
                for message in messages:
                    heard = True
                    last_id = message.id or last_id
                    event = _read(message)
                    yield event
                    if event.kind == "end":
                        return
            error: TooLooError = UnreachableError(f"The platform at {platform.address} ended the progress of {run_id}.")
        except TooLooError as broken:
            if exit_code_of(broken) is not ExitCode.UNREACHABLE:
                raise
            error = broken
        if heard:
            lost_at, pause = time.monotonic(), _FIRST_PAUSE_SECONDS
        if time.monotonic() - lost_at >= patience_seconds:
            raise UnreachableError(f"{error.detail} The run goes on without us: ./tooloo show {run_id}") from error
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _read(message: httpx2.ServerSentEvent) -> RunEvent:
    try:
        data = message.json()
    except ValueError as error:
        raise UnreachableError(f"The platform sent progress that cannot be read: {message.data[:100]!r}") from error
    if not isinstance(data, dict):
        raise UnreachableError(f"The platform sent progress that cannot be read: {message.data[:100]!r}")
    return RunEvent(message.event, data)
