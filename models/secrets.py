"""Secrets of users: put, listed by name, deleted, and never given back."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from models.contract import Contract
from models.definition import SLUG

MAX_SECRETS = 100
"""Of one user."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

SecretName = Annotated[str, StringConstraints(pattern=SLUG)]
_HOST = r"^(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$"
Host = Annotated[str, StringConstraints(to_lower=True, max_length=260, pattern=_HOST)]


def _one_line(value: SecretStr) -> SecretStr:
    if _CONTROL.search(value.get_secret_value()):
        raise ValueError("a secret has no control characters, such as the end of a line")
    return value


class NewSecret(Contract):
    """Body of `PUT /secrets/{name}`."""

    value: Annotated[SecretStr, Field(min_length=1, max_length=4_096), AfterValidator(_one_line)]
    host: Host | None = Field(
        default=None,
        description="The one server it is sent to, with the port when it is not 443; left out, the configured forge.",
        examples=["git.example.org"],
    )


class SecretInfo(Contract):
    """A secret as it is listed: everything but its value."""

    name: SecretName = Field(examples=["github"])
    host: str | None = Field(examples=["git.example.org"])
    """Null: the configured forge."""
    created_at: datetime
    updated_at: datetime
