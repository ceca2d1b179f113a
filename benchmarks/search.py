"""What indexing and searching costs, beside ripgrep on the same files.

`./tooloo bench search PATH [PATH …]` takes source trees, such as `$(go env GOROOT)/src`, into one Git repository, loads
and indexes it by the worker's own actions, and asks an API process for words that are cut out of it by chance. Times of
searches are those of its client.
"""

import argparse
import asyncio
import http.client
import json
import random
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

import psutil
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from activities.context import ContextActivities
from activities.step import Step
from benchmarks.stack import SECRET, benchmark_database, start_server
from models.context import Index, Indexed, LoadedRepo, LoadRepo
from models.identity import Caller, NewKey, Role
from models.settings import Settings
from services.context.search.manifest import IndexFolder
from services.identity.keys import create_key

_CALLER = Caller(user_id="bench", role=Role.ADMIN)
_QUERIES = 200
_RARE = 20
"""Files at most that a selective query matches."""
_RIPGREP_QUERIES = 10
_BROAD_QUERIES = 5
_FIRST = 50
"""Files of a broad query that are waited for."""
_UPDATED = 10
_SEED = 6
_MEGABYTE = 1e6


@dataclass
class Bench:
    """One repository, the worker's actions, and the folder of the API's state."""

    work: Path
    settings: Settings
    worker: ContextActivities

    def git(self, *arguments: str) -> None:
        """Run Git in the repository."""
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@invalid", "-c", "core.autocrlf=false")
        subprocess.run(["git", *identity, "-C", str(self.work), *arguments], check=True)  # noqa: S603, S607 - our own

    async def load(self) -> LoadedRepo:
        """Commit what is there, and load it."""
        self.git("add", "-A", "-f")
        self.git("commit", "-qm", "files")
        return await self.worker.load_repo(LoadRepo(path=str(self.work)), _step())

    async def index(self, repo: LoadedRepo) -> Indexed:
        """Make the loaded commit searchable."""
        return await self.worker.index(Index(repo=repo), _step())

    def files(self) -> list[Path]:
        """All files in the work tree."""
        return [path for path in sorted(self.work.glob("[0-9]*/**/*")) if path.is_file() and not path.is_symlink()]

    def text_bytes(self, repo: LoadedRepo) -> int:
        """Of the files that are searched."""
        manifest = IndexFolder(self.settings.index_path, repo.id).read_manifest(repo.commit)
        assert manifest is not None  # noqa: S101 - it was just written
        return sum(file.size for file in manifest.files if not file.skip)


def _step() -> Step:
    return Step("bench", "load", "bench", 1, _CALLER)


