"""What became of a run, for people."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import typer

from cli.client.api import path
from cli.client.exit_codes import ExitCode
from cli.client.progress import RunEvent, follow
from cli.client.run_display import RunDisplay
from cli.client.session import Session
from cli.client.steps import failure_line
from cli.client.text import as_json
from models.errors import TooLooError
from models.runs import Run, RunStatus


def wait_for_end(session: Session, run: Run) -> dict[str, Any]:
    """Show a run until it has ended, and give back the run object. Ctrl-C leaves it running and ends the command."""
    events = follow(session.platform, run.workflow, run.run_id)
    try:
        if not session.json_only:
            session.say(f"run {run.run_id}", style="dim")
            with RunDisplay(session.console, run, failure_steps(session, run)) as display:
                return _last(map(display.update, events))
        return _last(events)
    except KeyboardInterrupt as interrupt:
        typer.echo(f"The run goes on: ./tooloo show {run.run_id}, or ./tooloo cancel {run.run_id}", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from interrupt


def failure_steps(session: Session, run: Run) -> frozenset[str]:
    """Steps of a run that only run when it has failed. None where that cannot be told: it is shown all the same."""
    with suppress(TooLooError, AttributeError, KeyError, TypeError):
        graph = session.platform.get(path("workflow", run.workflow, "graph"), {"format": "json", "run": run.run_id})
        return frozenset(node["id"] for node in graph["nodes"] if node.get("on_failure"))
    return frozenset()


def show_outcome(session: Session, run: Run) -> None:
    """Error, reports and output of a run."""
    if failure := failure_line(run):
        session.say(failure, style="red")
    reports = list(reports_in(run.output))
    for headline, url in reports:
        session.say(headline, style="bold")
        session.say(f"  {session.platform.address_of(url)}")
    if run.output is not None and not reports:
        session.say(f"output {as_json(run.output)}")


def exit_code_of_run(run: Run) -> ExitCode:
    """How a command ends that waited for a run."""
    return ExitCode.OK if run.status is RunStatus.COMPLETED else ExitCode.FAILED


def reports_in(output: Any) -> Iterator[tuple[str, str]]:
    """Headline and address of the reports in an output: the output itself, or its fields."""
    candidates = [output, *output.values()] if isinstance(output, dict) else []
    for candidate in candidates:
        match candidate:
            case {"headline": str(headline), "url": str(url)}:
                yield headline, url
            case _:
                pass


def _last(events: Iterable[RunEvent]) -> dict[str, Any]:
    *_, end = events
    return end.data
