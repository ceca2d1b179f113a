import gzip
import hashlib
import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from openbadgeslib.ob3 import OB3VerificationError, OB3Verifier

from models.badges import BADGES, Award, Badge
from services.analytics.open_badges import STATUS_BITS, Issuer

SECRET = "a master secret of more than 32 characters"
BASE = "https://tooloo.example"
STATUS_URL = f"{BASE}/api/v1/analytics/badges-status"
AWARDED_AT = datetime(2025, 3, 4, 5, 6, 7, 891_011, tzinfo=UTC)
AWARD_ID = "0198a5b0-5f0a-7c3e-9d55-0c6b7a1e2f33"
LEARNER = "ada-lovelace"
BADGE = BADGES[0]
ISSUER = Issuer(SECRET, BASE)


def an_award(**changes: Any) -> Award:
    award = Award(award_id=AWARD_ID, badge=BADGE.id, awarded_at=AWARDED_AT, event_id="e1")
    return award.model_copy(update=changes)


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims))


def public_pem(issuer: Issuer) -> str:
    return ECKey.import_key(issuer.jwks()["keys"][0]).as_pem(private=False).decode()


def verify_with_cryptography(token: str, issuer: Issuer) -> None:
    jwk = issuer.jwks()["keys"][0]
    x, y = (int.from_bytes(decoded(jwk[name]), "big") for name in "xy")
    signed, _, signature = token.rpartition(".")
    r, s = (int.from_bytes(half, "big") for half in (decoded(signature)[:32], decoded(signature)[32:]))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))


def bits_of(token: str) -> bytes:
    encoded = opened(token)[1]["credentialSubject"]["encodedList"]
    assert encoded[0] == "u"
    assert "=" not in encoded
    return gzip.decompress(decoded(encoded[1:]))


def set_places(bits: bytes) -> set[int]:
    return {place * 8 + bit for place, byte in enumerate(bits) if byte for bit in range(8) if byte & (128 >> bit)}


def test_other_libraries_verify_a_credential() -> None:
    token = ISSUER.credential(an_award(), BADGE, LEARNER, 7)
    verify_with_cryptography(token, ISSUER)
    read = OB3Verifier(public_pem(ISSUER)).verify(token)
    assert read.issuer.id == BASE
    assert read.achievement.name == BADGE.name
    assert read.issuance_date == AWARDED_AT.replace(microsecond=0)


def test_another_secret_is_another_key() -> None:
    token = ISSUER.credential(an_award(), BADGE, LEARNER, 7)
    other = Issuer(SECRET + "!", BASE)
    with pytest.raises(OB3VerificationError, match="Invalid signature"):
        OB3Verifier(public_pem(other)).verify(token)
    with pytest.raises(InvalidSignature):
        verify_with_cryptography(token, other)


def test_a_changed_credential_does_not_verify() -> None:
    header, _, signature = ISSUER.credential(an_award(), BADGE, LEARNER, 7).split(".")
    claims = ISSUER.credential(an_award(), BADGE, LEARNER, 8).split(".")[1]
    with pytest.raises(OB3VerificationError, match="Invalid signature"):
        OB3Verifier(public_pem(ISSUER)).verify(f"{header}.{claims}.{signature}")


