"""The one way to reach PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic_core import from_json, to_json
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_log = structlog.get_logger(__name__)

AWAY_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries while the database is away; the last one repeats."""

ResultT = TypeVar("ResultT")


def create_database(url: str, *, pool_size: int = 10, archive: Path | None = None) -> AsyncEngine:
    """Engine for `postgresql://…`; connections open on first use. Statements use SQLAlchemy Core.

    `archive`: the folder where months of its tables are files, for processes that read or write those.
    """
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=30,
        connect_args={"server_settings": {"timezone": "UTC"}},  # dates without a zone are days in UTC
        hide_parameters=True,  # what people wrote does not belong in logs
        json_serializer=lambda value: to_json(value).decode(),
        json_deserializer=from_json,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine if archive is None else with_archive(engine, archive)


def _refuse_closed(connection: Any, _record: object, _pool: object) -> None:
    """Let the pool open new connections after a restart of PostgreSQL. Asking the driver costs no round trip."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError


def with_archive(database: AsyncEngine, archive: Path) -> AsyncEngine:
    """The same database, which knows where its archive is: whoever has the one can read the other."""
    return database.execution_options(tooloo_archive=archive)


def archive_of(database: AsyncEngine) -> Path | None:
    """The folder of a database's archive; None when nobody has said."""
    return database.get_execution_options().get("tooloo_archive")


def autocommit(database: AsyncEngine) -> AsyncEngine:
    """The same database for single statements: each is a transaction by itself, which takes two round trips less."""
    return database.execution_options(isolation_level="AUTOCOMMIT")


def is_connection_failure(error: BaseException) -> bool:
    """Whether the database was away, starting or going down, so that the same statement may work a moment later."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated or isinstance(error, (InterfaceError, OperationalError)):
            return True
        return _class_of(error) in {"08", "57"}
    return isinstance(error, (ConnectionError, TimeoutError, OSError))


def is_refused_value(error: DBAPIError) -> bool:
    """Whether a value cannot be stored, however often it is tried: NUL in a text, a number or a text too large."""
    return _class_of(error) in {"22", "54"}


def _class_of(error: DBAPIError) -> str:
    """The class of the SQLSTATE."""
    return str(getattr(error.orig, "sqlstate", "") or "")[:2]


async def when_database_is_back(operation: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Do something repeatable, again and again while the database is away. Whoever calls it sets the time limit."""
    attempt = 0
    while True:
        try:
            return await operation()
        except Exception as error:
            if not is_connection_failure(error):
                raise
            _log.warning("the database is away", attempt=attempt + 1, error=type(error).__name__)
            await asyncio.sleep(AWAY_PAUSES[min(attempt, len(AWAY_PAUSES) - 1)])
            attempt += 1
