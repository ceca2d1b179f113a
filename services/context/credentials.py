"""What is shown to a Git server so that it gives a private repository."""

import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from models.errors import ForbiddenError
from services.context.addresses import parse_web_address

_TOKEN_USER = "x-access-token"  # noqa: S105 - a name that everybody knows
"""The user that a token is sent for: GitHub asks for this name, GitLab and Gitea take any."""


_PORT = re.compile(r":\d+$")


@dataclass(frozen=True)
class Credential:
    """A secret as Git servers take it: `user:password`, or a token, which has no colon."""

    secret: SecretStr

    @property
    def authorization(self) -> str:
        """The header's value (RFC 7617)."""
        value = self.secret.get_secret_value()
        pair = value if ":" in value else f"{_TOKEN_USER}:{value}"
        return f"Basic {b64encode(pair.encode()).decode('ascii')}"


def check_destination(name: str, host: str | None, source: str, forge_url: str) -> None:
    """Check that a secret is meant for the server of a repository: a workflow that others wrote may name any server.

    `host`: the one the secret is for, None for the forge. Raises ForbiddenError (`credential-not-for-host`).
    """
    asked = _with_port(source)
    meant = _with_port(forge_url) if host is None else host if _PORT.search(host) else f"{host}:443"
    if meant != asked:
        raise ForbiddenError(
            f"The secret {name} is for {meant} and not for {asked}: put one whose host is that.",
            code="credential-not-for-host",
        )


def _with_port(url: str) -> str:
    address = parse_web_address(url)
    return f"[{address.host}]:{address.port}" if ":" in address.host else f"{address.host}:{address.port}"


Unlock = Callable[[], Credential | None]
"""Gives the credential to show. Called when something has to be fetched, and not before; may raise TooLooError."""


def no_credential() -> None:
    """For repositories that everybody may load."""
