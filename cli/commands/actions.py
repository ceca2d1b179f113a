"""`actions`, `action`: the catalogue, and running one action by itself."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.client.api import path
from cli.client.outcome import exit_code_of_run, show_outcome, wait_for_end
from cli.client.refusals import placed_by
from cli.client.run_input import InputFileOption, InputOptions, read_input
from cli.client.session import Session, platform_command
from cli.client.steps import RUN_STYLES, run_line
from models.runs import Run

_WAIT_SECONDS = 2
"""Most actions end within the answer to their start; the progress of longer ones is followed."""


@platform_command
def action(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="service.action, as `actions` lists them.")],
    inputs: InputOptions = None,
    input_file: InputFileOption = None,
) -> None:
    """Run one action by itself, wait for its end and show what it gives back."""
    action_input, places = read_input(inputs or [], input_file, lambda: _input_schema(session, name))
    with placed_by(places):
        run = run_action(session, name, action_input)
    show_outcome(session, run)
    raise typer.Exit(exit_code_of_run(run))


def run_action(session: Session, name: str, action_input: Any) -> Run:
    """Run one action by itself, show it until it ends, and give back the run that has ended."""
    answer = session.platform.post(
        path("actions", name, "execute"), {"input": action_input}, wait_seconds=_WAIT_SECONDS
    )
    content = answer.content
    run = Run.model_validate(content, extra="ignore")
    if not run.status.ended:
        content = wait_for_end(session, run)
        run = Run.model_validate(content, extra="ignore")
    else:
        session.say(run_line(run, datetime.now(UTC)), style=RUN_STYLES[run.status])
    session.show_json(content)
    return run


@platform_command
def actions(session: Session) -> None:
    """Every action there is, with the fields of its input; `?` marks what may be left out."""
    catalogue = session.platform.get(path("actions"))
    session.show_json(catalogue)
    session.show_table(
        ("action", "input", ""),
        [(item["type"], _fields(item["input_schema"]), item["summary"]) for item in catalogue["items"]],
    )


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(name if name in required else f"{name}?" for name in schema.get("properties", {}))


def _input_schema(session: Session, name: str) -> Any:
    catalogue = session.platform.get(path("actions"))
    return next((item["input_schema"] for item in catalogue["items"] if item["type"] == name), None)
