"""`secrets put`, `secrets list`, `secrets delete`: what the key's user keeps for workers to use."""

import sys
from typing import Annotated

import typer

from cli.client.api import path
from cli.client.session import Session, platform_command
from cli.client.text import local_time
from models.secrets import SecretInfo

app = typer.Typer(no_args_is_help=True, help="Secrets, such as tokens for private repositories.")
_Name = Annotated[str, typer.Argument(metavar="NAME", help="What `credential` calls it, such as github.")]
_Host = Annotated[
    str | None, typer.Option(metavar="HOST", help="The one server it is sent to; the configured forge when left out.")
]


@app.command()
@platform_command
def put(session: Session, name: _Name, host: _Host = None) -> None:
    """Keep a secret, in place of the one of this name. Its value is asked for, or read from a pipe."""
    session.platform.put(path("secrets", name), {"value": _value()} | ({} if host is None else {"host": host}))
    session.show_json({"put": name})
    session.say(f"secret {name} is kept; it is never shown again")


@app.command("list")
@platform_command
def list_secrets(session: Session) -> None:
    """Secrets by name, without their values."""
    items = session.platform.items(path("secrets"))
    session.show_json({"items": items})
    found = [SecretInfo.model_validate(item, extra="ignore") for item in items]
    session.show_table(
        ("name", "for", "made", "last put"),
        [(one.name, one.host or "the forge", local_time(one.created_at), local_time(one.updated_at)) for one in found],
    )


@app.command()
@platform_command
def delete(session: Session, name: _Name) -> None:
    """Forget a secret."""
    session.platform.delete(path("secrets", name))
    session.show_json({"deleted": name})
    session.say(f"secret {name} is deleted")


def _value() -> str:
    """Never an argument: others on a machine can see the arguments of a command."""
    if sys.stdin.isatty():
        return typer.prompt("Value", hide_input=True, err=True)
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
