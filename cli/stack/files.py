"""Locks and private files that the processes of a stack share."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a lock between processes, waiting for it; it ends with the process at the latest."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def hold(path: Path) -> IO[str] | None:
    """Take a lock and write this process's id into its file, until the result is closed; None when somebody holds it.

    A process that holds the lock lives: the id in the file of a held lock can be trusted, unlike one in a mere file.
    """
    handle = path.open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    handle.truncate(0)
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def holder_of(path: Path) -> int | None:
    """Id of the process that holds the lock, or None."""
    with suppress(FileNotFoundError), path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = handle.read()
            return int(pid) if pid else None
    return None


def write_whole(path: Path, text: str) -> None:
    """Write a file that only this user may read, so that a reader sees all of it or what was there before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(text)
    partial.rename(path)
