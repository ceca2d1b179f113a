from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from models.errors import UnauthorizedError
from models.identity import Caller, Role
from services.identity.tokens import TokenReader

SECRET = "a secret of more than 32 bytes, for tests"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = int(NOW.timestamp()) + 60
GOOD = {"sub": "ada", "role": "learner", "exp": LATER}


def token(claims: dict[str, Any], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret), algorithms=[algorithm])


def test_a_token_speaks_for_its_subject() -> None:
    assert TokenReader(SECRET).read(token(GOOD), NOW) == Caller(user_id="ada", role=Role.LEARNER)


@pytest.mark.parametrize(
    "claims",
    [
        {**GOOD, "exp": int(NOW.timestamp()) - 1},
        {**GOOD, "exp": "soon"},
        {**GOOD, "exp": True},
        {**GOOD, "nbf": LATER},
        {**GOOD, "role": "root"},
        {**GOOD, "role": ["admin"]},
        {**GOOD, "sub": ""},
        {**GOOD, "sub": "../ada"},
        {**GOOD, "sub": 7},
        *({key: value for key, value in GOOD.items() if key != left_out} for left_out in GOOD),
    ],
)
def test_a_token_with_wrong_or_missing_claims_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError):
        TokenReader(SECRET).read(token(claims), NOW)


@pytest.mark.parametrize(
    "forged",
    [
        token(GOOD, secret=SECRET[::-1]),
        token(GOOD, algorithm="HS384"),
        token(GOOD)[:-4],
        token(GOOD).rpartition(".")[0] + ".",
        urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + "." + token(GOOD).split(".")[1] + ".",
        "",
        "..",
        "a.b.c",
        "é.é.é",
    ],
)
def test_a_forged_token_is_refused(forged: str) -> None:
    with pytest.raises(UnauthorizedError):
        TokenReader(SECRET).read(forged, NOW)


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        TokenReader(SECRET).read(text, NOW)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="TOOLOO_JWT_SECRET"):
        TokenReader("short")
