"""Processes of a stack whose supervisor was killed.

They are found by marks that only they carry, not by remembered pids, which may be somebody else's by now: what the
supervisor starts has the stack's home in its environment; PostgreSQL, which overwrites its environment, works in its
data directory.
"""

import contextlib
from collections.abc import Mapping

import psutil

from cli.stack.home import StackHome
from cli.stack.postgres import stop_strays

_HOME = "TOOLOO_SUPERVISED_HOME"
_PART = "TOOLOO_SUPERVISED_PART"
_GRACE_SECONDS = 10


def mark(home: StackHome, part: str) -> dict[str, str]:
    """Environment by which a process is known to be this part of this stack."""
    return {_HOME: str(home.path), _PART: part}


def find_orphans(home: StackHome) -> Mapping[str, psutil.Process]:
    """Marked processes by part, the eldest of each: those a part started itself carry its mark too."""
    found = sorted(_marked(home), key=lambda process: process.create_time(), reverse=True)
    return {process.environ().get(_PART, ""): process for process in found}


def stop_orphans(home: StackHome) -> int:
    """Stop all processes that a killed supervisor left, and wait for their end; how many there were.

    Only the holder of the stack's lock may call it.
    """
    orphans = _marked(home)
    for ending in (psutil.Process.terminate, psutil.Process.kill):
        for orphan in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                ending(orphan)
        psutil.wait_procs(orphans, timeout=_GRACE_SECONDS)
    return len(orphans) + stop_strays(home.data / "postgres")


def _marked(home: StackHome) -> list[psutil.Process]:
    marked: list[psutil.Process] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_HOME) == str(home.path):
                marked.append(process)
    return marked
