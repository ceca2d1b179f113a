"""What a local stack consists of, and how its parts find each other."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from temporalio.envconfig import ClientConfig, ClientConnectConfig

from cli.stack import postgres
from cli.stack.home import StackHome
from cli.stack.ports import LOOPBACK, claim, free_port
from cli.stack.postgres import PostgresServer
from cli.stack.probes import TemporalProbe, api_answers
from cli.stack.server import Server
from cli.stack.supervisor import Part
from cli.stack.temporal import TemporalServer
from cli.stack.temporal_program import find_program
from models.catalogue import WORKER_SERVICES
from models.settings import Settings

PART_NAMES = ("postgres", "temporal", *(f"worker-{service}" for service in WORKER_SERVICES), "api")
_EXTERNAL_PATIENCE_SECONDS = 20.0
_TEMPORAL_SELECTORS = ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE")
"""Any of these says that the user has a Temporal server."""


class StackSettings(BaseSettings):
    """What only the local stack has to know, from the environment."""

    model_config = SettingsConfigDict(env_prefix="TOOLOO_", frozen=True, extra="ignore")

    temporal_port: int = Field(default=7233, description="Port of the Temporal server.")
    temporal_ui_port: int = Field(default=8233, description="Port of the Temporal Web UI.")


@dataclass(frozen=True)
class Ports:
    """Ports of a stack; those of servers of the user's are not ours to choose."""

    api: int
    temporal: int
    temporal_ui: int
    postgres: int


@dataclass(frozen=True)
class Stack:
    """The parts and where to look at them."""

    parts: tuple[Part, ...]
    api_url: str
    temporal_ui_url: str


def uses_own_temporal(environment: Mapping[str, str]) -> bool:
    """Whether the user named a Temporal server, so that none is started."""
    return any(environment.get(name) for name in _TEMPORAL_SELECTORS)


def choose_ports(settings: Settings, wanted: StackSettings, *, own_temporal: bool, next_free: bool) -> Ports:
    """Ports that are free now. Raises ConflictError naming the holder of one that is not."""
    api = claim(settings.port, "TOOLOO_PORT", next_free=next_free)
    if own_temporal:
        return Ports(api, wanted.temporal_port, wanted.temporal_ui_port, free_port())
    taken = frozenset({api})
    temporal = claim(wanted.temporal_port, "TOOLOO_TEMPORAL_PORT", next_free=next_free, taken=taken)
    taken |= {temporal}
    ui = claim(wanted.temporal_ui_port, "TOOLOO_TEMPORAL_UI_PORT", next_free=next_free, taken=taken)
    return Ports(api, temporal, ui, free_port())


def compose_stack(
    settings: Settings, home: StackHome, ports: Ports, roots: Sequence[Path], say: Callable[[str], None]
) -> Stack:
    """Every part with what it needs. Obtains the Temporal server's program, which may take minutes the first time.

    Raises UnavailableError when there is no way to that program.
    """
    host = LOOPBACK if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound  # nosec B104
    api_url = f"http://{host}:{ports.api}"
    own_temporal = uses_own_temporal(os.environ)
    ui_url = settings.temporal_ui_url if own_temporal else f"http://{LOOPBACK}:{ports.temporal_ui}"
    database, database_url = _database(settings, home, ports.postgres)
    temporal_environment = {} if own_temporal else _temporal_environment(ports.temporal)

    def environment() -> dict[str, str]:
        return {
            "TOOLOO_HOME": str(home.path),
            "DATABASE_URL": database_url(),
            "TOOLOO_SECRET": settings.secret.get_secret_value() or home.secret(),
            "TOOLOO_PORT": str(ports.api),
            "TOOLOO_TEMPORAL_UI_URL": ui_url,
            "TOOLOO_REPO_ROOTS": os.pathsep.join(str(root) for root in roots),
            **temporal_environment,
        }

    def temporal_config() -> ClientConnectConfig:
        return ClientConfig.load_client_connect_config(override_env_vars={**os.environ, **temporal_environment})

    probe = TemporalProbe(temporal_config)
    if own_temporal:
        temporal = _external("temporal", temporal_config().get("target_host", ""), probe.answers)
    else:
        codec_url = f"{api_url}/codec"
        server = TemporalServer(
            find_program(say), ports.temporal, home.data / "temporal.db", ports.temporal_ui, codec_url
        )
        temporal = _server("temporal", server, probe.answers)
    python = partial(_python_part, environment=environment)
    prepare = python("prepare", ["cli", "prepare"], None, needs=("postgres", "temporal"))
    workers = [
        python(f"worker-{service}", [f"workers.{service}"], _polls(probe, service), needs=("prepare",))
        for service in WORKER_SERVICES
    ]
    api = python("api", ["api"], _whatever_pid(partial(api_answers, api_url)), needs=("prepare",), address=api_url)
    return Stack((database, temporal, prepare, *workers, api), api_url, ui_url)


def _database(settings: Settings, home: StackHome, port: int) -> tuple[Part, Callable[[], str]]:
    if settings.database_url:
        url = make_url(settings.database_url)
        address = f"{url.host or 'localhost'}:{url.port or 5432}"
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return _external("postgres", address, partial(postgres.answers, plain)), lambda: settings.database_url
    server = PostgresServer(home.data / "postgres", port)
    return _server("postgres", server, server.answers), lambda: server.url


def _temporal_environment(port: int) -> dict[str, str]:
    # The file a user keeps for their own server may ask for TLS or another namespace: it is not about this one.
    return {
        "TEMPORAL_ADDRESS": f"{LOOPBACK}:{port}",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_TLS": "false",
    }


def _server(name: str, server: Server, answers: Callable[[], Awaitable[bool]]) -> Part:
    return Part(
        name,
        _whatever_pid(answers),
        server.command,
        prepare=server.prepare,
        address=server.address,
        stop_signal=server.stop_signal,
    )


def _external(name: str, address: str, answers: Callable[[], Awaitable[bool]]) -> Part:
    return Part(name, _whatever_pid(answers), address=address, patience_seconds=_EXTERNAL_PATIENCE_SECONDS)


def _python_part(
    name: str,
    module: Sequence[str],
    answers: Callable[[int | None], Awaitable[bool]] | None,
    *,
    environment: Callable[[], Mapping[str, str]],
    needs: tuple[str, ...],
    address: str | None = None,
) -> Part:
    command = (sys.executable, "-m", *module)
    return Part(name, answers, lambda: command, environment=environment, needs=needs, address=address)


def _whatever_pid(answers: Callable[[], Awaitable[bool]]) -> Callable[[int | None], Awaitable[bool]]:
    async def answers_at_all(_pid: int | None) -> bool:
        return await answers()

    return answers_at_all


def _polls(probe: TemporalProbe, service: str) -> Callable[[int | None], Awaitable[bool]]:
    async def polls(pid: int | None) -> bool:
        return pid is not None and await probe.has_poller(service, pid)

    return polls
