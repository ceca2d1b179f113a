"""What bounds a piece of blocking work: a stop flag, a deadline, and a line back to whoever watches."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import JsonValue

from models.errors import TooLargeError

Progress = dict[str, JsonValue]


class StoppedError(Exception):
    """The caller gave up: the work ends here, and nobody reads its result."""


@dataclass(frozen=True)
class Limits:
    """How much of a repository is taken. Sizes in bytes, durations in seconds."""

    transfer_bytes: int = 2 * 2**30
    """Of one load. The Linux kernel, the largest history people commonly clone, is about this size."""
    refs_bytes: int = 64 * 2**20
    """Of a server's list of branches and tags; dulwich holds it in memory."""
    object_bytes: int = 128 * 2**20
    """Inflated, of one object; it is held in memory while indexing. Forges refuse files over 100 MB."""
    load_seconds: float = 840.0
    """Below the action's `start_to_close` of 900 s, so that the error says what happened."""
    stall_seconds: float = 60.0
    """Without a complete packet (at most 64 KiB): under about 1 kB/s, Git's own customary low-speed limit."""
    connect_seconds: float = 10.0
    analyze_seconds: float = 1_700.0
    """Below the action's `start_to_close` of 1,800 s."""


@dataclass
class Supervision:
    """Passed down to every loop: `check` ends work that nobody waits for or that takes too long."""

    seconds: float
    report: Callable[[Progress], None]
    stopped: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)

    def failure(self) -> Exception | None:
        """Why the work has to end now, or None."""
        if self.stopped.is_set():
            return StoppedError()
        if time.monotonic() - self.started > self.seconds:
            return TooLargeError(
                f"the repository takes longer than the {self.seconds:.0f} s allowed for it", code="time-limit"
            )
        return None

    def check(self) -> None:
        """Raise StoppedError or TooLargeError (`time-limit`) when the work has to end."""
        if failure := self.failure():
            raise failure

    def progress(self, phase: str, **figures: JsonValue) -> None:
        """Say where the work stands, and check that it may go on."""
        self.report({"phase": phase, **figures})
        self.check()
