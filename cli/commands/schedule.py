"""`schedule`: tasks that run by a schedule."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client.api import path
from cli.client.positions import read_file
from cli.client.session import Session, platform_command
from cli.client.text import local_time, printable
from models.tasks import Previewed, Scheduled, Task, TaskRun

app = typer.Typer(no_args_is_help=True, help="Workflows and actions that run by a schedule.")
_File = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="YAML or JSON, as POST /task/schedule takes it."),
]
_Name = Annotated[str | None, typer.Option(help="Only those whose name has this in it.")]
_Paused = Annotated[bool | None, typer.Option("--paused/--active", help="Only those that rest, or that do not.")]
_From = Annotated[str, typer.Option("--from", help='Such as "2027-03-14T00:00", in the zone of the task.')]
_To = Annotated[str, typer.Option("--to", help="Written as --from, and included.")]
_Id = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


@app.command()
@platform_command
def preview(session: Session, file: _File) -> None:
    """When a task would run, without making it."""
    task = read_file(file)[0]
    asked = {key: task[key] for key in ("schedule", "timezone", "policy") if isinstance(task, dict) and key in task}
    answer = session.platform.post(path("task", "preview"), asked).content
    session.show_json(answer)
    _show_times(session, Previewed.model_validate(answer, extra="ignore"))


@app.command()
@platform_command
def add(session: Session, file: _File) -> None:
    """Make a task; the next times at which it runs."""
    answer = session.platform.post(path("task", "schedule"), read_file(file)[0]).content
    session.show_json(answer)
    made = Scheduled.model_validate(answer, extra="ignore")
    session.say(made.id)
    _show_times(session, made)


@app.command()
@platform_command
def change(session: Session, task_id: _Id, file: _File) -> None:
    """Make a task what a file says. What it has run stays."""
    answer = session.platform.put(path("task", task_id), read_file(file)[0])
    session.show_json(answer)
    _show_times(session, Scheduled.model_validate(answer, extra="ignore"))


@app.command("list")
@platform_command
def list_tasks(session: Session, name: _Name = None, *, paused: _Paused = None) -> None:
    """One's own tasks, newest first; everybody's for admins."""
    asked = {
        **({} if name is None else {"name": name}),
        **({} if paused is None else {"paused": str(paused).lower()}),
    }
    items = session.platform.items(path("task", "scheduled"), asked)
    session.show_json({"items": items})
    found = [Task.model_validate(item, extra="ignore") for item in items]
    session.show_table(
        ("id", "name", "when", "next"),
        [
            (one.id, printable(one.name), one.text, "paused" if one.paused else local_time(next(iter(one.next), None)))
            for one in found
        ],
    )


@app.command()
@platform_command
def show(session: Session, task_id: _Id) -> None:
    """A task: what it runs, its next times, and how many were skipped or missed."""
    answer = session.platform.get(path("task", task_id))
    session.show_json(answer)
    task = Task.model_validate(answer, extra="ignore")
    runs = task.target.workflow or task.target.action
    session.say(f"{task.name}: runs {runs}, {task.text}", style="bold")
    if task.skipped is not None:
        session.say(f"{task.skipped:,} skipped, {task.missed or 0:,} missed")
    if task.paused:
        session.say("paused")
    for at in task.next:
        session.say(at.isoformat())


@app.command()
@platform_command
def history(session: Session, task_id: _Id) -> None:
    """The last times at which a task was to run, and what became of them."""
    page = session.platform.get(path("task", task_id, "history"))
    session.show_json(page)
    found = [TaskRun.model_validate(item, extra="ignore") for item in page["items"]]
    session.show_table(
        ("planned", "started", "outcome", "run"),
        [(local_time(one.planned_at), local_time(one.started_at), one.outcome, one.run_id or "") for one in found],
    )


@app.command()
@platform_command
def pause(session: Session, task_id: _Id) -> None:
    """Let a task rest."""
    _post(session, task_id, "pause", "rests")


@app.command()
@platform_command
def resume(session: Session, task_id: _Id) -> None:
    """Let a task go on."""
    _post(session, task_id, "resume", "goes on")


@app.command()
@platform_command
def trigger(session: Session, task_id: _Id) -> None:
    """Run a task now, once."""
    _post(session, task_id, "trigger", "runs now")


@app.command()
@platform_command
def backfill(session: Session, task_id: _Id, begin: _From, end: _To) -> None:
    """Run what the schedule says for a time that has passed, one after the other; each time once."""
    answer = session.platform.post(path("task", task_id, "backfill"), {"from": begin, "to": end}).content
    session.show_json(answer)
    _show_times(session, Previewed.model_validate(answer, extra="ignore"))


@app.command("execute-pending")
@platform_command
def execute_pending(session: Session) -> None:
    """Start everything that was due within the last week and has not started; for admins."""
    answer = session.platform.post(path("task", "execute-pending")).content
    session.show_json(answer)
    session.say(f"{answer['started']:,} runs of {len(answer['tasks']):,} tasks")


@app.command()
@platform_command
def delete(session: Session, task_id: _Id) -> None:
    """Run a task no more."""
    session.platform.delete(path("task", task_id))
    session.show_json({"deleted": task_id})
    session.say(f"task {task_id} is deleted")


def _post(session: Session, task_id: str, what: str, told: str) -> None:
    answer: Any = session.platform.post(path("task", task_id, what)).content
    session.show_json(answer)
    session.say(f"task {task_id} {told}")


def _show_times(session: Session, shown: Previewed | Scheduled) -> None:
    session.say(shown.text)
    for at in shown.next:
        session.say(at.isoformat())