class Client:
    """Asks the API, over one connection."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._headers = {"Authorization": f"Bearer {key}"}

    def search(self, query: str) -> dict[str, Any]:
        """A page of results."""
        path = f"/api/v1/context/search?{urlencode({'q': query})}"
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != http.HTTPStatus.OK:
            raise ValueError(body)
        return body

    def first(self, query: str, count: int) -> None:
        """Wait for so many files of a stream, and leave."""
        path = f"/api/v1/context/search/stream?{urlencode({'q': query})}"
        self._connection.request("GET", path, headers=self._headers)
        with self._connection.getresponse() as answer:
            for _ in range(count):
                while answer.readline().rstrip() != b"event: file":
                    pass
        self._connection.close()

    def total(self, query: str) -> int:
        """How many files match."""
        return self.search(query)["total"]


@asynccontextmanager
async def _bench(folder: Path, trees: Sequence[Path]) -> AsyncGenerator[tuple[Bench, str, str]]:
    """The bench, and the key and the database of the API."""
    work = folder / "roots" / "work"
    for number, tree in enumerate(trees):
        shutil.copytree(tree, work / f"{number}-{tree.name}", symlinks=True, ignore=_ignored)
    settings = Settings(secret=SecretStr(SECRET), home=folder / "home", repo_roots=(folder / "roots",))
    async with benchmark_database() as database:
        async with database.begin() as connection:
            new = NewKey(user_id=_CALLER.user_id, role=_CALLER.role, name="bench")
            key = (await create_key(connection, new, actor_id=_CALLER.user_id)).key
        bench = Bench(work, settings, ContextActivities(settings, database))
        bench.git("init", "-q", "-b", "main")
        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        yield bench, key, url


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name in (".git", "__pycache__")}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def words_of(bench: Bench) -> list[str]:
    """Identifiers out of the files, by chance."""
    chance = random.Random(_SEED)
    files = bench.files()
    words: list[str] = []
    while len(words) < _QUERIES * 3:
        text = chance.choice(files).read_bytes().decode("utf-8", "replace")
        found = re.findall(r"\b[A-Za-z_]\w{5,30}\b", text)
        if found:
            words.append(chance.choice(found))
    return words


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


async def run(trees: Sequence[Path], console: Console) -> None:
    """Measure everything and print it."""
    with tempfile.TemporaryDirectory(prefix="tooloo-bench-") as folder, ExitStack() as children:
        async with _bench(Path(folder), trees) as (bench, key, url):
            repo = await bench.load()
            idle, start = _peak(), time.perf_counter()
            indexed = await bench.index(repo)
            seconds = time.perf_counter() - start
            size = bench.text_bytes(repo)
            console.print(
                f"indexed {indexed.files:,} files, {size / _MEGABYTE:,.0f} MB of text, in {seconds:.1f} s: "
                f"{size / _MEGABYTE / seconds:.1f} MB/s; the index has {indexed.bytes / size:.2f} of the text's size; "
                f"{(_peak() - idle) / _MEGABYTE:,.0f} MB of memory more than before"
            )
            port, api = start_server(
                children, "api", DATABASE_URL=url, TOOLOO_SECRET=SECRET, TOOLOO_HOME=str(bench.settings.home)
            )
            await asyncio.to_thread(_measure_searches, bench, Client(port, key), api, size, console)
            for number, path in enumerate(bench.files()[:_UPDATED]):
                path.write_bytes(path.read_bytes() + f"\nupdated-{number}-zq\n".encode())
            repo = await bench.load()
            start = time.perf_counter()
            await bench.index(repo)
            found = await asyncio.to_thread(Client(port, key).total, "updated zq")
            console.print(f"an update of {found} files is searchable after {time.perf_counter() - start:.2f} s")


def _measure_searches(bench: Bench, client: Client, api: psutil.Process, size: int, console: Console) -> None:
    """`size`: of the text, in bytes."""
    idle = api.memory_info().rss
    words = [word for word in words_of(bench) if 0 < client.total(f"{word} case:yes") <= _RARE][:_QUERIES]
    console.print(_table(bench, client, words))
    resident = api.memory_info().rss
    console.print(
        f"the API with the index warm: {resident / size:.2f} of the text searched, "
        f"{(resident - idle) / _MEGABYTE:,.0f} MB more than before the first search"
    )


def _table(bench: Bench, client: Client, words: Sequence[str]) -> Table:
    table = Table(title=f"{len(words)} words with at most {_RARE} files each, ms over HTTP")
    for column in ("", "p50", "p99"):
        table.add_column(column, justify="right" if column else "left")

    def times(queries: Sequence[str]) -> list[float]:
        return [timed(lambda query=query: client.search(query)) for query in queries]

    selective = times([f"{word} case:yes" for word in words])
    for title, measured in (
        ("selective", selective),
        ("selective, in any case", times(words)),
        ("regular expression", times([f"/\\b{word}\\b/ case:yes" for word in words])),
        ("no match", times([f"{word}zqzq" for word in words])),
        ("broad (return), all counted", times([f"return count:{_FIRST}"] * _BROAD_QUERIES)),
        (
            f"broad (return), first {_FIRST} of the stream",
            [timed(lambda: client.first(f"return count:{_FIRST}", _FIRST)) for _ in range(_BROAD_QUERIES)],
        ),
    ):
        table.add_row(
            title, f"{median(measured) * 1000:.1f}", f"{quantiles(measured, n=100, method='inclusive')[98] * 1000:.1f}"
        )
    binary = str(Path(sysconfig.get_path("scripts")) / "rg")
    command = [binary, "--no-config", "--no-ignore", "--hidden", "--glob=!.git", "--count", "--fixed-strings"]

    def ripgrep(word: str) -> None:
        subprocess.run([*command, "-e", word, str(bench.work)], stdout=subprocess.DEVNULL, check=False)  # noqa: S603 - one argument each

    theirs = [timed(lambda word=word: ripgrep(word)) for word in words[:_RIPGREP_QUERIES]]
    table.add_row("ripgrep, the same words", f"{median(theirs) * 1000:.1f}", "")
    table.add_row("ripgrep ÷ selective", f"{median(theirs) / median(selective):.1f} ×", "")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tooloo bench search", description=__doc__)
    parser.add_argument("trees", metavar="PATH", type=Path, nargs="+", help="folders with sources")
    chosen = parser.parse_args(arguments)
    missing = [str(path) for path in chosen.trees if not path.is_dir()]
    if missing:
        sys.exit(f"no folder: {', '.join(missing)}")
    asyncio.run(run(chosen.trees, Console(width=120)))


if __name__ == "__main__":
    main()
