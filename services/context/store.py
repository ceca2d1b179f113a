"""The object store: a bare repository per source, holding only objects and marks.

A commit is served once it is marked (`refs/tooloo/<commit>`), which happens after all it reaches is in place. A load
that dies before leaves objects that nothing refers to, and the next load removes its unfinished files. Reading needs
no lock: packs and loose objects appear whole and never change.
"""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from dulwich.objects import ObjectID
from dulwich.repo import Repo

from models.errors import UnavailableError
from services.context.objects import Objects, open_objects
from services.context.supervision import Supervision

DISK_FULL = "disk-full"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LOCK_POLL_SECONDS = 0.05
_NAME = re.compile(r"[0-9a-f]{32}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class StoredRepository:
    """One bare repository of the store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pack_directory = path / "objects" / "pack"
        self.incoming = path / "incoming"
        """Unfinished files of the load that holds the lock."""
        self._marks = path / "refs" / "tooloo"
        self._shallow = path / "shallow"

    def holds(self, commit: str) -> bool:
        """Whether the commit and all it reaches is here."""
        return bool(_COMMIT.fullmatch(commit)) and (self._marks / commit).exists()

    def marked(self) -> list[ObjectID]:
        """The commits held with all they reach."""
        names = sorted(path.name for path in self._marks.iterdir())
        return [ObjectID(name.encode("ascii")) for name in names if _COMMIT.fullmatch(name)]

    def mark(self, commit: str) -> None:
        """Serve the commit from now on. Needs the lock."""
        self._write(self._marks / commit, f"{commit}\n")

    def shallow(self) -> frozenset[bytes]:
        """Commits at which a shallow source cuts its history."""
        try:
            return frozenset(self._shallow.read_bytes().split())
        except FileNotFoundError:
            return frozenset()

    def cut_history_at(self, commits: frozenset[bytes]) -> None:
        """Remember where the source cuts its history. Needs the lock."""
        if commits != self.shallow():
            self._write(self._shallow, "".join(f"{sha.decode('ascii')}\n" for sha in sorted(commits)))

    @contextmanager
    def objects(self) -> Generator[Objects]:
        """Read its objects."""
        with open_objects(self.path, self.shallow()) as objects:
            yield objects

    def _write(self, path: Path, text: str) -> None:
        temporary = self.incoming / "file"
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)


class RepositoryStore:
    """All stored repositories, below one folder; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, repository_id: str) -> StoredRepository | None:
        """The repository of that id, for reading."""
        path = self._path(repository_id)
        return StoredRepository(path) if path.is_dir() else None

    @contextmanager
    def writing(self, repository_id: str, supervision: Supervision) -> Generator[StoredRepository]:
        """The repository of that id, made when new, for one load at a time across processes."""
        path = self._path(repository_id)
        self._root.mkdir(parents=True, exist_ok=True)

        def wait() -> None:
            supervision.progress("waiting for another load of this repository")
            time.sleep(_LOCK_POLL_SECONDS)

        with locked(path.with_suffix(".lock"), wait):
            if not path.is_dir():
                self._create(path)
            repository = StoredRepository(path)
            shutil.rmtree(repository.incoming, ignore_errors=True)
            repository.incoming.mkdir()
            try:
                yield repository
            finally:
                shutil.rmtree(repository.incoming, ignore_errors=True)

    def size(self, repository_id: str) -> int:
        """Bytes of the files of a repository; 0 when it is not here."""
        return sum(
            (Path(folder) / name).lstat().st_size
            for folder, _, names in os.walk(self._path(repository_id))
            for name in names
        )

    def remove(self, repository_id: str) -> None:
        """Remove a repository. Those who are reading it may find objects missing.

        Raises UnavailableError while it is being loaded.
        """
        path = self._path(repository_id)
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock"), _refuse):
            if path.is_dir():
                gone = path.with_suffix(".gone")
                shutil.rmtree(gone, ignore_errors=True)
                path.rename(gone)
            shutil.rmtree(path.with_suffix(".gone"), ignore_errors=True)

    def _path(self, repository_id: str) -> Path:
        if not _NAME.fullmatch(repository_id):
            msg = "not the id of a stored repository"
            raise ValueError(msg)
        return self._root / repository_id

    @staticmethod
    def _create(path: Path) -> None:
        unfinished = path.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        Repo.init_bare(str(unfinished), mkdir=True).close()
        (unfinished / "refs" / "tooloo").mkdir()
        unfinished.rename(path)


def is_disk_full(error: Exception) -> bool:
    """Whether an error says that no more can be written: no network says so."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextmanager
def reported_disk(what: str) -> Generator[None]:
    """Errors of the operating system, as those who wait for the work are told them: UnavailableError (`disk-full`)."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise UnavailableError(f"{what} cannot be written: the disk is full", code=DISK_FULL) from error
        reason = errno.errorcode.get(error.errno or 0, "unknown")
        raise UnavailableError(f"{what} cannot be used ({reason})") from error


@contextmanager
def locked(path: Path, busy: Callable[[], None]) -> Generator[None]:
    """Hold a lock file. `busy` is called as long as somebody else does, and may raise."""
    # flock ends with the process that holds it, however that dies; the file itself stays.
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                busy()
        yield


def _refuse() -> None:
    raise UnavailableError("the repository is being loaded")
