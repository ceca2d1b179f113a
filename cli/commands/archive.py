"""`archive list`, `archive run`, `archive restore`: old months of activity events, for admins."""

from typing import Annotated

import typer

from cli.client.api import path
from cli.client.outcome import exit_code_of_run, show_outcome
from cli.client.session import Session, platform_command
from cli.client.text import local_time
from cli.commands.actions import run_action
from models.analytics import ARCHIVE, RESTORE_ARCHIVE, ArchivedMonth, ArchiveRestored, EventsArchived
from models.runs import RunStatus

app = typer.Typer(no_args_is_help=True, help="Old months of activity events, which are files; for admins.")


@app.command("list")
@platform_command
def list_archived(session: Session) -> None:
    """Months that are files."""
    items = session.platform.items(path("analytics", "archives"))
    session.show_json({"items": items})
    found = [ArchivedMonth.model_validate(item, extra="ignore") for item in items]
    session.show_table(
        ("month", "events", "bytes", "archived", "file"),
        [(one.month, f"{one.rows:,}", f"{one.bytes:,}", local_time(one.created_at), one.file) for one in found],
    )


@app.command()
@platform_command
def run(session: Session) -> None:
    """Make files of the months that are old enough, now and not by night."""
    done = EventsArchived.model_validate(_result(session, ARCHIVE.type, {}))
    for month, events in done.months.items():
        session.say(f"{month} is a file of {events:,} events")
    if not done.months:
        session.say("no month is old enough that is not a file already, or was put back")


@app.command()
@platform_command
def restore(
    session: Session,
    month: Annotated[str, typer.Argument(metavar="MONTH", help="As `list` shows it: 2024-03, or old.")],
) -> None:
    """Put a month back into the database, where it stays for a week."""
    back = ArchiveRestored.model_validate(_result(session, RESTORE_ARCHIVE.type, {"month": month}))
    session.say(f"{back.month} is back with {back.rows:,} events, until {local_time(back.until)} at least")


def _result(session: Session, action: str, action_input: dict[str, str]) -> object:
    """What an action gives back. Ends the command when it fails."""
    ended = run_action(session, action, action_input)
    if ended.status is not RunStatus.COMPLETED:
        show_outcome(session, ended)
        raise typer.Exit(exit_code_of_run(ended))
    return ended.output
