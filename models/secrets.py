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


def _one_line(value: SecretStr) -> SecretStr:
    if _CONTROL.search(value.get_secret_value()):
        raise ValueError("a secret has no control characters, such as the end of a line")
    return value


class NewSecret(Contract):
    """Body of `PUT /secrets/{name}`."""

    value: Annotated[SecretStr, Field(min_length=1, max_length=4_096), AfterValidator(_one_line)]


class SecretInfo(Contract):
    """A secret as it is listed: everything but its value."""

    name: SecretName = Field(examples=["github"])
    created_at: datetime
    updated_at: datetime
