"""`./tooloo`: the list of sub-commands."""

import sys
from collections.abc import Collection
from importlib import import_module

import typer

from models.errors import TooLooError

_MODULES = {
    "up": "stack",
    "down": "stack",
    "status": "stack",
    "logs": "stack",
    "test": "checks",
    "check": "checks",
    "bench": "bench",
    "apply": "definitions",
    "validate": "definitions",
    "graph": "definitions",
    "run": "runs",
    "runs": "runs",
    "show": "runs",
    "cancel": "runs",
    "approvals": "answers",
    "approve": "answers",
    "reject": "answers",
    "signal": "answers",
    "action": "actions",
    "actions": "actions",
    "search": "search",
    "schedule": "schedule",
    "keys": "keys",
    "secrets": "secrets",
    "archive": "archive",
    "prepare": "prepare",
}
"""Of each command, in the order of the help: the module of `cli.commands` that has it, as a function or a group."""
_GROUPS = frozenset({"schedule", "keys", "secrets", "archive"})
_PASS_ON = frozenset({"test", "bench"})
"""Their arguments are for the program they start."""
_HIDDEN = frozenset({"prepare"})


def command_line(names: Collection[str] = _MODULES) -> typer.Typer:
    """The commands of these names, and nothing imported for others: who waits for one waits for its modules alone."""
    is_whole = len(names) == len(_MODULES)
    app = typer.Typer(
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="A durable workflow platform on Temporal.",
        epilog=import_module("cli.client.exit_codes").exit_code_table() if is_whole else None,
    )
    app.callback()(lambda: None)  # a single command would take the place of the list
    for name in names:
        module = import_module(f"cli.commands.{_MODULES[name]}")
        if name in _GROUPS:
            app.add_typer(module.app, name=name)
        else:
            settings = {"allow_extra_args": True, "ignore_unknown_options": True} if name in _PASS_ON else {}
            app.command(name, context_settings=settings, hidden=name in _HIDDEN)(getattr(module, name))
    return app


def main() -> None:
    """Run the command line; an error the user is meant to see ends it with status 1."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        app = command_line([first]) if first in _MODULES else command_line()
        app()
    except TooLooError as error:
        typer.echo(f"tooloo: {error.detail}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
