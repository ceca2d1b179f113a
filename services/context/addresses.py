"""Which addresses TooLoo may call: public https, and exactly what an operator opened (CONTRACT 4).

Names are resolved once, every answer is vetted, and the connection goes to a vetted answer: a name that resolves
differently the second time gains nothing, and every spelling of an address is judged by what it resolves to.
"""

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from models.errors import InvalidInputError, UnavailableError

IpAddress = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Iterable[str]]

NAT64 = ip_network("64:ff9b::/96")
"""Globally reachable on paper, but leads to whatever IPv4 address its last 32 bits name."""

DEFAULT_PORTS = {"https": 443, "http": 80}
_OPENING = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+)):(?P<port>\d{1,5})")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True)
class WebAddress:
    """An http or https URL taken apart. Carries no credentials, query or fragment."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """`host`, with the port when it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """`scheme://host[:port]`."""
        return f"{self.scheme}://{self.authority}"


def _refused(detail: str) -> InvalidInputError:
    return InvalidInputError(detail, code="address-refused")


def parse_web_address(url: str) -> WebAddress:
    """Take a URL apart, or raise InvalidInputError (`address-refused`). Never repeats credentials in the message."""
    if _FORBIDDEN.search(url):
        raise _refused("the URL contains white space, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii") if ":" not in (parts.hostname or "") else None
    except ValueError as error:
        raise _refused("the URL cannot be read") from error
    host = parts.hostname if host is None else host
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise _refused("only https URLs can be called, such as https://example.org/owner/repo")
    if "@" in parts.netloc:
        raise _refused("the URL contains credentials: take them out")
    if parts.query or parts.fragment:
        raise _refused("the URL has a query or a fragment: take it out")
    return WebAddress(parts.scheme, host.lower(), DEFAULT_PORTS[parts.scheme] if port is None else port, parts.path)


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the public internet, whatever it is wrapped in."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(inner)
        # Teredo, and the deprecated IPv4-compatible form: tunnels to an IPv4 address of the sender's choice.
        if address.teredo is not None or int(address) < 2**32:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass(frozen=True)
class Opening:
    """One entry of `TOOLOO_ALLOW_ADDRESSES`: a host by name, or a network, and a port."""

    host: str
    network: IPv4Network | IPv6Network | None
    port: int

    @classmethod
    def parse(cls, entry: str) -> "Opening":
        """Read `host:port`, `CIDR:port`, `[IPv6]:port` or `[IPv6 CIDR]:port`; ValueError names a bad entry."""
        match = _OPENING.fullmatch(entry)
        if match is None or not 0 < int(match["port"]) < 2**16:
            msg = f"TOOLOO_ALLOW_ADDRESSES: {entry!r} is not host:port or CIDR:port"
            raise ValueError(msg)
        host = (match["v6"] or match["host"]).lower()
        try:
            network = ip_network(host)
        except ValueError:
            if "/" in host or match["v6"]:
                msg = f"TOOLOO_ALLOW_ADDRESSES: {entry!r} does not name a network"
                raise ValueError(msg) from None
            network = None
        return cls(host, network, int(match["port"]))

    def covers(self, host: str, address: IpAddress, port: int) -> bool:
        """Whether this entry opens `address`, which `host` resolved to, at `port`."""
        if port != self.port:
            return False
        return host == self.host if self.network is None else address in self.network


def resolve_by_system(host: str, port: int) -> Iterable[str]:
    """The addresses the operating system's resolver knows, each once, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return dict.fromkeys(str(entry[4][0]) for entry in found)


class AddressRules:
    """Decides about addresses. `opened` is `Settings.allow_addresses`; ValueError names an entry it cannot read."""

    def __init__(self, opened: Sequence[str], resolve: Resolver = resolve_by_system) -> None:
        self._openings = tuple(Opening.parse(entry) for entry in opened)
        self._resolve = resolve

    def vet(self, target: WebAddress) -> tuple[IpAddress, ...]:
        """Resolve once and give the addresses to connect to.

        Raises InvalidInputError (`address-refused`) when any of them may not be called, UnavailableError when the
        name cannot be resolved.
        """
        try:
            addresses = tuple(ip_address(text) for text in self._resolve(target.host, target.port))
        except (OSError, ValueError) as error:
            raise UnavailableError(f"the host {target.host} cannot be resolved") from error
        if not addresses:
            raise UnavailableError(f"the host {target.host} has no address")
        if not all(self._admits(target, address) for address in addresses):
            host = f"[{target.host}]" if ":" in target.host else target.host
            raise _refused(
                f"{target.origin} is not public https; an operator can open it by adding "
                f"{host}:{target.port} to TOOLOO_ALLOW_ADDRESSES"
            )
        return addresses

    def _admits(self, target: WebAddress, address: IpAddress) -> bool:
        if target.scheme == "https" and is_public(address):
            return True
        return any(opening.covers(target.host, address, target.port) for opening in self._openings)
