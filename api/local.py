"""Which requests come from a program on this machine."""

from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

_SIGNS_OF_A_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


def is_local(scope: Scope) -> bool:
    """Whether the peer is this machine itself, and not a proxy on it that speaks for somebody else."""
    client = scope.get("client")
    if client is None:
        return False
    try:
        loopback = ip_address(client[0]).is_loopback
    except ValueError:
        return False
    headers = Headers(scope=scope)
    return loopback and not any(sign in headers for sign in _SIGNS_OF_A_PROXY)
