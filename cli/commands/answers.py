"""`approvals`, `approve`, `reject`, `signal`: what runs wait for."""

from functools import cache
from typing import Annotated, Any

import typer

from cli.client.api import path
from cli.client.exit_codes import ExitCode, exit_code_of
from cli.client.inputs import parse_value
from cli.client.refusals import RefusedError
from cli.client.session import Session, platform_command
from cli.client.text import local_time
from models.runs import Run
from models.workflows import Approval

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run.")]
StepArgument = Annotated[str, typer.Argument(metavar="STEP", help="Id of the step that asks.")]
CommentOption = Annotated[str | None, typer.Option(help="For the record, and for the steps that follow.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option(metavar="JSON|NAME=TEXT|NAME:=JSON", help="What the question's schema asks for; fields repeatable."),
]
PayloadOption = Annotated[
    list[str] | None,
    typer.Option(metavar="JSON|NAME=TEXT|NAME:=JSON", help="What the signal brings; fields repeatable."),
]


@platform_command
def approvals(session: Session) -> None:
    """Questions of runs that wait for your answer, the oldest first."""
    found = session.platform.items(path("approvals"))
    session.show_json({"items": found})
    questions = [Approval.model_validate(item, extra="ignore") for item in found]
    session.show_table(
        ("run", "step", "workflow", "question", "asked by", "since", "until", "data"),
        [
            (
                one.run_id,
                one.step_id,
                one.workflow,
                one.summary,
                one.requested_by,
                local_time(one.asked_at),
                local_time(one.until),
                _fields(one.schema_),
            )
            for one in questions
        ],
    )
    if questions:
        session.say("./tooloo approve RUN STEP, or ./tooloo reject RUN STEP", style="dim")


@platform_command
def approve(
    session: Session, run_id: RunArgument, step: StepArgument, comment: CommentOption = None, data: DataOption = None
) -> None:
    """Answer a question of a run with yes. Who started the run may not, unless the step allows it."""
    _answer(session, run_id, step, "approve", comment, data)


@platform_command
def reject(session: Session, run_id: RunArgument, step: StepArgument, comment: CommentOption = None) -> None:
    """Answer a question of a run with no: the step fails."""
    _answer(session, run_id, step, "reject", comment, None)


@platform_command
def signal(
    session: Session,
    run_id: RunArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal, as the step names it.")],
    payload: PayloadOption = None,
    signal_id: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Sent again under the same id, it changes nothing.")
    ] = None,
) -> None:
    """Send a signal to the steps of a run that wait for it, now or later."""
    find = cache(lambda: _workflow_of(session, run_id))
    value = payload and parse_value(payload, "--payload", lambda: _signal_schema(session, find(), name))
    workflow = find()
    body = {"payload": value} | ({"id": signal_id} if signal_id else {})
    answer = session.platform.post(path("workflow", workflow, "executions", run_id, "signals", name), body)
    session.show_json(answer.content)
    session.say(f"signal {name} sent to run {run_id} of {workflow}: ./tooloo show {run_id}")


def _answer(session: Session, run_id: str, step: str, verb: str, comment: str | None, data: list[str] | None) -> None:
    body: dict[str, Any] = {} if comment is None else {"comment": comment}
    if data:
        body["data"] = parse_value(data, "--data", lambda: _question_schema(session, run_id, step))
    workflow = _workflow_of(session, run_id)
    answer = session.platform.post(path("workflow", workflow, "executions", run_id, "steps", step, verb), body)
    session.show_json(answer.content)
    settled = Approval.model_validate(answer.content, extra="ignore")
    session.say(f"step {settled.step_id} of run {settled.run_id} {settled.status}: ./tooloo show {settled.run_id}")


def _workflow_of(session: Session, run_id: str) -> str:
    """The definition of a run. Who may answer a question need not see the run: then the question says it."""
    try:
        return Run.model_validate(session.platform.get(path("runs", run_id)), extra="ignore").workflow
    except RefusedError as error:
        if exit_code_of(error) is not ExitCode.NOT_FOUND:
            raise
        named = [item["workflow"] for item in session.platform.items(path("approvals")) if item["run_id"] == run_id]
        if not named:
            raise
        return named[0]


def _question_schema(session: Session, run_id: str, step: str) -> Any:
    questions = session.platform.items(path("approvals"))
    return next((one["schema"] for one in questions if (one["run_id"], one["step_id"]) == (run_id, step)), None)


def _signal_schema(session: Session, workflow: str, name: str) -> Any:
    """Schema of a signal's payload; None where the key may not read the definition, or it is gone."""
    try:
        definition = session.platform.get(path("workflow", workflow))["definition"]
    except RefusedError as error:
        if exit_code_of(error) in {ExitCode.NOT_ALLOWED, ExitCode.NOT_FOUND}:
            return None
        raise
    waits = [step.get("wait") or {} for step in (*definition["steps"], *(definition.get("on_failure") or ()))]
    return next((wait.get("schema") for wait in waits if wait.get("signal") == name), None)


def _fields(schema: Any) -> str:
    """The fields an answer has; `?` marks what may be left out."""
    if not isinstance(schema, dict):
        return ""
    required = schema.get("required", ())
    return ", ".join(name if name in required else f"{name}?" for name in schema.get("properties", {}))
