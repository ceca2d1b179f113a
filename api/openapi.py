"""The OpenAPI document: what FastAPI finds out by itself, plus security and problems on every operation."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.answer_examples import ANSWERS
from api.middleware.authentication import LOCAL_PATHS, OPEN_PATHS
from api.problems import MEDIA_TYPE, ProblemDocument

_DESCRIPTION = """Durable workflows for a product that teaches programming.

Send `Authorization: Bearer <key>`; `./tooloo up` leaves the first admin key in `.tooloo/admin.key`.
Errors are problems (RFC 9457); in `errors`, pointers go into the posted body, or say where else it was:
`/query/limit`, `/header/Idempotency-Key`. Every answer carries an `X-Request-Id`, which may be sent along."""
_REFERENCE = {"$ref": "#/components/schemas/ProblemDocument"}
_SCHEMAS = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """The document of the routes that `app` has now."""
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    schema = ProblemDocument.model_json_schema(mode="serialization", ref_template=_SCHEMAS)
    schemas = components.setdefault("schemas", {})
    schemas.update(schema.pop("$defs"))
    schemas["ProblemDocument"] = schema
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "description": "API key or JWT."}}
    for path, operation in _operations(document):
        _complete(path, operation)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.get("paths", {}).items():
        for operation in item.values():
            yield path, operation


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    for status, description in _problems(path, operation):
        documented = responses.setdefault(status, {"description": description})
        documented.setdefault("content", {MEDIA_TYPE: {"schema": _REFERENCE}})
    if (example := ANSWERS.get(operation["operationId"])) is not None:
        for status in ("200", "201", "202"):
            for content in responses.get(status, {}).get("content", {}).values():
                content["example"] = example
    if path not in OPEN_PATHS:
        optional = [{}] if path in LOCAL_PATHS else []
        operation["security"] = [*optional, {"bearer": []}]


def _problems(path: str, operation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The problems an operation can answer with, as far as its shape tells."""
    parameters = operation.get("parameters", ())
    posts_body = "requestBody" in operation
    if path not in OPEN_PATHS:
        yield "401", "No key or token, or none that is valid."
        yield "403", "The role is too small."
    if any(parameter["in"] == "path" for parameter in parameters):
        yield "404", "Missing, or somebody else's."
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        yield "409", "The state does not allow it now, or the Idempotency-Key is in flight."
    if posts_body:
        yield "413", "More than 2 MiB."
        yield "415", "Not JSON."
    if posts_body or parameters:
        yield "422", "Not acceptable; `errors` lists everything."
    yield "500", "A fault on our side, logged under `instance`."
    yield "503", "PostgreSQL or Temporal is away; see Retry-After."
