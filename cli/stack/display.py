"""The stack on the screen: a live table on a terminal, a line per change anywhere else."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from cli.stack.state import PartState, PartStatus, StackState

_COLOURS = {
    PartState.STARTING: "yellow",
    PartState.RUNNING: "green",
    PartState.FAILED: "red",
    PartState.STOPPED: "dim",
}


def part_table(parts: tuple[PartStatus, ...]) -> Table:
    """The parts, one a row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("part", "state", "address", "pid", ""):
        table.add_column(column, no_wrap=column != "")
    for part in parts:
        state = Text(part.state.value, style=_COLOURS[part.state])
        table.add_row(part.name, state, part.address or "", str(part.pid or ""), Text(part.detail, style="dim"))
    return table


def summary(state: StackState) -> str:
    """What to know once everything runs, as lines."""
    lines = [f"{name:<16}{address}" for name, address in state.links.items()]
    if state.headline:
        lines = [f"{'Example':<16}{state.headline}", *lines]
    return "\n".join(lines)


class StackDisplay:
    """Shows a stack's state as it changes, from `with` to its end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8) if console.is_terminal else None
        self._spinner = Spinner("dots", style="cyan")
        self._shown: dict[str, tuple[PartState, str]] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: StackState, doing: str = "") -> None:
        """Show the state as it is now; `doing` says what is being waited for."""
        if self._live is not None:
            self._spinner.update(text=Text(doing, style="cyan"))
            table = part_table(state.parts)
            self._live.update(Group(table, self._spinner) if doing else table)
            return
        for part in state.parts:
            now = (part.state, part.detail)
            if self._shown.get(part.name) != now:
                self._shown[part.name] = now
                detail = f" ({part.detail})" if part.detail else ""
                self.say(f"{part.name} {part.state.value}{detail}")

    def say(self, message: str) -> None:
        """A line above the table."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)