def test_the_key_depends_on_nothing_but_the_secret_and_shows_no_private_part() -> None:
    assert Issuer(SECRET, BASE + "/").jwks() == ISSUER.jwks()
    (jwk,) = ISSUER.jwks()["keys"]
    assert (jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"]) == ("EC", "P-256", "ES256", "sig")
    assert "d" not in jwk
    assert jwk["x"] == "gAt8G-dAEeXfUvGdvpXaHLFaJhAkO5MM1qICbae9jAg"


def test_the_header_names_the_key() -> None:
    header, _ = opened(ISSUER.credential(an_award(), BADGE, LEARNER, 7))
    assert header == {"alg": "ES256", "typ": "JWT", "kid": ISSUER.jwks()["keys"][0]["kid"]}
    assert header["kid"].startswith(f"{BASE}/api/v1/analytics/badges-keys#")


def test_the_claims_are_the_credential_and_repeat_what_the_standard_wants_repeated() -> None:
    _, claims = opened(ISSUER.credential(an_award(), BADGE, LEARNER, 7))
    assert claims["type"] == ["VerifiableCredential", "OpenBadgeCredential"]
    assert claims["iss"] == claims["issuer"]["id"]
    assert claims["jti"] == claims["id"] == f"urn:uuid:{AWARD_ID}"
    assert claims["sub"] == claims["credentialSubject"]["id"]
    assert datetime.fromtimestamp(claims["nbf"], UTC) == datetime.fromisoformat(claims["validFrom"])
    assert claims["credentialSubject"]["achievement"]["id"] == f"{BASE}/api/v1/analytics/badges#{BADGE.id}"
    assert claims["credentialStatus"] == {
        "id": f"{STATUS_URL}#7",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "7",
        "statusListCredential": STATUS_URL,
    }


def test_the_learner_is_only_in_it_as_a_hash_of_their_own_for_each_award() -> None:
    header, claims = opened(ISSUER.credential(an_award(reason=f"for {LEARNER}"), BADGE, LEARNER, 7))
    assert LEARNER not in json.dumps([header, claims])
    (identity,) = claims["credentialSubject"]["identifier"]
    digest = hashlib.sha256((LEARNER + identity["salt"]).encode()).hexdigest()
    assert identity["identityHash"] == f"sha256${digest}"
    assert (identity["type"], identity["hashed"], identity["identityType"]) == ("IdentityObject", True, "identifier")
    _, others = opened(ISSUER.credential(an_award(award_id=AWARD_ID[:-1] + "4"), BADGE, LEARNER, 8))
    assert others["sub"] != claims["sub"]
    assert others["credentialSubject"]["identifier"][0]["identityHash"] != identity["identityHash"]


def test_a_credential_is_the_same_each_time_but_for_its_signature() -> None:
    first, second = (ISSUER.credential(an_award(), BADGE, LEARNER, 7) for _ in range(2))
    assert opened(first) == opened(second)


def test_a_badge_without_a_description_is_described_by_its_name() -> None:
    badge = Badge(id="plain", name="Plain", description="", rule=BADGE.rule)
    _, claims = opened(ISSUER.credential(an_award(badge="plain"), badge, LEARNER, 7))
    assert claims["credentialSubject"]["achievement"]["criteria"] == {"narrative": "Plain"}


def test_a_verifier_that_asks_for_the_status_rejects_just_the_revoked() -> None:
    served = ISSUER.status_list([7, 9], datetime.now(UTC)).encode()

    def download(url: str) -> bytes:
        assert url == STATUS_URL
        return served

    verifier = OB3Verifier(public_pem(ISSUER))
    for index in (6, 8, STATUS_BITS - 1):
        verifier.verify(ISSUER.credential(an_award(), BADGE, LEARNER, index), check_status=True, download=download)
    for index in (7, 9):
        with pytest.raises(OB3VerificationError, match="revocation"):
            verifier.verify(ISSUER.credential(an_award(), BADGE, LEARNER, index), check_status=True, download=download)


def test_a_status_list_of_another_key_or_of_yesterday_is_not_believed() -> None:
    verifier, token = OB3Verifier(public_pem(ISSUER)), ISSUER.credential(an_award(), BADGE, LEARNER, 7)
    forged = Issuer(SECRET + "!", BASE).status_list([], datetime.now(UTC)).encode()
    with pytest.raises(OB3VerificationError, match="signature"):
        verifier.verify(token, check_status=True, download=lambda _: forged)
    old = ISSUER.status_list([], datetime.now(UTC) - timedelta(days=2)).encode()
    with pytest.raises(OB3VerificationError, match="expired"):
        verifier.verify(token, check_status=True, download=lambda _: old)


@given(st.sets(st.integers(0, STATUS_BITS - 1), max_size=20))
def test_the_revoked_places_are_set_and_no_others(revoked: set[int]) -> None:
    bits = bits_of(ISSUER.status_list(revoked, AWARDED_AT))
    assert len(bits) * 8 == STATUS_BITS >= 131_072
    assert bits.count(0) >= len(bits) - len(revoked)
    assert {place for place in revoked if bits[place // 8] & (128 >> place % 8)} == revoked
    assert sum(byte.bit_count() for byte in bits if byte) == len(revoked)


def test_the_first_place_is_the_highest_bit() -> None:
    bits = bits_of(ISSUER.status_list([0, 15], AWARDED_AT))
    assert bits[:3] == bytes([0b1000_0000, 0b0000_0001, 0])
    assert set_places(bits) == {0, 15}


def test_a_status_list_is_dated_by_the_caller_alone() -> None:
    first, second = (ISSUER.status_list([3], AWARDED_AT) for _ in range(2))
    assert opened(first) == opened(second)
    verify_with_cryptography(first, ISSUER)
    _, claims = opened(first)
    assert claims["type"] == ["VerifiableCredential", "BitstringStatusListCredential"]
    assert claims["jti"] == claims["id"] == STATUS_URL
    assert datetime.fromisoformat(claims["validFrom"]).timestamp() == claims["nbf"]
    assert datetime.fromisoformat(claims["validUntil"]).timestamp() == claims["exp"] == claims["nbf"] + 86_400


@pytest.mark.parametrize("index", [-1, STATUS_BITS])
def test_a_place_that_the_list_does_not_have_is_refused(index: int) -> None:
    with pytest.raises(ValueError, match="place"):
        ISSUER.credential(an_award(), BADGE, LEARNER, index)
    with pytest.raises(ValueError, match="place"):
        ISSUER.status_list([index], AWARDED_AT)


def test_an_award_of_another_badge_is_refused() -> None:
    with pytest.raises(ValueError, match="the award is of"):
        ISSUER.credential(an_award(), BADGES[1], LEARNER, 7)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="TOOLOO_SECRET"):
        Issuer("short", BASE)
