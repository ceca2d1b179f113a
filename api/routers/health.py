"""Health, open to everyone: it says what works, never where or for whom."""

from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from api.dependencies import DatabaseDep, PartsDep, TemporalDep
from api.health import Readiness, ServicesHealth, check_dependencies, check_services
from api.routing import resource
from models.contract import Contract

router = resource("health")


class Alive(Contract):
    """The process answers."""

    alive: bool = True


@router.get("/health/live")
async def get_liveness() -> Alive:
    """Whether this process answers; nothing else is looked at."""
    return Alive()


@router.get("/health/ready", responses={503: {"model": Readiness, "description": "Something is away."}})
async def get_readiness(database: DatabaseDep, temporal: TemporalDep, response: Response) -> Readiness:
    """Whether PostgreSQL and Temporal answer, within two seconds."""
    readiness = await check_dependencies(database, temporal)
    if not readiness.ready:
        response.status_code = 503
    return readiness


@router.get("/health/services")
async def get_services_health(parts: PartsDep) -> ServicesHealth:
    """The nine services, the registered ones, and their workers. A worker counts for 75 seconds after it was last seen.

    While the database is away, only the nine are known.
    """
    try:
        foreign = {spec.service: spec.queue for spec in await parts.compiled.foreign_actions()}
    except (SQLAlchemyError, OSError):
        foreign = {}
    return await check_services(parts.temporal, datetime.now(UTC), foreign)
