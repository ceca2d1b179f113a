"""The `Idempotency-Key` of a request, as routes ask for it."""

from typing import Annotated

from fastapi import Depends, Header, Request

from api.dependencies import PartsDep
from api.idempotency import HEADER, Idempotency
from models.identity import Caller

_Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same key and body within 24 hours, the request gets its first answer.",
        examples=["2f1c7c1e-order-7"],
    ),
]


async def _idempotency(request: Request, parts: PartsDep, key: _Key = None) -> Idempotency:
    caller: Caller = request.state.caller
    route = f"{request.method} {request.url.path}"
    return Idempotency(parts.seal, caller.user_id, route, key, await request.body())


IdempotencyDep = Annotated[Idempotency, Depends(_idempotency)]
"""For every POST that starts or creates: `answer = await idempotency.answer_once(connection, create)`."""
