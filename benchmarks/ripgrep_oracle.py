"""Our search against ripgrep's: of patterns that are cut out of the files by chance, the same lines.

`./tooloo bench ripgrep_oracle PATH [PATH …] [--patterns N]` loads and indexes copies of the folders; it prints a table.
What is not indexed (docs/context.md) is taken out of the copies before ripgrep looks at them.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.context import LoadRepo
from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.search.evaluation import MOST_MATCHES, Target
from services.context.search.indexing import build_index
from services.context.search.query import parse
from services.context.search.searching import SearchService
from services.context.supervision import Limits, Supervision

Lines = set[tuple[str, int]]
"""Paths and numbers from 1."""
_RIPGREP = Path(sysconfig.get_path("scripts")) / "rg"
_SEED = 6
_SAMPLED = 200_000
"""Lines that patterns are cut out of."""


@dataclass(frozen=True)
class Case:
    """One pattern, as either is asked for it."""

    kind: str
    query: str
    pattern: str
    options: tuple[str, ...]


def literals(lines: Sequence[str], chance: random.Random, count: int) -> Iterator[Case]:
    """Pieces of lines, each with and without its case."""
    while count > 0:
        line = chance.choice(lines)
        start = chance.randrange(len(line))
        literal = line[start : start + chance.randint(1, 20)].strip()
        if not literal or "\ufffd" in literal:
            continue
        quoted = literal.replace("\\", "\\\\").replace('"', '\\"')
        yield Case("literal", f'"{quoted}" case:yes', literal, ("-F", "--case-sensitive"))
        yield Case("literal, any case", f'"{quoted}"', literal, ("-F", "--ignore-case"))
        count -= 2


def expressions(lines: Sequence[str], chance: random.Random, count: int) -> Iterator[Case]:
    """Regular expressions of words that are there."""
    while count > 0:
        words = re.findall(r"[a-z]{2,}", chance.choice(lines))
        if not words:
            continue
        word, other = chance.choice(words), chance.choice(words)
        pattern = chance.choice(
            (
                f"{word}.*{other}",
                f"^ *{word}",
                f"{word}$",
                f"({word}|{other}[a-z]+)",
                f"{word[:-1]}{word[-1]}?[^a-z ]",
                f"[{word}]{{3}}_",
                f"{word} +{other}|{other}\\(",
                f"\\b{word}\\b",
            )
        )
        options = ("--no-unicode", "--case-sensitive")
        yield Case("regular expression", f"/{pattern}/ case:yes", pattern, options)
        count -= 1


def ripgrep(folder: Path, case: Case, *more: str) -> Lines:
    """The lines that ripgrep finds below a folder."""
    command = [str(_RIPGREP), "--no-config", "--no-ignore", "--hidden", "--glob=!.git", "--json", *more, *case.options]
    done = subprocess.run([*command, "-e", case.pattern, "."], cwd=folder, capture_output=True, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise ValueError(done.stderr.decode())
    events = (json.loads(line) for line in done.stdout.splitlines())
    matches = (event["data"] for event in events if event["type"] == "match")
    return {(one["path"]["text"].removeprefix("./"), one["line_number"]) for one in matches if "text" in one["path"]}


def _git(work: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@invalid", "-c", "core.autocrlf=false")
    subprocess.run(["git", *identity, "-C", str(work), *arguments], check=True)  # noqa: S603, S607 - our own


def _capped(lines: Lines) -> Lines:
    """Without files of which we show the first lines only."""
    counts: dict[str, int] = {}
    for path, _ in lines:
        counts[path] = counts.get(path, 0) + 1
    return {(path, line) for path, line in lines if counts[path] < MOST_MATCHES}


@dataclass(frozen=True)
class Copy:
    """Folders that were copied and indexed; `work` has the files that are searched, and no others."""

    work: Path
    service: SearchService
    target: Target
    files: int

    @classmethod
    def of(cls, trees: Sequence[Path], folder: Path) -> "Copy":
        """Make it below a folder."""
        work, supervision = folder / "roots" / "work", Supervision(seconds=36_000, report=lambda _: None)
        for number, tree in enumerate(trees):
            shutil.copytree(tree, work / f"{number}-{tree.name}", ignore=shutil.ignore_patterns(".git", "__pycache__"))
        _git(work, "init", "-q", "-b", "main")
        _git(work, "add", "-A", "-f")
        _git(work, "commit", "-qm", "files")
        loader = Loader(folder / "store", (folder / "roots",), AddressRules(()), "https://forge.invalid", Limits())
        repo = loader.load(LoadRepo(path=str(work)), supervision)
        with loader.opened(repo, supervision).objects() as objects:
            indexed = build_index(objects, repo, folder / "index", supervision)
        target, service = Target(repo.id, repo.name, repo.commit), SearchService(folder / "index")
        for skipped in service.skipped([target], most=sys.maxsize):
            (work / skipped.path).unlink(missing_ok=True)
        return cls(work, service, target, indexed.files)

    def lines(self, chance: random.Random) -> list[str]:
        """Lines of some files, to cut patterns out of."""
        files = [path for path in sorted(self.work.glob("[0-9]*/**/*")) if path.is_file()]
        chance.shuffle(files)
        lines: list[str] = []
        for path in files:
            lines += filter(None, path.read_text("utf-8", "replace").splitlines())
            if len(lines) > _SAMPLED:
                break
        return lines

    def search(self, case: Case) -> Lines:
        """The lines that we find."""
        found = self.service.search(parse(case.query), [self.target], sys.maxsize, seconds=600)
        return {(item.path, match.line) for item in found.items for match in item.matches}


def run(trees: Sequence[Path], patterns: int, console: Console) -> bool:
    """Compare, and print how it went; whether all was the same."""
    totals: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory(prefix="tooloo-oracle-") as folder:
        copy, chance = Copy.of(trees, Path(folder)), random.Random(_SEED)
        lines = copy.lines(chance)
        for case in (*literals(lines, chance, patterns // 2), *expressions(lines, chance, patterns // 2)):
            ours, theirs = _capped(copy.search(case)), _capped(ripgrep(copy.work, case))
            if ours != theirs:
                console.print(f"{case.query}: {sorted(ours ^ theirs)[:3]}", markup=False)
            row = (1, len(theirs), len(theirs - ours), len(ours - theirs))
            totals[case.kind] = [old + new for old, new in zip(totals.get(case.kind, [0] * 4), row, strict=True)]
    table = Table(title=f"the same lines as ripgrep's, in {copy.files:,} files")
    for column in ("", "patterns", "lines of ripgrep", "only ripgrep", "only ours"):
        table.add_column(column, justify="right" if column else "left")
    for kind, row in totals.items():
        table.add_row(kind, *(f"{number:,}" for number in row))
    console.print(table)
    return all(row[2] == row[3] == 0 for row in totals.values())


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; exit code 1 when anything differs."""
    parser = argparse.ArgumentParser(prog="tooloo bench ripgrep_oracle", description=__doc__)
    parser.add_argument("trees", metavar="PATH", type=Path, nargs="+", help="folders with sources")
    parser.add_argument("--patterns", type=int, default=500, help="how many; 500 unless said")
    chosen = parser.parse_args(arguments)
    sys.exit(not run(chosen.trees, chosen.patterns, Console(width=120)))


if __name__ == "__main__":
    main()
