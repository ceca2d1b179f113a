"""Who knows which part of the code, as far as commits tell. Pure.

A change is one commit, not a merge, that touched one file by its path; renames are not followed. The main author of a
file is who made most of its changes, that of a folder who made most of the changes of all files below it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.understanding import Owned, Ownership

TOP = 20
MAX_FOLDER_DEPTH = 2
OFTEN = 3
"""Changes from which on it means something that one person made them all."""


@dataclass
class Changes:
    """Changes of the files that are asked about, by author. Memory: a number per file and author of it."""

    files: dict[bytes, dict[int, int]]
    """By path, then by author; only these paths are counted."""
    names: list[str] = field(default_factory=list[str])
    _ids: dict[str, int] = field(default_factory=dict[str, int])

    @classmethod
    def of(cls, paths: Iterable[bytes]) -> "Changes":
        """No changes of these paths yet."""
        return cls({path: {} for path in paths})

    def add(self, author: str, paths: Iterable[bytes]) -> None:
        """Count a commit."""
        who = self._ids.get(author)
        if who is None:
            who = self._ids[author] = len(self.names)
            self.names.append(author)
        for path in paths:
            counts = self.files.get(path)
            if counts is not None:
                counts[who] = counts.get(who, 0) + 1

    def by_path(self) -> dict[bytes, int]:
        """How many commits touched each of the files."""
        return {path: sum(counts.values()) for path, counts in self.files.items()}


def bus_factor(commits: Iterable[int]) -> int:
    """The fewest authors who together made more than half of all commits; 0 when there are none."""
    ranked = sorted(commits, reverse=True)
    total, reached = sum(ranked), 0
    for people, count in enumerate(ranked, start=1):
        reached += count
        if 2 * reached > total:
            return people
    return 0


def ownership(changes: Changes, commits: Iterable[int]) -> Ownership:
    """Owners of files and folders; `commits`: of each author, merges included."""
    changed = {path: counts for path, counts in changes.files.items() if counts}
    often = [counts for counts in changed.values() if sum(counts.values()) >= OFTEN]
    return Ownership(
        bus_factor=bus_factor(commits),
        folders=_top(_by_folder(changed), changes.names),
        files=_top(changed, changes.names),
        files_of_one=sum(len(counts) == 1 for counts in often),
        files_changed_often=len(often),
    )


def _by_folder(changed: Mapping[bytes, Mapping[int, int]]) -> dict[bytes, Counter[int]]:
    """Changes of the folders, the root among them as `/`, by author."""
    folders: dict[bytes, Counter[int]] = {}
    for path, counts in changed.items():
        parts = path.split(b"/")[:-1][:MAX_FOLDER_DEPTH]
        for depth in range(len(parts) + 1):
            folders.setdefault(b"/".join(parts[:depth]) + b"/", Counter()).update(counts)
    return folders


def _top(changed: Mapping[bytes, Mapping[int, int]], names: list[str]) -> tuple[Owned, ...]:
    ranked = sorted(changed.items(), key=lambda item: (-sum(item[1].values()), item[0]))[:TOP]
    return tuple(_owned(path, counts, names) for path, counts in ranked)


def _owned(path: bytes, counts: Mapping[int, int], names: list[str]) -> Owned:
    total = sum(counts.values())
    most, author = min((-count, names[who]) for who, count in counts.items())
    return Owned(
        path=path.decode("utf-8", "replace"),
        author=author,
        share=round(-most / total, 4),
        changes=total,
        authors=len(counts),
    )
