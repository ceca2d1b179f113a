"""TOOLOO_HOME: where a local stack keeps what must outlive its processes."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from cli.stack.files import locked, write_whole

_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_LAST_LINES = 8


@dataclass(frozen=True)
class StackHome:
    """The places in one TOOLOO_HOME."""

    path: Path

    def create(self) -> None:
        """Make the folders; only this user may look into them."""
        for folder in (self.path, self.data, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        """Folder of the servers' data."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """Folder of one log per part."""
        return self.path / "logs"

    @property
    def lock_file(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.path / "stack.lock"

    @property
    def state_file(self) -> Path:
        """What runs, as the supervisor last said (`StackState`)."""
        return self.path / "stack.json"

    @property
    def admin_key_file(self) -> Path:
        """The admin key of this machine (0600)."""
        return self.path / "admin.key"

    def log_of(self, part: str) -> Path:
        """Log of a part."""
        return self.logs / f"{part}.log"

    def fresh_log(self, part: str) -> Path:
        """Log of a part that is about to start; one that grew too large is put aside as `.log.1`."""
        log = self.log_of(part)
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.rename(log.with_suffix(".log.1"))
        log.touch(mode=0o600)
        return log

    def last_words(self, part: str) -> str:
        """The last lines of a part's log and where to read on, as lines to be put after a reason."""
        log = self.log_of(part)
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
        return "".join(f"\n  {line}" for line in lines) + f"\n  (all of it: {log})"

    def secret(self) -> str:
        """The master secret of this stack, made at its first use (0600)."""
        file = self.path / "secret"
        with locked(self.path / "secret.lock"):
            if not file.exists():
                write_whole(file, secrets.token_urlsafe(48))
            return file.read_text().strip()
