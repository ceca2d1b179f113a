"""Awards as Open Badges 3.0 that anybody can check without asking the platform, and the list of the revoked ones.

openbadgeslib builds the credential. joserfc signs it, since openbadgeslib's signer puts the key itself into the header
(`jwk`) and takes no `kid`. The status list is built here: openbadgeslib writes the clock's time into the GZIP header.

The key is P-256: joserfc warns of `EdDSA` (RFC 9864), and openbadgeslib does not verify its successor `Ed25519`.
"""

import gzip
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey
from openbadgeslib import ob3

from models.badges import Award, Badge

STATUS_BITS = 8_388_608
"""Awards that the status list has room for: 1 MiB before GZIP. The W3C asks for 131,072 or more, and a list that grew
would leave verifiers that hold an old copy without the newer places."""
STATUS_VALIDITY = timedelta(days=1)
"""How long a status list may be believed: a revocation cannot be hidden for longer by serving an old copy."""

_ALGORITHM = "ES256"
_LEAST_SECRET_CHARACTERS = 32
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SCALAR_BYTES = 48
"""16 more than the order has, so that the remainder prefers no key (FIPS 186-5, A.2.1)."""


class Issuer:
    """The platform as the issuer of its badges.

    Args:
        secret: The master secret. The key is derived from it, so nothing is stored, and credentials that were signed
            before the secret changed do not verify afterwards.
        base_url: `https://…`, as it is reached from outside: credentials name it for as long as they exist.

    Raises:
        ValueError: The secret is too short to be one.
    """

    def __init__(self, secret: str, base_url: str) -> None:
        if len(secret) < _LEAST_SECRET_CHARACTERS:
            raise ValueError(f"TOOLOO_SECRET must have at least {_LEAST_SECRET_CHARACTERS} characters")
        self._base = base_url.rstrip("/")
        self._badges_url = f"{self._base}/api/v1/analytics/badges"
        self._status_url = f"{self._base}/api/v1/analytics/badges-status"
        self._key = _key(secret)
        self._kid = f"{self._base}/api/v1/analytics/badges-keys#{self._key.thumbprint()}"

    def jwks(self) -> dict[str, Any]:
        """The public key, as it is served at `badges-keys`. Its `kid` is the address that credentials name."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._kid, "alg": _ALGORITHM, "use": "sig"}]}

    def credential(self, award: Award, badge: Badge, recipient: str, status_index: int) -> str:
        """An award as a signed OpenBadgeCredential, a compact JWS. It does not say whether the award is revoked.

        The recipient's id is only in it as a salted hash: who knows the id can confirm it. The salt is in the
        credential too, as the standard has it, so ids that are easily guessed can be found by trying.

        Args:
            award: What was awarded.
            badge: The badge that it names.
            recipient: The learner's id.
            status_index: The award's place in the status list, which no other award may have.

        Raises:
            ValueError: The award is of another badge, or the place is not in the list.
        """
        if award.badge != badge.id:
            raise ValueError(f"the award is of {award.badge}, not of {badge.id}")
        if not 0 <= status_index < STATUS_BITS:
            raise ValueError(f"the place in the status list must be between 0 and {STATUS_BITS - 1}")
        credential_id = f"urn:uuid:{award.award_id}"
        credential = ob3.OpenBadgeCredential(
            id=credential_id,
            issuer=ob3.Issuer(id=self._base, name="TooLoo", url=self._base),
            recipient_id=_subject_id(credential_id),
            identifiers=[ob3.IdentityObject.create(recipient, salt=award.award_id, identity_type="identifier")],
            achievement=self._achievement(badge),
            issuance_date=award.awarded_at.replace(microsecond=0),
            credential_status=[ob3.status_entry(self._status_url, "revocation", status_index)],
        )
        return self._sign(credential.to_jwt_payload())

    def status_list(self, revoked: Iterable[int], at: datetime) -> str:
        """Which places are revoked, as a signed BitstringStatusListCredential, a compact JWS.

        Args:
            revoked: Places in the list.
            at: Now: the list is valid from then on, for `STATUS_VALIDITY`.

        Raises:
            ValueError: A place is not in the list.
        """
        start = at.replace(microsecond=0)
        end = start + STATUS_VALIDITY
        return self._sign(
            {
                "@context": [ob3.VCDM_V2_CONTEXT],
                "id": self._status_url,
                "type": ["VerifiableCredential", "BitstringStatusListCredential"],
                "issuer": self._base,
                "validFrom": start.isoformat(),
                "validUntil": end.isoformat(),
                "credentialSubject": {
                    "id": f"{self._status_url}#list",
                    "type": "BitstringStatusList",
                    "statusPurpose": "revocation",
                    "encodedList": _encoded(revoked),
                },
                "iss": self._base,
                "jti": self._status_url,
                "nbf": int(start.timestamp()),
                "exp": int(end.timestamp()),
            }
        )

    def _achievement(self, badge: Badge) -> ob3.Achievement:
        says = badge.description or badge.name
        return ob3.Achievement(
            id=f"{self._badges_url}#{badge.id}",
            name=badge.name,
            description=says,
            criteria_narrative=says,
            achievement_type="Badge",
        )

    def _sign(self, claims: dict[str, Any]) -> str:
        header = {"alg": _ALGORITHM, "typ": "JWT", "kid": self._kid}
        return jwt.encode(header, claims, self._key, algorithms=[_ALGORITHM])


def _key(secret: str) -> ECKey:
    derived = HKDF(SHA256(), length=_SCALAR_BYTES, salt=None, info=b"tooloo open badges").derive(secret.encode())
    scalar = int.from_bytes(derived, "big") % (_P256_ORDER - 1) + 1
    return ECKey.import_key(ec.derive_private_key(scalar, ec.SECP256R1()))


def _subject_id(credential_id: str) -> str:
    """Stands for the learner in one credential only. Verifiers want a `sub`, and must not tie badges together by it."""
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{credential_id}#subject')}"


def _encoded(revoked: Iterable[int]) -> str:
    """Bitstring Status List 1.0: the first place is the highest bit of the first byte; multibase `u` is base64url."""
    bits = bytearray(STATUS_BITS // 8)
    for index in revoked:
        if not 0 <= index < STATUS_BITS:
            raise ValueError(f"the place in the status list must be between 0 and {STATUS_BITS - 1}")
        bits[index // 8] |= 0x80 >> index % 8
    return "u" + urlsafe_b64encode(gzip.compress(bits, mtime=0)).decode().rstrip("=")
