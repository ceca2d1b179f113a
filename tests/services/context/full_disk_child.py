"""A load and an indexing that find the disk full, again and again, each time with a little more room.

    full_disk_child.py KIND FOLDER URL OPENED FIRST    one JSON object says what happened

KIND `disk`: FOLDER becomes a small file system of its own, for which the process has mounts of its own.
KIND `files`: no file may become large, which ends writing in the same places.
FIRST is a commit that is searched all the while.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from models.context import LoadedRepo, LoadRepo
from models.errors import TooLooError
from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.search.evaluation import Target
from services.context.search.indexing import build_index
from services.context.search.query import parse
from services.context.search.searching import SearchService
from services.context.supervision import Limits, Supervision

STEP = 96 * 1024
Room = Callable[[int], AbstractContextManager[None]]


def supervised() -> Supervision:
    return Supervision(seconds=60, report=lambda _: None)


@contextmanager
def filled(folder: Path, room: int) -> Generator[None]:
    """A disk with so many bytes left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(max(0, file.tell() - room))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def no_large_files(size: int) -> Generator[None]:
    """Writing a file beyond the size fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Worker:
    def __init__(self, folder: Path, url: str, opened: str) -> None:
        self.folder, self.url = folder, url
        self.loader = Loader(folder / "store", (), AddressRules((opened,)), "https://forge.invalid", Limits())

    def load(self, ref: str | None = None) -> LoadedRepo:
        return self.loader.load(LoadRepo(url=self.url, ref=ref), supervised())

    def index(self, repo: LoadedRepo) -> int:
        with self.loader.opened(repo, supervised()).objects() as objects:
            return build_index(objects, repo, self.folder / "index", supervised()).files

    def search(self, repo: LoadedRepo) -> int:
        target = Target(repo.id, repo.name, repo.commit)
        return SearchService(self.folder / "index").search(parse("retry"), [target], 30).total

    def until_it_works(self, work: Callable[[], Any], first: LoadedRepo, room: Room) -> dict[str, Any]:
        """Try with more and more room; what went wrong, and what a search of the old commit found each time."""
        codes, found = list[str](), list[int]()
        for step in range(100):
            with room(step * STEP):
                try:
                    result: Any = work()
                except TooLooError as error:
                    codes.append(error.code)
                    result = None
                found.append(self.search(first))
            if result is not None:
                return {"codes": codes, "found": found, "room": step * STEP}
        raise AssertionError(codes)


def main(kind: str, folder: Path, url: str, opened: str, first: str) -> dict[str, Any]:
    room: Room = no_large_files
    if kind == "disk":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "small", folder], check=True)
        room = partial(filled, folder)
    worker = Worker(folder, url, opened)
    old = worker.load(first)
    worker.index(old)
    told: dict[str, Any] = {"load": worker.until_it_works(worker.load, old, room)}
    repo = worker.load()
    told["index"] = worker.until_it_works(lambda: worker.index(repo), old, room)
    return {**told, "files": worker.index(repo), "searched": worker.search(repo)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])))  # noqa: T201 - for the test that started it
