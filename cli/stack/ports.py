"""TCP ports of this machine: free ones, and who holds a taken one."""

import socket

import psutil

from models.errors import ConflictError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a connection in TIME_WAIT is no holder
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens on the port, in words: `pid 4711 (nginx)`, as far as this user may know."""
    try:
        listening = [entry for entry in psutil.net_connections("tcp") if entry.status == psutil.CONN_LISTEN]
    except psutil.AccessDenied:
        return "another process"
    for entry in listening:
        if entry.laddr and entry.laddr.port == port and entry.pid:
            try:
                return f"pid {entry.pid} ({psutil.Process(entry.pid).name()})"
            except psutil.Error:
                return f"pid {entry.pid}"
    return "a process of another user"


def claim(wanted: int, variable: str, *, next_free: bool, taken: frozenset[int] = frozenset()) -> int:
    """The wanted port, or with `next_free` the first free one after it.

    Raises ConflictError naming the holder, the variable that sets the port and `--auto-ports`.
    """
    if next_free:
        return next(port for port in range(wanted, 65536) if port not in taken and is_free(port))
    if wanted in taken or not is_free(wanted):
        used_by = "another part of this stack" if wanted in taken else holder(wanted)
        raise ConflictError(
            f"port {wanted} is in use by {used_by}: stop it, set {variable} to another port, or use --auto-ports",
            code="port-in-use",
        )
    return wanted
