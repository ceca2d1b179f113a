"""Our symbols against universal-ctags': which of the functions and classes it finds, we find too, and how fast.

`python -m benchmarks.symbols_oracle PATH… [--language NAME] [--misses N]` walks the folders and prints a table by
language; `--misses` shows some names that only ctags has. A name is found when ours has its spelling and its line.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from services.context.languages import language_of
from services.context.symbols import LANGUAGES, MAX_BYTES, Symbol, symbols_of
from services.context.symbols.grammars import grammar_of

SHARE = 0.95
"""Of ctags' functions and classes, at least."""
_CTAGS_NAMES = {"Shell": "Sh"}
_KINDS = {
    "C": "fs",
    "C++": "fsc",
    "Go": "fsi",
    "Java": "cimg",
    "JavaScript": "fcmg",
    "Python": "cfm",
    "Ruby": "cfmS",
    "Rust": "sifgP",
    "Shell": "f",
    "TypeScript": "fcmig",
}
"""ctags' letters for functions, methods, classes and their kin."""
_OBJECT = re.compile(rb"(?!.*\b(?:class|function)\b)")
"""A line of JavaScript that makes no class: ctags calls object literals and owners of functions classes, too."""

_NAMELESS = ("__anon", "anonymous", "AnonymousFunction")

Tag = tuple[str, int]


@dataclass
class Tally:
    """What was compared of one language."""

    files: int = 0
    size: int = 0
    seconds: float = 0.0
    theirs: int = 0
    found: int = 0
    skipped: int = 0
    misses: list[str] = field(default_factory=list[str])


def _sources(folders: Sequence[Path], only: str | None) -> Iterator[tuple[str, Path, bytes]]:
    """Language, path and bytes of each source file, each content once."""
    seen: set[bytes] = set()
    for folder in folders:
        for path in sorted(each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()):
            start = path.open("rb").read(128) if os.access(path, os.R_OK) else b""
            language = language_of(path.name, start).name
            if language not in LANGUAGES or path.stat().st_size > MAX_BYTES:
                continue
            source = path.read_bytes()
            if source not in seen:
                seen.add(source)
                is_cpp = grammar_of(language, source, str(path)) is grammar_of("C++", b"", "")
                language = "C++" if is_cpp else language
                if only in {None, language}:
                    yield language, path, source


def _ctags(language: str, sources: dict[str, bytes]) -> dict[str, set[Tag]]:
    """The names and lines that ctags finds, by file."""
    name = _CTAGS_NAMES.get(language, language)
    done = subprocess.run(  # noqa: S603
        [
            *(shutil.which("ctags") or "ctags", "--quiet", "--options=NONE", "-x", "--_xformat=%N\t%n\t%K\t%F", "-u"),
            *(f"--language-force={name}", f"--kinds-{name}={_KINDS[language]}", "-L", "-"),
        ],
        input="\n".join(sources),
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )
    lines_of = cache(lambda path: sources[path].split(b"\n"))
    tags: dict[str, set[Tag]] = defaultdict(set)
    for line in done.stdout.splitlines():
        spelling, number, kind, path = line.split("\t")
        if spelling.startswith(_NAMELESS):
            continue
        if language == "JavaScript" and kind == "class" and _OBJECT.match(lines_of(path)[int(number) - 1]):
            continue
        tags[path].add(("".join(spelling.split()), int(number)))
    return tags


def _compare(tally: Tally, path: Path, ours: Sequence[Symbol], theirs: set[Tag]) -> None:
    missing = theirs - {(each.name.removeprefix("#"), each.line) for each in ours}  # ctags leaves JavaScript's # out
    tally.theirs += len(theirs)
    tally.found += len(theirs) - len(missing)
    tally.misses.extend(f"{path}:{line}: {name}" for name, line in sorted(missing, key=lambda each: each[1]))


def _measure(folders: Sequence[Path], only: str | None) -> dict[str, Tally]:
    by_language: dict[str, list[tuple[Path, bytes]]] = defaultdict(list)
    for language, path, source in _sources(folders, only):
        by_language[language].append((path, source))
    tallies: dict[str, Tally] = {}
    for language, files in sorted(by_language.items()):
        tally = tallies[language] = Tally(files=len(files), size=sum(len(source) for _, source in files))
        tags = _ctags(language, {str(path): source for path, source in files})
        for path, source in files:
            began = time.perf_counter()
            ours = symbols_of(language, source, str(path))
            tally.seconds += time.perf_counter() - began
            if ours is None:
                tally.skipped += 1
            else:
                _compare(tally, path, ours, tags[str(path)])
    return tallies


def main() -> int:
    """Compare, print, and say whether every language is found well enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--language", choices=sorted(LANGUAGES))
    parser.add_argument("--misses", type=int, default=0)
    arguments = parser.parse_args()
    if shutil.which("ctags") is None:
        print("needs universal-ctags; on Debian: apt-get install universal-ctags", file=sys.stderr)
        return 1
    tallies = _measure(arguments.paths, arguments.language)
    print(f"{'language':<12}{'files':>7}{'MB':>8}{'MB/s':>7}{'ctags':>9}{'found':>9}{'share':>8}{'skipped':>9}")
    for language, each in tallies.items():
        share = each.found / each.theirs if each.theirs else 1.0
        print(
            f"{language:<12}{each.files:>7}{each.size / 1e6:>8.1f}{each.size / 1e6 / max(each.seconds, 1e-9):>7.1f}"
            f"{each.theirs:>9}{each.found:>9}{share:>8.1%}{each.skipped:>9}"
        )
    for language, each in tallies.items():
        step = max(1, len(each.misses) // arguments.misses) if arguments.misses else 0
        for miss in each.misses[:: step or None][: arguments.misses]:
            print(f"{language}: {miss}")
    return 0 if all(each.found >= SHARE * each.theirs for each in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
