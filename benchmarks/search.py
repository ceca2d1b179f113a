"""What indexing and searching costs, beside ripgrep on the same files.

`./tooloo bench search PATH [PATH …]` takes source trees, such as `$(go env GOROOT)/src`, into one Git repository, loads
and indexes it, and searches for words that are cut out of it by chance. Times are of the search itself, in one process.
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles

import psutil
from rich.console import Console
from rich.table import Table

from models.context import LoadedRepo, LoadRepo
from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.search.evaluation import Target
from services.context.search.indexing import build_index
from services.context.search.manifest import IndexFolder
from services.context.search.query import parse
from services.context.search.searching import SearchService
from services.context.supervision import Limits, Supervision

_QUERIES = 200
_RARE = 20
"""Files at most that a selective query matches."""
_RIPGREP_QUERIES = 10
_UPDATED = 10
_SEED = 6
_MEGABYTE = 1e6


class Bench:
    """One repository and its index."""

    def __init__(self, folder: Path, trees: Sequence[Path]) -> None:
        self.work = folder / "roots" / "work"
        for number, tree in enumerate(trees):
            shutil.copytree(tree, self.work / f"{number}-{tree.name}", symlinks=True, ignore=_ignored)
        self._git("init", "-q", "-b", "main")
        self.index = folder / "index"
        self._loader = Loader(
            folder / "store", (folder / "roots",), AddressRules(()), "https://forge.invalid", Limits()
        )
        self.repo = self.load()

    def _git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=bench", "-c", "user.email=bench@invalid", "-c", "core.autocrlf=false")
        subprocess.run(["git", *identity, "-C", str(self.work), *arguments], check=True)  # noqa: S603, S607 - our own

    def load(self) -> LoadedRepo:
        """Commit what is there, and load it."""
        self._git("add", "-A", "-f")
        self._git("commit", "-qm", "files")
        return self._loader.load(LoadRepo(path=str(self.work)), _unwatched())

    def build(self) -> float:
        """Index the loaded commit; seconds."""
        start = time.perf_counter()
        with self._loader.opened(self.repo, _unwatched()).objects() as objects:
            build_index(objects, self.repo, self.index, _unwatched())
        return time.perf_counter() - start

    @property
    def target(self) -> Target:
        """What is searched."""
        return Target(self.repo.id, self.repo.name, self.repo.commit)

    def files(self) -> list[Path]:
        """All files in the work tree."""
        return [path for path in sorted(self.work.glob("[0-9]*/**/*")) if path.is_file() and not path.is_symlink()]

    def text_bytes(self) -> int:
        """Of the files that are searched."""
        manifest = IndexFolder(self.index, self.repo.id).read_manifest(self.repo.commit)
        assert manifest is not None  # noqa: S101 - it was just written
        return sum(file.size for file in manifest.files if not file.skip)


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name in (".git", "__pycache__")}


def _unwatched() -> Supervision:
    return Supervision(seconds=3_600, report=lambda _: None)


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


def run(trees: Sequence[Path], console: Console) -> None:
    """Measure everything and print it."""
    process, idle = psutil.Process(), psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory(prefix="tooloo-bench-") as folder:
        bench = Bench(Path(folder), trees)
        seconds = bench.build()
        size, on_disk = bench.text_bytes(), IndexFolder(bench.index, bench.repo.id).bytes()
        memory = (process.memory_info().rss - idle) / _MEGABYTE
        console.print(
            f"indexed {size / _MEGABYTE:,.0f} MB of text in {seconds:.1f} s: {size / _MEGABYTE / seconds:.1f} MB/s; "
            f"the index has {on_disk / size:.2f} of its size; {memory:,.0f} MB of memory more than before"
        )
        service = SearchService(bench.index)

        def search(query: str) -> int:
            return service.search(parse(query), [bench.target], 50).total

        words = [word for word in words_of(bench) if 0 < search(f"{word} case:yes") <= _RARE][:_QUERIES]
        console.print(_table(bench, search, words))
        memory = (process.memory_info().rss - idle) / size
        console.print(f"memory with the index warm: {memory:.2f} of the text searched")
        for number, path in enumerate(bench.files()[:_UPDATED]):
            path.write_bytes(path.read_bytes() + f"\nupdated-{number}-zq\n".encode())
        bench.repo = bench.load()
        console.print(f"an update of {_UPDATED} files is searchable after {bench.build():.2f} s")


def _table(bench: Bench, search: Callable[[str], int], words: Sequence[str]) -> Table:
    table = Table(title=f"{len(words)} words with at most {_RARE} files each, ms")
    for column in ("", "p50", "p99"):
        table.add_column(column, justify="right" if column else "left")
    selective = [timed(lambda word=word: search(f"{word} case:yes")) for word in words]
    for title, times in (
        ("selective", selective),
        ("selective, in any case", [timed(lambda word=word: search(word)) for word in words]),
        ("regular expression", [timed(lambda word=word: search(f"/\\b{word}\\b/ case:yes")) for word in words]),
        ("no match", [timed(lambda word=word: search(f"{word}zqzq")) for word in words]),
        ("broad (return), counted", [timed(lambda: search("return")) for _ in range(5)]),
    ):
        table.add_row(
            title, f"{median(times) * 1000:.1f}", f"{quantiles(times, n=100, method='inclusive')[98] * 1000:.1f}"
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
    run(chosen.trees, Console(width=120))


if __name__ == "__main__":
    main()
