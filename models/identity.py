"""Who is asking."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from models.contract import Contract

UserId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$")]
SYSTEM_USER = "tooloo-system"
"""Owner of platform jobs."""


class Role(StrEnum):
    """CONTRACT 1: learner (own data), author (own definitions), admin (all), service (ingests events)."""

    LEARNER = "learner"
    AUTHOR = "author"
    ADMIN = "admin"
    SERVICE = "service"


SMALLEST_FIRST = (Role.SERVICE, Role.LEARNER, Role.AUTHOR, Role.ADMIN)


def smaller_role(one: Role, other: Role) -> Role:
    """The one that may do less."""
    return min(one, other, key=SMALLEST_FIRST.index)


class Caller(Contract):
    """The user and role a request or a run acts as."""

    user_id: str
    role: Role

    @property
    def sees_all(self) -> bool:
        """Whether other users' objects are visible."""
        return self.role is Role.ADMIN


SYSTEM = Caller(user_id=SYSTEM_USER, role=Role.ADMIN)
"""The platform itself."""


class NewKey(Contract):
    """Body of `POST /keys`."""

    user_id: UserId = Field(examples=["ada"])
    role: Role = Field(examples=["learner"])
    name: str = Field(min_length=1, max_length=200, examples=["laptop"])
    expires_at: AwareDatetime | None = None


class KeyInfo(Contract):
    """An API key as it is listed: everything but the secret."""

    id: str
    prefix: str
    user_id: str
    role: Role
    name: str
    created_at: datetime
    expires_at: datetime | None


class CreatedKey(KeyInfo):
    """The answer to `POST /keys`: the only time the key is shown."""

    key: str


class UserInfo(Contract):
    """A user as listed to admins."""

    id: str
    role: Role
    timezone: str | None
    created_at: datetime


class AuditEntry(Contract):
    """One change of state: who did what to which object."""

    id: int
    at: datetime
    actor_id: str
    action: str
    target: str
    detail: dict[str, object]
