"""Every error as an RFC 9457 problem: one shape, whatever went wrong."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from temporalio.service import RPCError, RPCStatusCode

from models.contract import Contract
from models.errors import InvalidInputError, NotFoundError, Problem, TooLooError, UnauthorizedError, UnavailableError
from models.persistence.database import is_connection_failure

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:tooloo:error:"
_NOWHERE = "There is nothing at this address."
_RETRY_AFTER_SECONDS = "1"
_AWAY = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,  # how the SDK says that time was over
    RPCStatusCode.RESOURCE_EXHAUSTED,
}
_VALIDATION_CODES = {"missing": "missing-field", "extra_forbidden": "unknown-field"}


class ProblemDocument(Contract):
    """What every error answer looks like (RFC 9457)."""

    type: str = Field(examples=["urn:tooloo:error:not-found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no such key."])
    code: str = Field(examples=["not-found"])
    errors: tuple[Problem, ...] = ()
    """Everything that is wrong with what was posted; never empty in a 422."""
    instance: str | None = None
    """Names the request in the logs; only where something broke on our side."""


def answer_problem(error: Exception, request_id: str | None = None) -> Response:
    """The answer to a request that ended with `error`; `request_id` is told where somebody has to look into it."""
    cause = error.__cause__
    if isinstance(error, HTTPException) and isinstance(cause, TooLooError):
        error = cause  # FastAPI turns whatever reading a body raises into a bare 400
    if isinstance(error, HTTPException) and error.status_code != HTTPStatus.NOT_FOUND:
        return _answer(_http_problem(error), dict(error.headers or {}))
    known = _known(error)
    document = ProblemDocument(
        type=_TYPE + known.code,
        title=known.title,
        status=known.status,
        detail=known.detail,
        code=known.code,
        errors=known.problems,
        instance=f"urn:tooloo:request:{request_id}" if request_id and known.status >= 500 else None,  # noqa: PLR2004 - a class of HTTP statuses
    )
    return _answer(document, _headers(known))


def is_unexpected(error: Exception) -> bool:
    """Whether the error is a fault of ours that somebody has to look into."""
    return not isinstance(error, HTTPException) and type(_known(error)) is TooLooError


def pointer(location: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _known(error: Exception) -> TooLooError:
    """The error as a caller may see it. Nothing of an unexpected one is shown."""
    match error:
        case TooLooError():
            return error
        case HTTPException():
            return NotFoundError(_NOWHERE)
        case RequestValidationError():
            return _validation_error(error.errors())
        case DBAPIError() if str(getattr(error.orig, "sqlstate", "") or "").startswith("22"):
            return InvalidInputError("A value in this request cannot be stored.")
        case _ if away := _what_is_away(error):
            return UnavailableError(f"{away} does not answer right now. Try again in a moment.")
        case _:
            return TooLooError("Something broke on our side. It has been logged under the request id of this answer.")


def _what_is_away(error: Exception) -> str | None:
    match error:
        case RPCError():
            return "Temporal" if error.status in _AWAY else None
        case RuntimeError() if str(error).startswith("Failed client connect"):  # how the SDK says so
            return "Temporal"
        case _:
            return "The database" if isinstance(error, PoolTimeoutError) or is_connection_failure(error) else None


def _validation_error(errors: Sequence[Mapping[str, Any]]) -> TooLooError:
    """Pointers go into the body (`/name`), or name where else it was: `/query/limit`, `/header/Idempotency-Key`."""
    if any(error["loc"][:1] == ("path",) for error in errors):
        return NotFoundError(_NOWHERE)  # an id that cannot exist is like one that does not
    problems = [
        Problem(
            pointer=pointer(error["loc"][1:] if error["loc"][:1] == ("body",) else error["loc"]),
            code=_validation_code(error["type"]),
            message=error["msg"],
            suggestion=error.get("ctx", {}).get("suggestion"),
        )
        for error in errors
    ]
    first = f"{problems[0].pointer or 'the body'}: {problems[0].message}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidInputError(f"The request is not valid: {first}{more}", problems=problems)


def _validation_code(kind: str) -> str:
    if kind.endswith(("_type", "_parsing")):
        return "type-mismatch"
    return _VALIDATION_CODES.get(kind, kind.replace("_", "-"))


def _http_problem(error: HTTPException) -> ProblemDocument:
    """What FastAPI and Starlette refuse by themselves: 400, 405, 415."""
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "-")
    detail = error.detail if error.detail != phrase else f"{HTTPStatus(error.status_code).description}."
    return ProblemDocument(type=_TYPE + code, title=phrase, status=error.status_code, detail=detail, code=code)


def _headers(error: TooLooError) -> dict[str, str]:
    match error:
        case UnauthorizedError():
            return {"WWW-Authenticate": 'Bearer realm="tooloo"'}
        case UnavailableError():
            return {"Retry-After": _RETRY_AFTER_SECONDS}
        case _:
            return {}


def _answer(document: ProblemDocument, headers: Mapping[str, str]) -> Response:
    content = document.model_dump_json(exclude_none=True)
    return Response(content, status_code=document.status, headers=headers, media_type=MEDIA_TYPE)
