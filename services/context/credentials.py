"""What is shown to a Git server so that it gives a private repository."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

_TOKEN_USER = "x-access-token"  # noqa: S105 - a name that everybody knows
"""The user that a token is sent for: GitHub asks for this name, GitLab and Gitea take any."""


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


Unlock = Callable[[], Credential | None]
"""Gives the credential to show. Called when something has to be fetched, and not before; may raise TooLooError."""


def no_credential() -> None:
    """For repositories that everybody may load."""
