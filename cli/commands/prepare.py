"""`prepare`: what `up` and the compose file run once before everything else."""

import asyncio

import typer

from models.settings import Settings


def prepare() -> None:
    """Bring tables, Temporal's namespace and the first admin key up to date."""
    # Imported here: SQLAlchemy and Alembic cost every other command half a second.
    from cli.prepare import prepare as prepare_everything  # noqa: PLC0415

    asyncio.run(prepare_everything(Settings()))
    typer.echo("prepared")
