"""What the supervisor says about its stack, in a file that other processes read."""

from enum import StrEnum

from pydantic import Field

from cli.stack.files import holder_of, write_whole
from cli.stack.home import StackHome
from cli.stack.orphans import find_orphans
from models.contract import Contract


class PartState(StrEnum):
    """State of a part (CONTRACT 4)."""

    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"


class PartStatus(Contract):
    """One part of the stack."""

    name: str
    state: PartState = PartState.STOPPED
    address: str | None = None
    pid: int | None = None
    log: str
    detail: str = ""
    """Why it failed, or what it waits for."""


class StackState(Contract):
    """The stack as a whole."""

    parts: tuple[PartStatus, ...]
    supervisor_pid: int | None = None
    links: dict[str, str] = Field(default_factory=dict)
    """What to open in a browser, by name."""
    headline: str | None = None
    """First sentence of the example's report."""
    serving: bool = False
    """Whether everything ran and the example was tried."""
    failure: str | None = None
    """Why the stack gave up, or why the example failed."""

    @property
    def healthy(self) -> bool:
        """Whether every part runs."""
        return bool(self.parts) and all(part.state is PartState.RUNNING for part in self.parts)


def write_state(home: StackHome, state: StackState) -> None:
    """Let other processes know."""
    write_whole(home.state_file, state.model_dump_json(indent=2))


def read_state(home: StackHome, names: tuple[str, ...]) -> StackState:
    """What is true now: the supervisor's word while it lives, else that nothing is looked after.

    `names` are the parts to list when there never was a supervisor.
    """
    supervisor_pid = holder_of(home.lock_file)
    if supervisor_pid is not None and home.state_file.exists():
        said = StackState.model_validate_json(home.state_file.read_text())
        if said.supervisor_pid == supervisor_pid:
            return said
    left = find_orphans(home)
    parts = [
        PartStatus(name=name, log=str(home.log_of(name)), pid=left[name].pid, state=PartState.FAILED, detail="orphaned")
        if name in left
        else PartStatus(name=name, log=str(home.log_of(name)))
        for name in names
    ]
    return StackState(parts=tuple(parts))
