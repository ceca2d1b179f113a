"""Counters of `flow.count`: how tests and authors see that a step was done once."""

from typing import Annotated

from fastapi import Depends, Path

from api.dependencies import DatabaseDep, require
from api.routing import resource
from models.flow import Counter
from models.identity import Caller, Role
from services.orchestration.counters import read_counter

router = resource("flow")


@router.get("/flow/counters/{key}")
async def get_counter(
    key: Annotated[str, Path(min_length=1, max_length=200)],
    _: Annotated[Caller, Depends(require(Role.AUTHOR, Role.ADMIN))],
    database: DatabaseDep,
) -> Counter:
    """A counter's value; one that nobody counted is zero."""
    async with database.connect() as connection:
        return await read_counter(connection, key)
