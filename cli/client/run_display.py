"""A run on the screen while it goes on: a live table on a terminal, a line per change anywhere else."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.client.progress import RunEvent
from cli.client.steps import (
    RUN_STYLES,
    STEP_COLUMNS,
    STEP_LOOKS,
    choose_steps,
    count_steps,
    milestone,
    run_line,
    step_cells,
    step_line,
)
from cli.client.text import printable
from models.runs import Run, StepState, StepStatus
from services.orchestration.graph_wording import ON_FAILURE

_FRAMES_PER_SECOND = 8
_OTHER_LINES = 6
"""Lines of the screen that are no steps: the run, the heading, the counts, the prompt."""


class RunDisplay:
    """Shows a run's events as they come, from `with` to its end. `handlers`: its steps of `on_failure`."""

    def __init__(self, console: Console, run: Run, handlers: Collection[str] = ()) -> None:
        self._console = console
        self._run = run
        self._handlers = handlers
        self._steps: dict[str, StepState] = {}
        self._compensations: dict[str, StepState] = {}
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=_FRAMES_PER_SECOND, transient=False
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, event: RunEvent) -> RunEvent:
        """Show one event and give it on; kinds that are not known yet are passed over."""
        match event.kind:
            case "run":
                self._run = Run.model_validate(event.data, extra="ignore")
            case "step":
                self._set(StepState.model_validate(event.data, extra="ignore"))
            case "compensation":
                self._set_compensation(StepState.model_validate(event.data, extra="ignore"))
            case "end":
                self._run = Run.model_validate(event.data, extra="ignore")
                for step in self._run.steps:
                    self._set(step)
                for compensation in self._run.compensations:
                    self._set_compensation(compensation)
                if not self._console.is_terminal:
                    self._print(run_line(self._run, datetime.now(UTC)))
            case _:
                pass
        return event

    def _set(self, step: StepState) -> None:
        before = self._steps.get(step.id)
        self._steps[step.id] = step
        self._print_change(before, step)

    def _set_compensation(self, compensation: StepState) -> None:
        before = self._compensations.get(compensation.id)
        self._compensations[compensation.id] = compensation
        self._print_change(before, compensation)

    def _print_change(self, before: StepState | None, step: StepState) -> None:
        if not self._console.is_terminal and _worth_a_line(before, step):
            self._print(step_line(step, datetime.now(UTC), on_failure=step.id in self._handlers))

    def _print(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)

    def _render(self) -> RenderableType:
        # Rendered by a thread of its own: the copy is made in one go.
        steps = [*self._steps.values(), *self._compensations.values()]
        now = datetime.now(UTC)
        headings = bool(self._handlers) + bool(self._compensations)
        shown = choose_steps(steps, max(self._console.height - _OTHER_LINES - headings, 1))
        lines: list[RenderableType] = [Text(printable(run_line(self._run, now)), style=RUN_STYLES[self._run.status])]
        lines.append(step_table(shown, now, self._handlers, self._compensations))
        if len(shown) < len(steps):
            lines.append(Text(f"{len(steps)} steps: {count_steps(steps)}", style="dim"))
        return Group(*lines)


def step_table(
    steps: Sequence[StepState], now: datetime, handlers: Collection[str] = (), compensations: Collection[str] = ()
) -> Table:
    """Steps, one a row; those of `on_failure`, and what undid others, under headings of their own."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in STEP_COLUMNS:
        is_figure = column in {"attempts", "time"}
        table.add_column(column, no_wrap=True, justify="right" if is_figure else "left", overflow="ellipsis")
    heading = ""
    for step in steps:
        above, heading = heading, _heading(step, handlers, compensations)
        if heading != above:
            table.add_row("", Text(heading, style="dim italic"))
        look = STEP_LOOKS[step.status]
        symbol, name, status, *rest = map(printable, step_cells(step, now))
        table.add_row(Text(symbol, style=look.style), Text(name), Text(status, style=look.style), *map(Text, rest))
    return table


def _heading(step: StepState, handlers: Collection[str], compensations: Collection[str]) -> str:
    if step.id in compensations:
        return "undoing"
    return ON_FAILURE if step.id in handlers else ""


def _worth_a_line(before: StepState | None, step: StepState) -> bool:
    if before is None:
        return step.status is not StepStatus.PENDING
    return milestone(before) != milestone(step)
