"""Every route keeps the house rules, also those that are added later."""

import re
from itertools import combinations, zip_longest
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from api.dependencies import Require, RequireUnlessLocal
from api.middleware.authentication import LOCAL_PATHS, OPEN_PATHS
from api.routing import StrictRoute

OWN_PAGES = {"/docs", "/openapi.json"}
"""Made by FastAPI itself."""


def routes_of(app: FastAPI) -> list[RouteContext]:
    return [route for route in iter_route_contexts(app.routes) if route.path not in OWN_PAGES]


def guards(dependant: Dependant) -> list[Require]:
    found = [dependant.call] if isinstance(dependant.call, Require) else []
    return found + [guard for inner in dependant.dependencies for guard in guards(inner)]


def test_every_route_is_open_on_purpose_or_asks_for_a_role(app: FastAPI) -> None:
    for route in routes_of(app):
        asked = guards(route.dependant)
        if route.path in OPEN_PATHS:
            assert not asked, route.path
        else:
            assert asked, f"{route.path} asks for no role"
        has_local_guard = any(isinstance(guard, RequireUnlessLocal) for guard in asked)
        assert has_local_guard == (route.path in LOCAL_PATHS), route.path


def test_every_open_or_local_path_exists(app: FastAPI) -> None:
    assert {*OPEN_PATHS, *LOCAL_PATHS} <= {route.path for route in iter_route_contexts(app.routes)}


def test_every_route_reads_its_body_strictly(app: FastAPI) -> None:
    for route in routes_of(app):
        assert isinstance(route.original_route, StrictRoute), f"{route.path}: make its router with api.routing.resource"


def test_no_fixed_path_is_shadowed_by_a_parameter(app: FastAPI) -> None:
    for earlier, later in combinations(routes_of(app), 2):
        if (earlier.methods or set()) & (later.methods or set()):
            assert not shadows(earlier, later), f"{earlier.path} answers for {later.path}: declare the fixed one first"


def shadows(earlier: RouteContext, later: RouteContext) -> bool:
    """Whether a word of the later path is taken for a parameter of the earlier one."""
    pairs = list(zip_longest((earlier.path or "").split("/"), (later.path or "").split("/"), fillvalue=""))
    if not any("{" in theirs and "{" not in ours for theirs, ours in pairs):
        return False
    example = "/".join(ours if "{" not in ours else "x" if "{" in theirs else theirs for theirs, ours in pairs)
    return earlier.path_regex.match(example) is not None


def test_a_shadowed_path_is_noticed() -> None:
    app = FastAPI()
    for path in ("/things/{id}", "/things/{id}/parts", "/things/{id}/{part}", "/things/new", "/things/all/parts"):
        app.add_api_route(path, lambda: None)
    routes = [route for route in iter_route_contexts(app.routes) if "things" in (route.path or "")]
    assert [(a.path, b.path) for a, b in combinations(routes, 2) if shadows(a, b)] == [
        ("/things/{id}", "/things/new"),
        ("/things/{id}/parts", "/things/all/parts"),
        ("/things/{id}/{part}", "/things/all/parts"),
    ]


def test_every_post_that_makes_something_can_be_repeated(app: FastAPI) -> None:
    for route in routes_of(app):
        if isinstance(route.original_route, APIRoute) and route.original_route.status_code == 201:
            assert "Idempotency-Key" in _header_names(route.dependant), route.path


def _header_names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.header_params}
    return own.union(*(_header_names(inner) for inner in dependant.dependencies))


def operations(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, item in app.openapi()["paths"].items() for operation in item.values()]


def test_operations_have_readable_unique_ids_and_a_description(app: FastAPI) -> None:
    ids = [operation["operationId"] for _, operation in operations(app)]
    assert len(ids) == len(set(ids))
    for path, operation in operations(app):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), path
        assert operation["description"], path
        assert operation["tags"], path


def test_every_operation_documents_its_problems(app: FastAPI) -> None:
    for path, operation in operations(app):
        responses = operation["responses"]
        assert "500" in responses, path
        assert ("401" in responses) == ("security" in operation) == (path not in OPEN_PATHS), path
        for status, response in responses.items():
            if status >= "400" and path != "/api/v1/health/ready":
                assert set(response["content"]) == {"application/problem+json"}, (path, status)


def test_the_document_refers_only_to_what_it_holds(app: FastAPI) -> None:
    document = app.openapi()
    referred = set(re.findall(r"'#/components/schemas/([^']+)'", str(document)))
    assert referred <= set(document["components"]["schemas"])
    assert "HTTPValidationError" not in document["components"]["schemas"]


async def test_models_have_examples(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    assert schemas["NewKey"]["properties"]["user_id"]["examples"] == ["ada"]
