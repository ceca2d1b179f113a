"""Which of its documents a report is served as."""

from enum import StrEnum

from models.errors import InvalidInputError

CONTENT_SECURITY_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Enough for the HTML document, which brings its style and loads nothing. The page states it itself as well."""


class Format(StrEnum):
    """The documents of a report. JSON is served unless something else is asked for."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"

    @property
    def media_type(self) -> str:
        """The `Content-Type` it is served with."""
        return f"{_MEDIA_TYPES[self]}; charset=utf-8" if self is not Format.JSON else _MEDIA_TYPES[self]


_MEDIA_TYPES = {Format.JSON: "application/json", Format.HTML: "text/html", Format.MARKDOWN: "text/markdown"}


def choose_format(name: str | None, accept: str | None) -> Format:
    """The format named by `?format=`, else the one the `Accept` header (RFC 9110) prefers, else JSON.

    Raises InvalidInputError for a name that is none.
    """
    if name is not None:
        try:
            return Format(name)
        except ValueError:
            known = ", ".join(Format)
            raise InvalidInputError(f"there is no report format {name!r}: use one of {known}") from None
    if not accept:
        return Format.JSON
    ranges = _media_ranges(accept)
    best = max(Format, key=lambda item: _quality(_MEDIA_TYPES[item], ranges))  # the first of equals
    return best if _quality(_MEDIA_TYPES[best], ranges) > 0 else Format.JSON


def _media_ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (item.strip().lower() for item in part.split(";"))
        weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
        try:
            ranges[media] = float(weights[0]) if weights else 1.0
        except ValueError:
            ranges[media] = 0.0
    return ranges


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """Weight of the most specific range that names the type; 0 when none does."""
    kind = media_type.partition("/")[0]
    return next((ranges[name] for name in (media_type, f"{kind}/*", "*/*") if name in ranges), 0.0)
