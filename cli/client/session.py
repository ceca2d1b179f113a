"""One command that speaks to the platform: its options, what it prints, how it ends."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.client.address import find_address, find_key
from cli.client.api import Platform
from cli.client.exit_codes import ExitCode, exit_code_of
from cli.client.refusals import document_of, lines_of
from cli.client.text import as_json, printable
from cli.stack.home import StackHome
from models.errors import TooLooError
from models.settings import Settings

P = ParamSpec("P")

_PIPE_COLUMNS = 1_000
"""Nobody's screen ends there: rows for other programs stay whole."""

_OPTIONS: dict[str, Any] = {
    "url": Annotated[
        str | None,
        typer.Option("--url", envvar="TOOLOO_URL", help="Address of the platform.", show_default="this machine's"),
    ],
    "key": Annotated[
        str | None,
        typer.Option("--key", envvar="TOOLOO_KEY", help="API key.", show_default="this machine's admin.key"),
    ],
    "json_only": Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")],
}


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    platform: Platform
    console: Console
    json_only: bool

    def show_json(self, content: Any) -> None:
        """The one JSON document of a command, when that is what was asked for."""
        if self.json_only:
            typer.echo(as_json(content))

    def say(self, text: str = "", style: str = "") -> None:
        """Text for people, with nothing of it taken as markup; silent when JSON was asked for."""
        if not self.json_only:
            self.console.print(Text(printable(text), style=style), soft_wrap=True)

    def show_table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows for people; silent when JSON was asked for."""
        if self.json_only:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.console.print(table)

    def report(self, error: TooLooError) -> ExitCode:
        """Say what went wrong: in JSON on stdout when that was asked for, else in lines on stderr."""
        self.show_json(document_of(error))
        if not self.json_only:
            for line in lines_of(error):
                typer.echo(line, err=True)
        return exit_code_of(error)


def platform_command(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """A command that gets a session, made of options `--url`, `--key` and `--json` that it is given beside its own."""
    invoke: Callable[..., None] = command  # its other parameters are what typer makes of its signature

    @wraps(command)
    def run(url: str | None, key: str | None, *, json_only: bool, **arguments: Any) -> None:
        home = StackHome(Settings().home.resolve())
        address = find_address(url, home)
        with Platform(address, find_key(key, home, address)) as platform:
            session = Session(platform, make_console(), json_only)
            try:
                invoke(session, **arguments)
            except TooLooError as error:
                raise typer.Exit(session.report(error)) from error

    own = list(inspect.signature(command).parameters.values())[1:]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=False if name == "json_only" else None, annotation=option
        )
        for name, option in _OPTIONS.items()
    ]
    run.__signature__ = inspect.Signature([*own, *options])  # pyright: ignore[reportAttributeAccessIssue] - what typer reads
    return run


def make_console() -> Console:
    """A console on stdout that cuts no line where there is no screen to fit."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPE_COLUMNS)
