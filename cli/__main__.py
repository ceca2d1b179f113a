"""`./tooloo`: the list of sub-commands."""

import sys

import typer

from cli.client.exit_codes import exit_code_table
from cli.commands import (
    actions,
    answers,
    archive,
    bench,
    checks,
    definitions,
    keys,
    prepare,
    runs,
    search,
    secrets,
    stack,
)
from models.errors import TooLooError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A durable workflow platform on Temporal.",
    epilog=exit_code_table(),
)
app.command()(stack.up)
app.command()(stack.down)
app.command()(stack.status)
app.command()(stack.logs)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(checks.test)
app.command()(checks.check)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(bench.bench)
app.command()(definitions.apply)
app.command()(definitions.validate)
app.command()(definitions.graph)
app.command()(runs.run)
app.command()(runs.runs)
app.command()(runs.show)
app.command()(runs.cancel)
app.command()(answers.approvals)
app.command()(answers.approve)
app.command()(answers.reject)
app.command()(answers.signal)
app.command()(actions.action)
app.command()(actions.actions)
app.command()(search.search)
app.add_typer(keys.app, name="keys")
app.add_typer(secrets.app, name="secrets")
app.add_typer(archive.app, name="archive")
app.command(hidden=True)(prepare.prepare)


def main() -> None:
    """Run the command line; an error the user is meant to see ends it with status 1."""
    try:
        app()
    except TooLooError as error:
        typer.echo(f"tooloo: {error.detail}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
