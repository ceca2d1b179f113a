"""Where the program `temporal` comes from: the first way that works (DESIGN 9)."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from cli.stack.files import locked
from models.errors import UnavailableError

VERSION = "v1.5.1"
Say = Callable[[str], None]


def cached_program() -> Path:
    """Where we keep the program, whether or not it is there."""
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path(home) / ".cache")
    return cache / "tooloo" / f"temporal-{VERSION}" / "temporal"


def find_program(say: Say) -> Path:
    """The program, obtained when this machine lacks it. `say` is told what takes long.

    Raises UnavailableError with what was tried when there is no way to it.
    """
    installed = shutil.which("temporal")
    if installed:
        return Path(installed)
    program = cached_program()
    if program.exists():
        return program
    program.parent.mkdir(parents=True, exist_ok=True)
    with locked(program.parent / ".lock"):
        if not program.exists():
            _obtain(program, say)
    return program


def _obtain(program: Path, say: Say) -> None:
    refusals: list[str] = []
    for way in (_download, _build):
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            try:
                way(Path(folder), say).rename(program)
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                refusals.append(str(error).strip())
            else:
                return
    raise UnavailableError(
        f"no Temporal server: {'; '.join(refusals)}. Install the Temporal CLI so that `temporal` is on PATH, "
        "or set TEMPORAL_ADDRESS to a server of yours"
    )


def _download(folder: Path, say: Say) -> Path:
    """By the SDK, which can only download a server by starting it."""
    # Imported here: it costs every other command half a second.
    from temporalio.testing import WorkflowEnvironment  # noqa: PLC0415

    say(f"Temporal server {VERSION}: trying the SDK's download")

    async def start_and_stop() -> None:
        server = WorkflowEnvironment.start_local(
            download_dest_dir=str(folder), dev_server_download_version=VERSION, dev_server_log_level="error"
        )
        async with await server:
            pass

    try:
        asyncio.run(start_and_stop())
    except RuntimeError as error:
        raise RuntimeError(f"the SDK's download failed ({str(error)[:200]})") from error
    return next(folder.iterdir())


def _build(folder: Path, say: Say) -> Path:
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("Go, which could build it, is not on PATH")
    say(f"Temporal server {VERSION}: building it with Go; this takes about four minutes, once")
    # Without debug information the program is a third smaller.
    command = [go, "install", "-trimpath", "-ldflags=-s -w", f"github.com/temporalio/cli/cmd/temporal@{VERSION}"]
    home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    built = subprocess.run(  # noqa: S603 - our command line
        command,
        env=os.environ | {"HOME": home, "GOBIN": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode != 0:
        raise RuntimeError(f"`go install` failed ({built.stderr.strip()[-500:]})")
    return folder / "temporal"
