"""What is written in two places agrees: specs and methods, services and workers."""

import inspect
from importlib import import_module
from types import ModuleType

import pytest

from activities.analytics import AnalyticsActivities
from activities.context import ContextActivities
from activities.flow import FlowActivities
from activities.orchestration import OrchestrationActivities
from models.actions import ActionSpec
from models.catalogue import ACTIONS, CATALOGUE, SERVICES, WORKER_SERVICES
from workers.all_in_one import WORKERS

ACTIVITIES: dict[str, type] = {
    "flow": FlowActivities,
    "context": ContextActivities,
    "analytics": AnalyticsActivities,
    "orchestration": OrchestrationActivities,
}


def methods(service: str) -> list[str]:
    members = inspect.getmembers(ACTIVITIES[service], inspect.iscoroutinefunction)
    return sorted(name for name, _ in members if not name.startswith("_"))


def test_every_service_with_actions_has_its_class() -> None:
    assert sorted(ACTIVITIES) == sorted(dict.fromkeys(spec.service for spec in ACTIONS))


@pytest.mark.parametrize("service", sorted(ACTIVITIES))
def test_actions_and_methods_are_the_same(service: str) -> None:
    assert methods(service) == sorted(spec.name.replace("-", "_") for spec in ACTIONS if spec.service == service)


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.type)
def test_method_takes_and_gives_what_its_spec_says(spec: ActionSpec) -> None:  # type: ignore[type-arg] # any of them
    method = getattr(ACTIVITIES[spec.service], spec.name.replace("-", "_"))
    signature = inspect.signature(method, eval_str=True)
    _, action_input, step = signature.parameters.values()
    assert action_input.annotation is spec.input
    assert step.annotation.__name__ == "Step"
    assert signature.return_annotation is spec.result


def test_every_action_is_listed_once() -> None:
    assert len(CATALOGUE) == len(ACTIONS)


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.type)
def test_action_keeps_the_limits_of_its_temporal_activity(spec: ActionSpec) -> None:  # type: ignore[type-arg] # any
    assert spec.queue in SERVICES
    assert spec.retry.backoff >= 1
    assert 0 < spec.retry.initial <= spec.retry.max_interval
    assert spec.timeout.start_to_close > (spec.timeout.heartbeat or 0) > 0
    assert spec.summary
    assert not spec.summary.endswith(".")


def worker_module(service: str) -> ModuleType:
    return import_module(f"workers.{service}")


@pytest.mark.parametrize("service", WORKER_SERVICES)
def test_every_queue_has_a_worker_of_its_name(service: str) -> None:
    assert worker_module(service).WORKER.service == service


def test_all_in_one_has_every_worker() -> None:
    assert sorted(worker.service for worker in WORKERS) == sorted(WORKER_SERVICES)
    assert all(worker is worker_module(worker.service).WORKER for worker in WORKERS)
