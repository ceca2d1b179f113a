"""What the platform refuses and why: problem documents (RFC 9457) as errors, and as text."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Protocol

import httpx2
from pydantic import TypeAdapter, ValidationError

from cli.client.text import printable
from models.errors import Problem, TooLooError, UnavailableError

_PROBLEMS = TypeAdapter(tuple[Problem, ...])
_KEY_REMEDY = "Name a key by --key or TOOLOO_KEY; on the machine of `./tooloo up` its admin.key is used by itself."


class PlacedProblem(Problem):
    """A problem and its place in a file; lines and columns begin with 1."""

    file: str
    line: int
    column: int


class Locator(Protocol):
    """Knows where in a file the parts of a posted document stand."""

    def place(self, problem: Problem) -> Problem:
        """The problem with its place, or as it is."""
        ...


class RefusedError(TooLooError):
    """The platform answered with a problem document."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.answered = status
        self.document = dict(document)
        detail = str(document.get("detail") or document.get("title") or f"The platform answered {status}.")
        super().__init__(detail, code=str(document.get("code", status)), problems=_problems(document))


class UnreachableError(UnavailableError):
    """Nothing that speaks as the platform does is at the address."""

    code = "unreachable"
    title = "Cannot reach the platform"


def refusal(response: httpx2.Response) -> TooLooError:
    """The error that an answer other than a success stands for."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if not isinstance(document, dict) or "title" not in document:
        address = response.request.url
        return UnreachableError(
            f"{address.copy_with(query=None)} answered {response.status_code}, not as TooLoo does. "
            "Is this its address? It is named by --url or TOOLOO_URL."
        )
    return RefusedError(response.status_code, document)


@contextmanager
def placed_by(locator: Locator) -> Generator[None]:
    """Problems of errors raised inside are given their places."""
    try:
        yield
    except TooLooError as error:
        error.problems = tuple(map(locator.place, error.problems))
        raise


def document_of(error: TooLooError) -> dict[str, Any]:
    """The error as a problem document, with the places that are known."""
    if isinstance(error, RefusedError):
        document = error.document
    else:
        document = {
            "type": f"urn:tooloo:error:{error.code}",
            "title": error.title,
            "detail": error.detail,
            "code": error.code,
        }
    if not error.problems:
        return document
    return {**document, "errors": [problem.model_dump(exclude_none=True) for problem in error.problems]}


def lines_of(error: TooLooError) -> list[str]:
    """The error for people: what happened, then each problem as `file:line:column  code  message  suggestion`."""
    lines = [f"tooloo: {error.detail}"]
    lines += [line_of(problem) for problem in error.problems if problem.pointer or problem.message != error.detail]
    if isinstance(error, RefusedError) and error.answered == HTTPStatus.UNAUTHORIZED:
        lines.append(_KEY_REMEDY)
    return [printable(line) for line in lines]


def line_of(problem: Problem) -> str:
    """A problem in one line."""
    in_file = isinstance(problem, PlacedProblem)
    place = f"{problem.file}:{problem.line}:{problem.column}" if in_file else problem.pointer
    parts = (place, problem.code, problem.message, problem.suggestion)
    return "  ".join(" ".join(part.split()) for part in parts if part)


def _problems(document: Mapping[str, Any]) -> tuple[Problem, ...]:
    try:
        return _PROBLEMS.validate_python(document.get("errors", ()), extra="ignore")
    except ValidationError:  # not ours; its detail is shown all the same
        return ()
