"""One stack from its start to its end, in the process that supervises it."""

import asyncio
import os
import signal

from cli.stack.display import StackDisplay, summary
from cli.stack.example import run_example
from cli.stack.home import StackHome
from cli.stack.parts import Stack
from cli.stack.state import StackState, write_state
from cli.stack.supervisor import Supervisor
from models.errors import TooLooError
from models.settings import CHECKOUT

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve(stack: Stack, home: StackHome, display: StackDisplay) -> str | None:
    """Start the stack, run the example and serve until a signal comes; then stop everything.

    What kept it from starting, or None. An example that fails is said aloud and in the state, and the stack serves.
    """
    stop = asyncio.Event()
    for number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    served = _ServedStack(stack, home, display)
    begin = asyncio.create_task(served.begin())
    asked = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({begin, asked}, return_when=asyncio.FIRST_COMPLETED)
        if begin.done():
            begin.result()
        await asked
    except TooLooError as error:
        served.failed(error.detail)
        return error.detail
    finally:
        begin.cancel()
        asked.cancel()
        await asyncio.gather(begin, asked, return_exceptions=True)
        await served.end()
    return None


class _ServedStack:
    """Keeps the state that others read, and what the screen shows, true to what the supervisor does."""

    def __init__(self, stack: Stack, home: StackHome, display: StackDisplay) -> None:
        self._stack = stack
        self._home = home
        self._display = display
        self._supervisor = Supervisor(stack.parts, home, CHECKOUT, self._changed)
        self._doing = "starting"
        self._state = StackState(parts=self._supervisor.status, supervisor_pid=os.getpid())

    async def begin(self) -> None:
        """Until everything runs and the example was tried. Raises UnavailableError when a part does not start."""
        self._changed()
        self._supervisor.start()
        await self._supervisor.wait_until_healthy()
        links = {
            "API": f"{self._stack.api_url}/docs",
            "Temporal Web UI": self._stack.temporal_ui_url,
            "Admin key": str(self._home.admin_key_file),
        }
        self._doing = "running the Code Review Flow on this checkout"
        self._change(links=links)
        try:
            report = await run_example(self._stack.api_url, self._home.admin_key_file.read_text().strip())
        except (TooLooError, OSError) as error:
            failure = str(error)
            self._display.say(failure)
        else:
            failure = None
            self._change(headline=report.headline, links={"Report": report.url, **links})
        self._doing = ""
        self._change(serving=True, failure=failure)
        self._display.say(f"\n{summary(self._state)}\n\nServing until Ctrl-C (elsewhere: ./tooloo down).\n")

    def failed(self, failure: str) -> None:
        """Say why the stack did not start."""
        self._change(failure=failure)

    async def end(self) -> None:
        """Stop everything."""
        self._doing = "stopping"
        self._changed()
        await self._supervisor.stop()
        self._doing = ""
        self._change(serving=False)

    def _changed(self) -> None:
        self._change(parts=self._supervisor.status)

    def _change(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)
        write_state(self._home, self._state)
        self._display.show(self._state, self._doing)
