"""Who is asking, decided before a byte of the body is read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.loader import Loader
from api.local import is_local
from models.errors import UnauthorizedError
from models.identity import Caller, Role
from models.persistence.database import autocommit
from services.identity.keys import KEY_PREFIX, find_callers, hash_key
from services.identity.tokens import TokenReader
from services.identity.users import ensure_user, user_exists

OPEN_PATHS = (
    "/docs",
    "/openapi.json",
    "/api/v1/health/live",
    "/api/v1/health/ready",
    "/api/v1/health/services",
    "/api/v1/analytics/badges-keys",
    "/api/v1/analytics/badges-status",
)
"""Answered without a key; the last two to whoever checks a credential."""
LOCAL_PATHS = ("/metrics", "/codec/encode", "/codec/decode", "/codec/download")
"""Answered without a key to programs on this machine."""


class Authentication:
    """Puts the caller into `scope["state"]["caller"]`, or refuses the request with 401.

    `authors` says whether the role author exists; without it, an author's key acts as a learner's.
    """

    def __init__(self, app: ASGIApp, database: AsyncEngine, tokens: TokenReader | None, *, authors: bool) -> None:
        self._app = app
        self._database = database
        self._lookups = autocommit(database)
        self._callers = Loader(self._find_callers)
        self._tokens = tokens
        self._authors = authors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; other kinds of connection have no routes."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            scope.setdefault("state", {})["caller"] = await self._identify(scope)
        await self._app(scope, receive, send)

    async def _identify(self, scope: Scope) -> Caller | None:
        authorization = Headers(scope=scope).get("authorization")
        if authorization is None:
            if scope["path"] in LOCAL_PATHS and is_local(scope):
                return None
            raise UnauthorizedError("Send an API key or a token: Authorization: Bearer <key>.")
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedError("Only the Authorization scheme Bearer is accepted.")
        caller = await self._read(credential.strip())
        if caller.role is Role.AUTHOR and not self._authors:
            return Caller(user_id=caller.user_id, role=Role.LEARNER)
        return caller

    async def _read(self, credential: str) -> Caller:
        if credential.startswith(KEY_PREFIX):
            caller = await self._callers.load(hash_key(credential.encode()))
            if caller is None:
                raise UnauthorizedError("The key is unknown, has expired or was revoked.")
            return caller
        if self._tokens is None:
            raise UnauthorizedError("The key is unknown, has expired or was revoked.")
        caller = self._tokens.read(credential, datetime.now(UTC))
        await self._know(caller)
        return caller

    async def _find_callers(self, key_hashes: Sequence[bytes]) -> Mapping[bytes, Caller]:
        async with self._lookups.connect() as connection:
            return await find_callers(connection, key_hashes)

    async def _know(self, caller: Caller) -> None:
        """A valid token names its user, who from then on exists: what they start and own refers to them."""
        async with self._lookups.connect() as connection:
            if await user_exists(connection, caller.user_id):
                return
        async with self._database.begin() as connection:
            await ensure_user(connection, caller.user_id, caller.role, actor_id=caller.user_id)
