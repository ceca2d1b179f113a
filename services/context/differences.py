"""What changed between two commits: files, renames as Git finds them, lines.

Files are compared by their tree entries; only what differs is read. Lines are the fewest that lead from one to the
other. Git's attributes and submodules play no part.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dulwich.objects import ObjectID

from models.context import Difference, LoadedRepo
from models.errors import InvalidInputError
from models.understanding import ChangeKind, FileChange
from services.context.history import changed_entries
from services.context.line_changes import TooManyLinesError, changed_lines
from services.context.objects import (
    BINARY_PROBE,
    FORMAT_MASK,
    MODE_SUBMODULE,
    Objects,
    TreeFile,
    is_binary,
    is_file,
    printable,
)
from services.context.renames import Rename, find_renames
from services.context.supervision import Supervision

MAX_TEXT = 2 * 2**20
"""Bytes of a file whose lines are compared."""
MAX_LISTED = 1_000


@dataclass(frozen=True)
class _Pair:
    """A file before and after; one of them is None for a file added or removed."""

    old: TreeFile | None
    new: TreeFile | None
    similarity: float | None = None
    """Of a renamed file."""

    @property
    def path(self) -> bytes:
        entry = self.new or self.old
        return entry.path if entry else b""

    @property
    def change(self) -> ChangeKind:
        if self.old is None:
            return "added"
        if self.new is None:
            return "removed"
        return "modified" if self.similarity is None else "renamed"


@dataclass
class _Changes:
    added: list[TreeFile] = field(default_factory=list[TreeFile])
    removed: list[TreeFile] = field(default_factory=list[TreeFile])
    modified: list[_Pair] = field(default_factory=list[_Pair])
    submodules: int = 0


def difference(objects: Objects, repo: LoadedRepo, base: str, supervision: Supervision) -> Difference:
    """What leads from the commit `base` to the repository's; both have to be in the store with their trees."""
    supervision.progress("compare trees")
    trees = [objects.commit(ObjectID(commit.encode("ascii"))).tree for commit in (base, repo.commit)]
    changes = _changes(objects, trees[0], trees[1])
    supervision.progress("find renames", added=len(changes.added), removed=len(changes.removed))
    contents = _Contents(objects)
    renames, pairs_left_out = find_renames(changes.removed, changes.added, contents.text, supervision.check)
    pairs = sorted(_pairs(changes, renames), key=lambda pair: pair.path)
    files: list[FileChange] = []
    kinds: Counter[str] = Counter()
    added = removed = binary = 0
    for done, pair in enumerate(pairs):
        supervision.progress("compare files", done=done, total=len(pairs))
        file = _compare(pair, contents)
        kinds[file.change] += 1
        binary += file.binary
        added += file.lines_added or 0
        removed += file.lines_removed or 0
        if len(files) < MAX_LISTED:
            files.append(file)
    left_out = Counter(contents.left_out)
    left_out.update(
        {
            "not-listed": len(pairs) - len(files),
            "submodule": changes.submodules,
            "rename-pairs": pairs_left_out,
        }
    )
    return Difference(
        repo=repo,
        base_commit=base,
        files_added=kinds["added"],
        files_removed=kinds["removed"],
        files_modified=kinds["modified"],
        files_renamed=kinds["renamed"],
        binary_files=binary,
        lines_added=added,
        lines_removed=removed,
        files=tuple(files),
        left_out=dict(sorted((+left_out).items())),
    )


class _Contents:
    """Reads files; those that cannot be read or are too large are counted, and None."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self.left_out: Counter[str] = Counter()

    def text(self, sha: ObjectID) -> bytes | None:
        """The contents of a file that can be compared."""
        return self._objects.small_blob(sha, MAX_TEXT)

    def start(self, sha: ObjectID) -> bytes | None:
        """The first bytes of a file; None, and counted, when they cannot be read or take reading too much."""
        try:
            start = self._objects.start(sha, BINARY_PROBE)
        except InvalidInputError:
            self.left_out["unreadable"] += 1
            return None
        self.left_out["too-large"] += start is None
        return start


def _compare(pair: _Pair, contents: _Contents) -> FileChange:
    """Count the lines of one file."""
    sides = [entry.sha for entry in (pair.old, pair.new) if entry is not None]
    lines: tuple[int, int] | None = None
    binary = False
    if len(sides) == 2 and sides[0] == sides[1]:  # noqa: PLR2004 both sides
        start = contents.start(sides[0])
        binary = start is not None and is_binary(start)
        lines = None if start is None or binary else (0, 0)
    else:
        texts = [contents.text(sha) for sha in sides]
        starts = [contents.start(sha) if text is None else text for sha, text in zip(sides, texts, strict=True)]
        binary = any(start is not None and is_binary(start) for start in starts)
        if not binary and None not in starts:
            lines = _count(pair, texts, contents)
    return FileChange(
        path=printable(pair.path),
        change=pair.change,
        old_path=printable(pair.old.path) if pair.old and pair.similarity is not None else None,
        similarity=pair.similarity,
        binary=binary,
        lines_added=lines[0] if lines else None,
        lines_removed=lines[1] if lines else None,
    )


def _count(pair: _Pair, texts: list[bytes | None], contents: _Contents) -> tuple[int, int] | None:
    """Lines added and removed; None, and counted, where the files are too large to compare."""
    before = b"" if pair.old is None else texts[0]
    after = b"" if pair.new is None else texts[-1]
    if before is not None and after is not None:
        try:
            return changed_lines(before, after)
        except TooManyLinesError:
            pass
    contents.left_out["too-large"] += 1
    return None


def _pairs(changes: _Changes, renames: list[Rename]) -> Iterator[_Pair]:
    gone = {rename.old.path for rename in renames}
    come = {rename.new.path for rename in renames}
    yield from changes.modified
    yield from (_Pair(rename.old, rename.new, rename.similarity) for rename in renames)
    yield from (_Pair(entry, None) for entry in changes.removed if entry.path not in gone)
    yield from (_Pair(None, entry) for entry in changes.added if entry.path not in come)


def _changes(objects: Objects, before: ObjectID, after: ObjectID) -> _Changes:
    """The files in which two trees differ, without those of folders that are the same."""
    changes = _Changes()
    for path, *sides in changed_entries(objects, before, after):
        old, new = (TreeFile(path, *side) for side in sides)
        changes.submodules += any(each.mode & FORMAT_MASK == MODE_SUBMODULE for each in (old, new))
        if is_file(old.mode) and is_file(new.mode):
            changes.modified.append(_Pair(old, new))
        elif is_file(old.mode):
            changes.removed.append(old)
        elif is_file(new.mode):
            changes.added.append(new)
    return changes
