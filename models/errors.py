"""Errors that are part of the product. The API turns them into RFC 9457 problems, activities into failures."""

from collections.abc import Iterable
from typing import ClassVar

from models.contract import Contract


class Problem(Contract):
    """One thing that is wrong with what was posted, with its place and remedy."""

    pointer: str
    """JSON Pointer into what was posted; empty for the whole."""
    code: str
    message: str
    suggestion: str | None = None


class TooLooError(Exception):
    """Base of the errors a caller is meant to see."""

    status: ClassVar[int] = 500
    code: str = "internal"
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False
    """Whether an activity that ends with it is worth another attempt."""

    def __init__(self, detail: str, *, code: str | None = None, problems: Iterable[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.problems = tuple(problems)


class InvalidInputError(TooLooError):
    """422: what was posted cannot be accepted; every problem is listed."""

    status = 422
    code = "invalid-input"
    title = "Invalid input"

    def __init__(self, detail: str, *, problems: Iterable[Problem] = (), code: str | None = None) -> None:
        listed = tuple(problems) or (Problem(pointer="", code=code or type(self).code, message=detail),)
        super().__init__(detail, code=code, problems=listed)


class UnauthorizedError(TooLooError):
    """401: no key, or one that is unknown, expired or revoked."""

    status = 401
    code = "unauthorized"
    title = "Authentication required"


class ForbiddenError(TooLooError):
    """403: the role is too small for the route or the action."""

    status = 403
    code = "forbidden"
    title = "Not allowed"


class NotFoundError(TooLooError):
    """404: missing, or somebody else's: the two are not told apart."""

    status = 404
    code = "not-found"
    title = "Not found"


class ConflictError(TooLooError):
    """409: the state does not allow it now."""

    status = 409
    code = "conflict"
    title = "Conflict"


class TooLargeError(TooLooError):
    """413: more than a limit allows."""

    status = 413
    code = "too-large"
    title = "Too large"


class UnavailableError(TooLooError):
    """503: something TooLoo depends on does not answer; trying again may help."""

    status = 503
    code = "unavailable"
    title = "Unavailable"
    retryable = True
