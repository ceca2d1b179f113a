"""JSON Web Tokens of an operator's own login: HS256 with a shared secret, nothing else is accepted."""

from datetime import datetime

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ValidationError

from models.errors import UnauthorizedError
from models.identity import Caller, Role, UserId

_LEAST_SECRET_BYTES = 32
"""RFC 7518 section 3.2: a key for HS256 is at least as long as its hash."""


class _Claims(BaseModel):
    sub: UserId
    role: Role
    exp: float


class TokenReader:
    """Reads tokens signed with one secret. Raises ValueError for a secret that is too short to be one."""

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < _LEAST_SECRET_BYTES:
            raise ValueError(f"TOOLOO_JWT_SECRET must have at least {_LEAST_SECRET_BYTES} bytes")
        self._key = OctKey.import_key(secret.encode())

    def read(self, token: str, now: datetime) -> Caller:
        """Whom a token speaks for. Raises UnauthorizedError, which does not say what is wrong with a forged one."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
            jwt.JWTClaimsRegistry(now=int(now.timestamp())).validate(claims)
            known = _Claims.model_validate(claims, strict=False)
        except (JoseError, ValidationError, ValueError) as error:
            raise UnauthorizedError("The token is not valid, or it has expired.") from error
        return Caller(user_id=known.sub, role=known.role)
