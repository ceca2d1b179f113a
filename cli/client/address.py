"""Where the platform is, and which key opens it."""

import json
from contextlib import suppress
from ipaddress import ip_address

import httpx2
import typer

from cli.stack.home import StackHome

DEFAULT_ADDRESS = "http://127.0.0.1:3000"


def find_address(named: str | None, home: StackHome) -> str:
    """The address that was named, else of this machine's stack. Without a slash at its end.

    Raises typer.BadParameter when what was named is no http address.
    """
    address = (named or _address_of_stack(home) or DEFAULT_ADDRESS).rstrip("/")
    try:
        url = httpx2.URL(address)
    except httpx2.InvalidURL as error:
        raise typer.BadParameter(f"{address!r} is no address: {error}", param_hint="--url") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise typer.BadParameter(f"{address!r} is no address; it looks like {DEFAULT_ADDRESS}", param_hint="--url")
    return address


def find_key(named: str | None, home: StackHome, address: str) -> str | None:
    """The key that was named, else this machine's admin key — which is told to nobody but this machine.

    Raises typer.BadParameter for what cannot be a key.
    """
    key = (named or "").strip()
    if not key and is_loopback(address):
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            key = home.admin_key_file.read_text().strip()
    if not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("this is no key: it has characters that no key has", param_hint="--key")
    return key or None


def is_loopback(address: str) -> bool:
    """Whether the address leads to this very machine."""
    host = httpx2.URL(address).host
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _address_of_stack(home: StackHome) -> str | None:
    # Read as plain JSON: the model of a stack's state brings with it all that a stack is made of.
    with suppress(OSError, ValueError, KeyError, TypeError, StopIteration):
        state = json.loads(home.state_file.read_text())
        return next(part["address"] for part in state["parts"] if part["name"] == "api")
    return None
