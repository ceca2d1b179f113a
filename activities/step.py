"""What an action is told about the step it works for."""

from dataclasses import dataclass, field
from typing import Any

from models.identity import Caller


@dataclass
class Step:
    """The step an action's method works for, and its line back to whoever watches."""

    run_id: str
    step_id: str
    definition: str
    attempt: int
    caller: Caller
    previous: Any = None
    """Details an earlier attempt reported last."""
    progress: Any = field(default=None)
    """Details of this attempt; sent with every heartbeat."""

    def report(self, progress: Any) -> None:
        """Say where the work stands (any small JSON value). Safe from any thread; a heartbeat carries it on."""
        self.progress = progress
