"""The facade, put together from the parts it is given."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import Client

from api.cache import VersionedCache
from api.idempotency import AnswerSeal
from api.loader import Loader
from api.metrics import HttpMetrics
from api.middleware.authentication import Authentication
from api.middleware.codec_origin import CodecOrigin
from api.middleware.errors import Errors
from api.middleware.limits import Limits
from api.middleware.requests import Requests
from api.openapi import describe
from api.parts import Parts
from api.problems import answer_problem
from api.routers import (
    actions,
    activity,
    analytics,
    approvals,
    audit,
    badges,
    codec,
    executions,
    flow,
    health,
    keys,
    metrics,
    reports,
    repositories,
    runs,
    schemas,
    search,
    secrets,
    services,
    symbols,
    tasks,
    users,
    workflows,
)
from api.step_reports import StepReports
from models.persistence.database import autocommit
from models.persistence.values import BlobStore
from models.settings import Settings
from services.analytics.ingest import Ingest
from services.analytics.learners import LearnerVersion, find_versions
from services.analytics.open_badges import Issuer
from services.context.parsers import Parsers
from services.context.search.searching import SearchService
from services.identity.secrets import SecretSeal
from services.identity.tokens import TokenReader
from services.orchestration.definition_source import DefinitionsInDatabase
from workflows.compiled import CompiledDefinitions

ROUTERS: tuple[APIRouter, ...] = (
    workflows.router,
    executions.router,
    runs.router,
    approvals.router,
    actions.router,
    services.router,
    flow.router,
    schemas.router,
    keys.router,
    secrets.router,
    users.router,
    audit.router,
    activity.router,
    analytics.router,
    badges.router,
    reports.router,
    search.router,
    repositories.router,
    symbols.router,
    tasks.router,
    health.router,
    codec.router,
    metrics.router,
)
"""All resources. Paths are tried in this order."""
_KEPT_SECONDS = 300.0
"""How long answers with metrics are kept at most."""


def create_app(settings: Settings, database: AsyncEngine, temporal_client: Client) -> FastAPI:
    """The facade on a database and a Temporal client, which the caller opens before and closes after.

    Raises ValueError for settings it cannot run with: a master or token secret that is too short.
    """
    figures = HttpMetrics()
    secret = settings.jwt_secret.get_secret_value()
    tokens = TokenReader(secret) if secret else None
    app = FastAPI(
        title="TooLoo",
        version="1",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        # Flat: routers that are included are matched one after the other, which costs more than the rest of a request.
        routes=[route for router in ROUTERS for route in router.routes],
        exception_handlers={HTTPException: _answer_problem, RequestValidationError: _answer_problem},
        middleware=[
            Middleware(Requests, metrics=figures),
            Middleware(CodecOrigin, web_ui=settings.temporal_ui_url),
            Middleware(Errors),
            Middleware(Authentication, database=database, tokens=tokens, authors=settings.authors),
            Middleware(Limits),
        ],
    )

    lookups = autocommit(database)

    async def find_user_versions(owners: Sequence[str]) -> Mapping[str, LearnerVersion]:
        async with lookups.connect() as connection:
            return await find_versions(connection, owners)

    app.state.parts = Parts(
        settings=settings,
        database=database,
        temporal=temporal_client,
        blobs=BlobStore(database),
        seal=AnswerSeal(settings.secret.get_secret_value()),
        secret_seal=SecretSeal(settings.secret.get_secret_value()),
        metrics=figures,
        compiled=CompiledDefinitions(DefinitionsInDatabase(database)),
        reports=StepReports(temporal_client),
        ingest=Ingest(database, settings.session_gap_seconds),
        answers=VersionedCache(_KEPT_SECONDS),
        search=SearchService(settings.index_path),
        parsers=Parsers(),
        versions=Loader(find_user_versions),
        issuer=Issuer(settings.secret.get_secret_value(), settings.base_url),
    )
    figures.name_routes(
        {route.endpoint: route.path for route in iter_route_contexts(app.routes) if route.endpoint and route.path}
    )
    _describe_once(app)
    return app


async def _answer_problem(request: Request, error: Exception) -> Response:
    answer = answer_problem(error)
    if answer.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_allowed(request)))  # FastAPI names those of the first route only
    return answer


def _allowed(request: Request) -> set[str]:
    routes = iter_route_contexts(request.app.routes)
    matching = (route for route in routes if route.path_regex.match(request.url.path))
    return {method for route in matching for method in route.methods or ()}


def _describe_once(app: FastAPI) -> None:
    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = openapi
