"""`keys create`, `keys list`, `keys revoke`: API keys, for admins."""

from datetime import datetime
from typing import Annotated

import typer

from cli.client.api import path
from cli.client.session import Session, platform_command
from cli.client.text import local_time
from models.identity import CreatedKey, KeyInfo, Role

app = typer.Typer(no_args_is_help=True, help="API keys, for admins.")


@app.command()
@platform_command
def create(
    session: Session,
    user: Annotated[str, typer.Argument(help="Whose key it is; made when new.")],
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    expires_at: Annotated[
        datetime | None,
        typer.Option("--expires-at", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"], help="A day here, or an instant."),
    ] = None,
) -> None:
    """Make a key. It is shown this once."""
    expiry = None if expires_at is None else expires_at.astimezone().isoformat()
    body = {"user_id": user, "role": role.value, "name": name, "expires_at": expiry}
    answer = session.platform.post(path("keys"), body)
    session.show_json(answer.content)
    made = CreatedKey.model_validate(answer.content, extra="ignore")
    session.say(made.key)
    session.say(f"{made.role.value} key of {made.user_id}; shown this once. {_expiry(made)}", style="dim")


@app.command("list")
@platform_command
def list_keys(session: Session) -> None:
    """Keys that were not revoked, newest first, without their secrets."""
    items = session.platform.items(path("keys"))
    session.show_json({"items": items})
    found = [KeyInfo.model_validate(item, extra="ignore") for item in items]
    session.show_table(
        ("id", "prefix", "user", "role", "name", "made", "expires"),
        [
            (
                one.id,
                one.prefix,
                one.user_id,
                one.role.value,
                one.name,
                local_time(one.created_at),
                local_time(one.expires_at) or "never",
            )
            for one in found
        ],
    )


@app.command()
@platform_command
def revoke(session: Session, key_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]) -> None:
    """Make a key useless at once."""
    session.platform.delete(path("keys", key_id))
    session.show_json({"revoked": key_id})
    session.say(f"key {key_id} is revoked")


def _expiry(key: KeyInfo) -> str:
    return "It does not expire." if key.expires_at is None else f"It expires {local_time(key.expires_at)}."
