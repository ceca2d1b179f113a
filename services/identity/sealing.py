"""Encrypting what is kept, by keys derived from the master secret: one for each purpose."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LEAST_SECRET_CHARACTERS = 32


class Seal:
    """Encrypts for one purpose. Raises ValueError for a master secret that is too short to be one."""

    def __init__(self, secret: str, purpose: bytes) -> None:
        if len(secret) < _LEAST_SECRET_CHARACTERS:
            raise ValueError(f"TOOLOO_SECRET must have at least {_LEAST_SECRET_CHARACTERS} characters")
        derived = HKDF(SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())
        self._fernet = Fernet(urlsafe_b64encode(derived))

    def seal(self, content: bytes) -> bytes:
        """The content, unreadable without the master secret."""
        return self._fernet.encrypt(content)

    def open(self, sealed: bytes) -> bytes | None:
        """The content again; None when it was altered, or sealed with another master secret or for another purpose."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            return None
