"""Answers kept for a while, each under the version it was made from: one that is outdated is never given."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response

_MOST = 10_000
"""Answers; then the one that was asked for longest ago goes."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer as it goes out."""

    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> "CachedAnswer":
        """An answer with its ETag."""
        return cls(body, f'"{blake2b(body, digest_size=12).hexdigest()}"')

    def response(self, request: Request) -> Response:
        """The answer, or 304 to whoever has it. Caches on the way keep it for its caller only, and ask each time."""
        headers = {"ETag": self.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
        known = request.headers.get("if-none-match", "")
        if self.etag in [tag.strip().removeprefix("W/") for tag in known.split(",")]:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type="application/json")


class VersionedCache:
    """Answers of this process by key; the version, read from PostgreSQL, says whether one still holds."""

    def __init__(self, seconds: float, most: int = _MOST) -> None:
        self._seconds = seconds
        self._most = most
        self._answers: OrderedDict[Hashable, tuple[Hashable, float, CachedAnswer]] = OrderedDict()

    def find(self, key: Hashable, version: Hashable) -> CachedAnswer | None:
        """What is kept under the key, if it is of this version and not too old."""
        kept = self._answers.get(key)
        if kept is None or kept[0] != version or monotonic() - kept[1] >= self._seconds:
            return None
        self._answers.move_to_end(key)
        return kept[2]

    def keep(self, key: Hashable, version: Hashable, body: bytes) -> CachedAnswer:
        """Keep an answer."""
        answer = CachedAnswer.of(body)
        self._answers[key] = (version, monotonic(), answer)
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
        return answer
