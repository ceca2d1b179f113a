"""Bodies that are documents: JSON, or YAML 1.2 for people who write by hand."""

import asyncio
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from models.documents import read_json, read_yaml
from models.errors import TooLargeError

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
MAX_YAML_BYTES = 512 * 1024
"""YAML takes a hundred times as long to read as JSON."""

DOCUMENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"$ref": "/api/v1/schemas/workflow.json"}} for kind in ("application/json", YAML_TYPES[0])
        },
    }
}


async def _document(request: Request) -> Any:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == "application/json":
        return read_json(body)
    if kind not in YAML_TYPES:
        raise HTTPException(415, "Send a definition as application/json or application/yaml.")
    if len(body) > MAX_YAML_BYTES:
        raise TooLargeError(f"YAML may have {MAX_YAML_BYTES:,} bytes; send larger definitions as JSON.")
    return await asyncio.to_thread(read_yaml, body)


DocumentDep = Annotated[Any, Depends(_document)]
"""The posted document as a JSON value."""
