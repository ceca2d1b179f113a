"""`apply`, `validate`, `graph`: definitions."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client.api import path
from cli.client.exit_codes import ExitCode, exit_code_of
from cli.client.positions import Source, read_file
from cli.client.refusals import document_of, line_of, placed_by
from cli.client.session import Session, platform_command
from models.errors import Problem, TooLooError
from models.workflows import SavedWorkflow, ValidatedWorkflow

DefinitionFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A definition, YAML or JSON.")]
DefinitionFiles = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Definitions, YAML or JSON.")]

_CREATED = 201


class GraphFormat(StrEnum):
    """How a graph is written."""

    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"


@platform_command
def apply(session: Session, files: DefinitionFiles) -> None:
    """Create or change definitions, each by itself. Ends as the first that was refused."""
    results: list[dict[str, Any]] = []
    exit_code = ExitCode.OK
    for file in files:
        try:
            results.append({"file": str(file), "applied": _apply(session, file)})
        except TooLooError as error:
            code = exit_code_of(error)
            results.append({"file": str(file), "problem": document_of(error)})
            exit_code = exit_code or code
            if not session.json_only:
                session.report(error)
            if code is ExitCode.UNREACHABLE:
                break
    session.show_json({"items": results})
    raise typer.Exit(exit_code)


def _apply(session: Session, file: Path) -> Any:
    definition, source = read_file(file)
    with placed_by(source):
        answer = session.platform.post(path("workflow"), definition)
    saved = SavedWorkflow.model_validate(answer.content, extra="ignore")
    changed = "applied" if answer.status == _CREATED else "unchanged"
    session.say(f"{saved.id} version {saved.version} {changed}")
    _warn(session, source, saved.warnings)
    return answer.content


@platform_command
def validate(session: Session, file: DefinitionFile) -> None:
    """Check a definition without storing it, and show the plan of a run."""
    definition, source = read_file(file)
    with placed_by(source):
        answer = session.platform.post(path("workflow", "validate"), definition)
    session.show_json(answer.content)
    valid = ValidatedWorkflow.model_validate(answer.content, extra="ignore")
    session.say(f"{file} is valid.")
    for number, group in enumerate(valid.plan.parallel_groups, start=1):
        session.say(f"{number:>4}  {', '.join(group)}")
    session.say(f"critical path: {' → '.join(valid.plan.critical_path)}")
    if valid.plan.on_failure:
        session.say(f"on failure: {', '.join(valid.plan.on_failure)}")
    _warn(session, source, valid.warnings)


@platform_command
def graph(
    session: Session,
    workflow: Annotated[str, typer.Argument(metavar="ID", help="A definition.")],
    run: Annotated[str | None, typer.Option(help="Show the states of this run.")] = None,
    form: Annotated[GraphFormat | None, typer.Option("--format", show_default="mermaid; json with --json")] = None,
    output: Annotated[Path | None, typer.Option(dir_okay=False, help="A file, instead of the screen.")] = None,
) -> None:
    """The steps of a definition and what they wait for, as a drawing."""
    if session.json_only and form not in {None, GraphFormat.JSON}:
        raise typer.BadParameter("--json prints JSON; leave it out for another format", param_hint="--format")
    chosen = form or (GraphFormat.JSON if session.json_only else GraphFormat.MERMAID)
    params = {"format": chosen.value} | ({"run": run} if run else {})
    drawing = session.platform.text(path("workflow", workflow, "graph"), params)
    if output is None:
        typer.echo(drawing)
        return
    try:
        output.write_text(drawing)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {output}: {error.strerror}", param_hint="--output") from error
    session.show_json({"file": str(output), "format": chosen.value})
    session.say(f"{chosen.value} of {workflow} is in {output}")


def _warn(session: Session, source: Source, warnings: tuple[Problem, ...]) -> None:
    for warning in warnings:
        session.say(f"warning: {line_of(source.place(warning))}", style="yellow")
