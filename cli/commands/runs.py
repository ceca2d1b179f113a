"""`run`, `runs`, `show`, `cancel`: runs."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.client.api import path
from cli.client.exit_codes import ExitCode, exit_code_of
from cli.client.inputs import parse_labels
from cli.client.outcome import exit_code_of_run, failure_steps, show_outcome, wait_for_end
from cli.client.refusals import RefusedError, placed_by
from cli.client.run_display import step_table
from cli.client.run_input import InputFileOption, InputOptions, read_input
from cli.client.session import Session, platform_command
from cli.client.steps import RUN_STYLES, elapsed, run_line, ways_on
from cli.client.text import as_json, local_time
from models.runs import Run, RunStatus

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]


@platform_command
def run(
    session: Session,
    workflow: Annotated[str, typer.Argument(metavar="ID", help="A definition.")],
    inputs: InputOptions = None,
    input_file: InputFileOption = None,
    labels: Annotated[list[str] | None, typer.Option("--label", metavar="NAME=TEXT", help="For finding it.")] = None,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Show its steps until it ends; 1 unless it completes.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Touch nothing: steps give their mock.")] = False,
) -> None:
    """Start a run."""
    run_input, locator = read_input(inputs or [], input_file, lambda: _input_schema(session, workflow))
    body = {"input": run_input, "labels": parse_labels(labels or [])} | ({"dry_run": True} if dry_run else {})
    with placed_by(locator):
        answer = session.platform.post(path("workflow", workflow, "execute"), body)
    started = Run.model_validate(answer.content, extra="ignore")
    if wait:
        content = wait_for_end(session, started)
        ended = Run.model_validate(content, extra="ignore")
        session.show_json(content)
        show_outcome(session, ended)
        raise typer.Exit(exit_code_of_run(ended))
    session.show_json(answer.content)
    kind = "dry run" if started.dry_run else "run"
    session.say(f"{started.workflow} version {started.version}: {kind} {started.run_id} {started.status.value}")
    session.say(f"  ./tooloo show {started.run_id}")


@platform_command
def runs(
    session: Session,
    workflow: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of this definition; of all.")] = None,
    status: Annotated[list[RunStatus] | None, typer.Option(help="Only runs with one of these.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="At most this many.")] = 20,
) -> None:
    """Runs, newest first."""
    where = path("runs") if workflow is None else path("workflow", workflow, "executions")
    page = session.platform.get(where, {"limit": limit, "status": [one.value for one in status or []]})
    session.show_json(page)
    now = datetime.now(UTC)
    found = [Run.model_validate(item, extra="ignore") for item in page["items"]]
    session.show_table(
        ("run", "workflow", "version", "status", "started", "time", "labels"),
        [
            (
                one.run_id,
                one.workflow,
                str(one.version),
                f"{one.status.value}, dry run" if one.dry_run else one.status.value,
                local_time(one.started_at),
                elapsed(one.started_at, one.ended_at, now),
                " ".join(f"{name}={text}" for name, text in sorted(one.labels.items())),
            )
            for one in found
        ],
    )
    if page.get("next_cursor"):
        session.say("There are more: --limit shows up to 200.", style="dim")


@platform_command
def show(session: Session, run_id: RunArgument) -> None:
    """A run with its steps, errors, output and links."""
    content = session.platform.get(path("runs", run_id))
    session.show_json(content)
    if session.json_only:
        return
    one = Run.model_validate(content, extra="ignore")
    now = datetime.now(UTC)
    session.say(run_line(one, now), style=RUN_STYLES[one.status])
    session.say(f"run {one.run_id}, started {local_time(one.started_at)} by {one.user_id} ({one.trigger})", style="dim")
    if one.parent:
        session.say(f"a step of the run {one.parent}", style="dim")
    compensations = {compensation.id for compensation in one.compensations}
    handlers = failure_steps(session, one)
    session.console.print(step_table([*one.steps, *one.compensations], now, handlers, compensations))
    for way in ways_on(one):
        session.say(f"  {way}")
    session.say(f"input {as_json(one.input)}")
    show_outcome(session, one)
    for name, link in one.links.items():
        session.say(f"{name:<10}{session.platform.address_of(link)}", style="dim")


@platform_command
def cancel(session: Session, run_id: RunArgument) -> None:
    """Ask a run to end: what is under way is told, and the run ends `cancelled`."""
    found = Run.model_validate(session.platform.get(path("runs", run_id)), extra="ignore")
    answer = session.platform.post(path("workflow", found.workflow, "executions", run_id, "cancel"))
    session.show_json(answer.content)
    session.say(f"run {run_id} of {found.workflow} is being cancelled: ./tooloo show {run_id}")


def _input_schema(session: Session, workflow: str) -> Any:
    """Schema of a definition's input; None where the key may run it but not read it."""
    try:
        return session.platform.get(path("workflow", workflow))["definition"].get("input")
    except RefusedError as error:
        if exit_code_of(error) is ExitCode.NOT_ALLOWED:
            return None
        raise
