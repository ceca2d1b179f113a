"""Figures for Prometheus."""

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from api.dependencies import PartsDep, RequireUnlessLocal
from api.routing import resource
from models.identity import Caller, Role

router = resource("metrics", prefix="")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(
    _: Annotated[Caller | None, Depends(RequireUnlessLocal(frozenset(Role)))], parts: PartsDep
) -> Response:
    """Answers and latency by route, and the process. For programs on this machine, or with any key."""
    return Response(parts.metrics.render(), media_type="text/plain; version=0.0.4")
