"""`python -m api`: the facade as a process."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Generator
from typing import NoReturn

import structlog
import uvicorn
import uvloop

from api.app import create_app
from models.logs import configure_logging
from models.persistence.database import create_database
from models.persistence.values import BlobStore
from models.settings import Settings
from workflows.client import connect

_STOP_WITHIN_SECONDS = 5
"""How long open answers, streams among them, may go on after the process was told to stop."""

_log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again at the end and so skip closing anything."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    database = create_database(settings.database_url, archive=settings.archive_path)
    # Lazy: the API starts, and says so, while Temporal is away.
    client = await connect(BlobStore(database), lazy=True)
    app = create_app(settings, database, client)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_WITHIN_SECONDS,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    _log.info("api is starting", address=f"{settings.host}:{settings.port}", pid=os.getpid())
    try:
        await server.serve()
    finally:
        await _end_other_tasks()
        await asyncio.to_thread(app.state.parts.parsers.end)
        await database.dispose()
    return 0 if server.started else 1


async def _end_other_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def main() -> NoReturn:
    """Run the process. It leaves by `os._exit`: with a call to Temporal pending, the usual way can hang (TRAPS 20)."""
    settings = Settings()
    configure_logging(settings.log_level)
    gc.freeze()  # what was imported stays: looking through it again and again takes a tenth of a second each time
    try:
        code = asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve(settings))
    except SystemExit as error:  # uvicorn's way to say that it could not listen
        code = 1 if error.code is None else int(error.code)
    except Exception:  # noqa: BLE001 - the last frame of the process: whatever it is, it is logged
        _log.exception("the api cannot run")
        code = 1
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
