"""`up`, `down`, `status`, `logs`: the local stack."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.stack.background import start_in_background, stop_stack
from cli.stack.display import StackDisplay, part_table, summary
from cli.stack.files import hold, holder_of
from cli.stack.home import StackHome
from cli.stack.orphans import stop_orphans
from cli.stack.parts import PART_NAMES, StackSettings, choose_ports, compose_stack, uses_own_temporal
from cli.stack.serve import serve
from cli.stack.state import read_state
from cli.stack.temporal_program import find_program
from models.errors import ConflictError, NotFoundError, UnavailableError
from models.settings import Settings

_PUBLIC_FIELDS = {"name", "state", "address", "pid", "log"}
_FOLLOW_SECONDS = 0.2
_LAST_LINES = 200


def up(
    repos: Annotated[list[Path] | None, typer.Option(help="A folder whose repositories may be loaded by path.")] = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything runs; `down` stops it.")] = False,
    auto_ports: Annotated[bool, typer.Option("--auto-ports", help="Where a port is taken, use the next free.")] = False,
) -> None:
    """Start the whole platform, run the example, and serve until Ctrl-C. Ends 1 when that fails."""
    home = _home()
    home.create()
    roots = [folder.resolve() for folder in repos or []]
    for folder in roots:
        if not folder.is_dir():
            raise NotFoundError(f"--repos {folder}: there is no such folder")
    if holder_of(home.lock_file) is not None:
        state = read_state(home, PART_NAMES)
        typer.echo("TooLoo runs already." if state.serving else "TooLoo is being started or stopped already.")
        typer.echo(summary(state))
    elif detach:
        _start_in_background(home, roots, auto_ports=auto_ports)
    else:
        _serve_here(home, roots, auto_ports=auto_ports)


def down() -> None:
    """Stop the platform, and whatever a killed one left. Data stays."""
    home = _home()
    stopped = home.path.exists() and stop_stack(home)
    typer.echo("TooLoo is stopped." if stopped else "Nothing was running.")


def status(*, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """How each part is. Ends 0 only when all of them run."""
    state = read_state(_home(), PART_NAMES)
    if as_json:
        parts = [part.model_dump(mode="json", include=_PUBLIC_FIELDS) for part in state.parts]
        typer.echo(json.dumps({"healthy": state.healthy, "parts": parts}, indent=2))
    else:
        Console().print(part_table(state.parts))
        if state.links:
            typer.echo(f"\n{summary(state)}")
    raise typer.Exit(0 if state.healthy else 1)


def logs(
    part: Annotated[str | None, typer.Argument(help="api, postgres, temporal, worker-…; all without it.")] = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """The last lines of a part's log, or of all."""
    home = _home()
    files = [home.log_of(part)] if part else sorted(home.logs.glob("*.log"))
    if part and not files[0].exists():
        known = ", ".join(sorted(path.stem for path in home.logs.glob("*.log"))) or "none yet"
        raise NotFoundError(f"there is no log of {part}; there are: {known}")
    places = {path: _print_end(path, named=part is None) for path in files}
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        places = {path: _print_from(path, place, named=part is None) for path, place in places.items()}


def _home() -> StackHome:
    return StackHome(Settings().home.resolve())


def _start_in_background(home: StackHome, roots: list[Path], *, auto_ports: bool) -> None:
    options = [word for root in roots for word in ("--repos", str(root))] + ["--auto-ports"] * auto_ports
    with StackDisplay(Console()) as display:
        if not uses_own_temporal(os.environ):
            find_program(display.say)  # here, where its minutes are seen
        state = start_in_background(home, options, display)
    typer.echo(f"\n{summary(state)}\n\nTooLoo runs in the background; ./tooloo down stops it.")
    if state.failure:
        raise UnavailableError(state.failure)


def _serve_here(home: StackHome, roots: list[Path], *, auto_ports: bool) -> None:
    held = hold(home.lock_file)
    if held is None:
        raise ConflictError("another ./tooloo up has begun at this moment")
    settings = Settings()
    with held, StackDisplay(Console()) as display:
        if left := stop_orphans(home):
            display.say(f"Stopped {left} processes that an earlier stack left.")
        own_temporal = uses_own_temporal(os.environ)
        ports = choose_ports(settings, StackSettings(), own_temporal=own_temporal, next_free=auto_ports)
        stack = compose_stack(settings, home, ports, [*settings.repo_roots, *roots], display.say)
        failure = asyncio.run(serve(stack, home, display))
    if failure is not None:
        raise UnavailableError(failure)


def _print_end(path: Path, *, named: bool) -> int:
    lines = path.read_bytes().splitlines(keepends=True)
    _print_lines(path, b"".join(lines[-_LAST_LINES:]), named=named)
    return sum(map(len, lines))


def _print_from(path: Path, place: int, *, named: bool) -> int:
    with path.open("rb") as file:
        file.seek(place if path.stat().st_size >= place else 0)  # a log that was put aside begins anew
        _print_lines(path, file.read(), named=named)
        return file.tell()


def _print_lines(path: Path, text: bytes, *, named: bool) -> None:
    for line in text.decode(errors="replace").splitlines():
        typer.echo(f"{path.stem}: {line}" if named else line)
