from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.client import Client
from temporalio.worker import Worker

from api.app import create_app
from api.health import SEEN_WITHIN, ServiceState, judge
from models.catalogue import SERVICES, WORKER_SERVICES
from models.persistence.database import create_database
from models.settings import Settings
from tests.api.clients import client_of
from tests.conftest import new_namespace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def poller(identity: str, ago: timedelta) -> PollerInfo:
    at = Timestamp()
    at.FromDatetime(NOW - ago)
    return PollerInfo(identity=identity, last_access_time=at)


@pytest.fixture
async def healthy(settings: Settings, database: AsyncEngine, temporal: Client) -> AsyncIterator[AsyncClient]:
    async with client_of(create_app(settings, database, temporal)) as client:
        yield client


async def test_a_living_process_says_so(stranger: AsyncClient) -> None:
    assert (await stranger.get("/api/v1/health/live")).json() == {"alive": True}


async def test_ready_when_everything_answers(healthy: AsyncClient) -> None:
    answer = await healthy.get("/api/v1/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "dependencies": [
            {"name": "postgres", "ok": True, "detail": "answers"},
            {"name": "temporal", "ok": True, "detail": "answers"},
        ],
    }


async def test_not_ready_without_temporal(stranger: AsyncClient) -> None:
    answer = await stranger.get("/api/v1/health/ready")
    assert answer.status_code == 503
    assert [(found["name"], found["ok"]) for found in answer.json()["dependencies"]] == [
        ("postgres", True),
        ("temporal", False),
    ]


async def test_not_ready_without_the_database_and_no_address_is_told(settings: Settings, temporal: Client) -> None:
    database = create_database("postgresql://somebody:hidden@127.0.0.1:1/nowhere")
    async with client_of(create_app(settings, database, temporal)) as client:
        answer = await client.get("/api/v1/health/ready")
    assert answer.status_code == 503
    assert answer.json()["ready"] is False
    assert not any(part in answer.text for part in ("somebody", "hidden", "127.0.0.1", "nowhere"))


async def test_all_nine_services_are_listed(healthy: AsyncClient) -> None:
    services = (await healthy.get("/api/v1/health/services")).json()["services"]
    assert tuple(service["name"] for service in services) == SERVICES
    states = {service["name"]: service["state"] for service in services}
    assert states["api"] == "up"
    assert {name for name, state in states.items() if state == "absent"} == set(SERVICES) - {"api", *WORKER_SERVICES}


async def test_nobody_knows_the_workers_while_temporal_is_away(stranger: AsyncClient) -> None:
    services = (await stranger.get("/api/v1/health/services")).json()["services"]
    assert {service["state"] for service in services if service["name"] in WORKER_SERVICES} == {"unknown"}


@activity.defn
async def nothing() -> None:
    """Makes a worker poll for activities."""


async def test_a_service_is_up_while_a_worker_polls(
    settings: Settings, database: AsyncEngine, temporal_address: str
) -> None:
    # A namespace of its own: Temporal remembers the workers of other tests for longer than they live.
    temporal = await new_namespace(temporal_address, f"health-{uuid4()}")

    async def state() -> dict[str, object]:
        services = (await client.get("/api/v1/health/services")).json()["services"]
        return next(service for service in services if service["name"] == "analytics")

    async with (
        client_of(create_app(settings, database, temporal)) as client,
        Worker(temporal, task_queue="analytics", activities=[nothing], identity="analytics@test"),
    ):
        while (found := await state())["state"] != "up":
            assert found["state"] == "down"
    assert found["workers"] == 1
    assert datetime.fromisoformat(str(found["last_seen"])) <= datetime.now(UTC) + timedelta(seconds=5)


def test_a_service_without_pollers_is_down() -> None:
    health = judge("context", [], NOW)
    assert (health.state, health.workers, health.last_seen) == (ServiceState.DOWN, 0, None)


def test_workers_are_counted_while_they_were_seen_lately() -> None:
    pollers = [
        poller("context@1", timedelta(seconds=1)),
        poller("context@2", SEEN_WITHIN),
        poller("context@3", SEEN_WITHIN + timedelta(seconds=1)),
    ]
    health = judge("context", pollers, NOW)
    assert (health.state, health.workers, health.last_seen) == (ServiceState.UP, 2, NOW - timedelta(seconds=1))


def test_a_service_whose_workers_have_gone_is_down_and_says_since_when() -> None:
    health = judge("context", [poller("context@3", timedelta(seconds=90))], NOW)
    assert (health.state, health.workers, health.last_seen) == (ServiceState.DOWN, 0, NOW - timedelta(seconds=90))
