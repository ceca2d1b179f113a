"""What the stack knows of a server that it starts: PostgreSQL or Temporal."""

import signal
from typing import ClassVar, Protocol


class Server(Protocol):
    """A server, not yet started or started by somebody."""

    stop_signal: ClassVar[signal.Signals]
    """Ends it cleanly."""

    @property
    def address(self) -> str:
        """`host:port`."""
        ...

    def prepare(self) -> None:
        """Make ready what it needs, before each start. Raises TooLooError when it cannot be started here."""

    def command(self) -> list[str]:
        """Command line of the server in the foreground."""
        ...

    async def answers(self) -> bool:
        """Whether it serves now."""
        ...
