"""How commands that speak to the platform end: the one table."""

from enum import IntEnum
from http import HTTPStatus
from types import MappingProxyType

from cli.client.refusals import RefusedError
from models.errors import TooLooError


class ExitCode(IntEnum):
    """Exit status of a command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    UNREACHABLE = 5
    INVALID = 6
    INTERRUPTED = 130


MEANINGS = MappingProxyType(
    {
        ExitCode.OK: "done",
        ExitCode.FAILED: "the run ended other than completed, or the request was refused for another reason",
        ExitCode.USAGE: "the command line makes no sense",
        ExitCode.NOT_FOUND: "there is no such thing, or it is somebody else's",
        ExitCode.NOT_ALLOWED: "no key, a bad one, or one whose role is too small",
        ExitCode.UNREACHABLE: "the platform does not answer, or lacks a part it needs",
        ExitCode.INVALID: "the definition or the input is not valid",
        ExitCode.INTERRUPTED: "Ctrl-C; a run that was waited for goes on",
    }
)

_BY_STATUS = {
    HTTPStatus.NOT_FOUND: ExitCode.NOT_FOUND,
    HTTPStatus.UNAUTHORIZED: ExitCode.NOT_ALLOWED,
    HTTPStatus.FORBIDDEN: ExitCode.NOT_ALLOWED,
    HTTPStatus.UNPROCESSABLE_ENTITY: ExitCode.INVALID,
    HTTPStatus.BAD_GATEWAY: ExitCode.UNREACHABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: ExitCode.UNREACHABLE,
    HTTPStatus.GATEWAY_TIMEOUT: ExitCode.UNREACHABLE,
}


def exit_code_of(error: TooLooError) -> ExitCode:
    """How a command ends that met this error."""
    status = error.answered if isinstance(error, RefusedError) else error.status
    return _BY_STATUS.get(HTTPStatus(status), ExitCode.FAILED)


def exit_code_table() -> str:
    """The table for a help text; empty lines are what typer keeps as line breaks."""
    rows = [f"{code.value}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\n\n".join(["Exit codes of the commands that speak to the platform:", *rows])
