"""What routes ask for: the caller with enough rights, and the parts the process was given."""

from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.parts import Parts
from models.actions import WORKFLOW_ROLES
from models.errors import ForbiddenError, UnauthorizedError
from models.identity import Caller, Role
from models.settings import Settings


class Require:
    """Gives the caller, who must have one of `roles`."""

    def __init__(self, roles: frozenset[Role]) -> None:
        self.roles = roles

    async def __call__(self, request: Request) -> Caller:
        """The caller. Raises ForbiddenError when the role is too small for the route."""
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is None:
            raise UnauthorizedError("Send an API key or a token: Authorization: Bearer <key>.")
        if caller.role not in self.roles:
            needed = " or ".join(sorted(self.roles))
            raise ForbiddenError(f"This needs the role {needed}; yours is {caller.role}.")
        return caller


class RequireUnlessLocal(Require):
    """Lets programs on this machine pass without a key: authentication has looked where they come from."""

    async def __call__(self, request: Request) -> Caller | None:  # pyright: ignore[reportIncompatibleMethodOverride]  # ty
        """The caller, None for a program on this machine that sent no key."""
        if getattr(request.state, "caller", None) is None:
            return None
        return await super().__call__(request)


def require(*roles: Role) -> Require:
    """A dependency that gives the caller: `Annotated[Caller, Depends(require(Role.ADMIN))]`."""
    return Require(frozenset(roles))


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _database(request: Request) -> AsyncEngine:
    return _parts(request).database


async def _lookups(request: Request) -> AsyncEngine:
    return _parts(request).autocommit


async def _temporal(request: Request) -> Client:
    return _parts(request).temporal


async def _settings(request: Request) -> Settings:
    return _parts(request).settings


async def _all_parts(request: Request) -> Parts:
    return _parts(request)


CallerDep = Annotated[Caller, Depends(Require(WORKFLOW_ROLES))]
"""Any role that may run workflows."""
AdminDep = Annotated[Caller, Depends(require(Role.ADMIN))]
DatabaseDep = Annotated[AsyncEngine, Depends(_database)]
LookupsDep = Annotated[AsyncEngine, Depends(_lookups)]
"""The database for a route that reads with a single statement."""
TemporalDep = Annotated[Client, Depends(_temporal)]
SettingsDep = Annotated[Settings, Depends(_settings)]
PartsDep = Annotated[Parts, Depends(_all_parts)]
