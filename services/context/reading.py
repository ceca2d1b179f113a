"""Reading a stored repository: folders, files and history, straight from its objects. Everything here blocks."""

import re
from base64 import b64encode
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heappop, heappush
from pathlib import Path

from dulwich.objects import Commit, ObjectID

from models.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Problem,
    TooLargeError,
    UnavailableError,
)
from models.repositories import CommitInfo, EntryType, FileContents, TreeEntry
from services.context.objects import (
    FORMAT_MASK,
    MODE_SUBMODULE,
    MODE_SYMLINK,
    MODE_TREE,
    CommitHeader,
    Objects,
    printable,
)
from services.context.revisions import as_abbreviation, as_commit
from services.context.store import RepositoryStore, StoredRepository
from services.context.trees import MAX_DEPTH

MAX_FILE = 2 * 2**20
"""Bytes of a file that is given: it is held in memory, and as JSON once more."""
MAX_WALK = 20_000
"""Commits that are looked at for one page of a history; some seconds of work."""
_LINES = re.compile(r"([1-9]\d{0,8})(?:-([1-9]\d{0,8}))?")
_SUBJECT = 500
_TYPES: Mapping[int, EntryType] = {MODE_TREE: "folder", MODE_SYMLINK: "symlink", MODE_SUBMODULE: "submodule"}

_NO_PATH = "There is nothing at this path."


@dataclass(frozen=True)
class Entry:
    """What a path leads to."""

    mode: int
    sha: ObjectID

    @property
    def type(self) -> EntryType:
        """What it is."""
        return _TYPES.get(self.mode & FORMAT_MASK, "file")


def parse_path(path: str) -> tuple[bytes, ...]:
    """The names of a path from the top, none for the top itself. Raises InvalidInputError (`bad-path`)."""
    try:
        names = tuple(path.rstrip("/").encode().split(b"/")) if path.strip("/") else ()
    except UnicodeEncodeError:
        names = (b"",)
    unreal = any(name in {b"", b".", b".."} or name.lower() == b".git" or b"\0" in name for name in names)
    if unreal or path.startswith("/") or len(names) > MAX_DEPTH:
        message = "A path goes from the top of the repository to a file or folder in it, such as docs/index.md."
        raise _bad_query("path", "bad-path", message)
    return names


def parse_lines(lines: str | None) -> tuple[int, int] | None:
    """First and last line, from `10-20` or `10`. Raises InvalidInputError (`bad-lines`)."""
    if lines is None:
        return None
    match = _LINES.fullmatch(lines)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if last < first:
        raise _bad_query("lines", "bad-lines", "Lines are a number, or two with the larger one last: 10-20.")
    return first, last


@contextmanager
def opened(store: Path, repository_id: str) -> Generator[tuple[StoredRepository, Objects]]:
    """A repository of the store and its objects.

    Raises UnavailableError when the store is out of reach, ConflictError (`not-loaded`) when it lacks the repository.
    """
    if not store.is_dir():
        raise UnavailableError("The object store cannot be reached from here (TOOLOO_STORE).")
    stored = RepositoryStore(store).find(repository_id)
    if stored is None:
        raise ConflictError("The repository is not in the object store any more: refresh it.", code="not-loaded")
    with stored.objects() as objects:
        yield stored, objects


def served_commit(stored: StoredRepository, rev: str) -> ObjectID:
    """The commit that is served under its name, or the start of it. Raises NotFoundError (`unknown-rev`)."""
    digits = as_commit(rev) or as_abbreviation(rev)
    if digits is not None:
        found = [sha for sha in stored.marked() if sha.startswith(digits)]
        if len(found) == 1:
            return found[0]
        if found:
            raise _bad_query("rev", "ambiguous-rev", f"{rev} abbreviates several commits: give more digits.")
    raise NotFoundError(
        f"No branch, tag or commit {rev!r} of this repository was loaded: load it with that ref.", code="unknown-rev"
    )


def _entry_at(objects: Objects, tree: ObjectID, names: Sequence[bytes]) -> Entry | None:
    """What lies at a path, None for nothing. Symbolic links are not followed."""
    entry = Entry(MODE_TREE, tree)
    for name in names:
        if entry.type != "folder":
            return None
        found = objects.tree(entry.sha).get(name)
        if found is None:
            return None
        entry = Entry(*found)
    return entry


def list_folder(objects: Objects, commit: ObjectID, names: Sequence[bytes], start: int, count: int) -> list[TreeEntry]:
    """Entries of a folder by name, folders first; from the place `start` on, at most `count`.

    Raises NotFoundError, also for a file.
    """
    folder = _entry_at(objects, objects.commit(commit).tree, names)
    if folder is None or folder.type != "folder":
        raise NotFoundError(_NO_PATH)
    entries = [(name, Entry(*found)) for name, found in objects.tree(folder.sha).items()]
    entries.sort(key=lambda one: (one[1].type != "folder", one[0]))
    return [_tree_entry(objects, (*names, name), entry) for name, entry in entries[start : start + count]]


def _tree_entry(objects: Objects, names: Sequence[bytes], entry: Entry) -> TreeEntry:
    has_size = entry.type in {"file", "symlink"}
    return TreeEntry(
        name=printable(names[-1]),
        path=printable(b"/".join(names)),
        type=entry.type,
        size=objects.size(entry.sha) if has_size else None,
    )


def read_file(
    objects: Objects, commit: ObjectID, names: Sequence[bytes], lines: tuple[int, int] | None
) -> FileContents:
    """A file, or some lines of it; of a symbolic link, where it leads.

    Raises NotFoundError for what is no file, TooLargeError above `MAX_FILE`, and InvalidInputError for lines of a file
    that has none.
    """
    entry = _entry_at(objects, objects.commit(commit).tree, names)
    if entry is None or entry.type in {"folder", "submodule"}:
        raise NotFoundError(_NO_PATH)
    data = _contents(objects, entry)
    text = _text(data)
    if text is None and lines is not None:
        raise _bad_query("lines", "binary-file", "The file is binary: it has no lines.")
    content, first, last, every = (b64encode(data).decode(), None, None, None) if text is None else _cut(text, lines)
    return FileContents(
        path=printable(b"/".join(names)),
        commit=commit.decode(),
        type=entry.type,
        size=len(data),
        encoding="base64" if text is None else "utf-8",
        content=content,
        lines=every,
        first_line=first,
        last_line=last,
    )


def read_source(objects: Objects, commit: ObjectID, names: Sequence[bytes]) -> bytes | None:
    """The bytes of a file; None for a folder. Raises NotFoundError for anything else, TooLargeError as `read_file`."""
    entry = _entry_at(objects, objects.commit(commit).tree, names)
    if entry is None or entry.type in {"symlink", "submodule"}:
        raise NotFoundError(_NO_PATH)
    return None if entry.type == "folder" else _contents(objects, entry)


def _contents(objects: Objects, entry: Entry) -> bytes:
    size = objects.size(entry.sha)
    if size > MAX_FILE:
        raise TooLargeError(f"The file has {size} bytes; files up to {MAX_FILE} are given.", code="file-too-large")
    return objects.blob(entry.sha)


def _text(data: bytes) -> str | None:
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _cut(text: str, lines: tuple[int, int] | None) -> tuple[str, int | None, int | None, int]:
    """The wanted lines, the first and the last of their numbers, and how many there are in all.

    Only a newline ends a line, as in Git.
    """
    parts = text.split("\n")
    every = [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
    first, last = lines or (1, len(every))
    wanted = every[first - 1 : last]
    if not wanted:
        return "", None, None, len(every)
    return "".join(wanted), first, first + len(wanted) - 1, len(every)


@dataclass(frozen=True)
class HistoryPage:
    """Commits that changed a path, newest first."""

    commits: tuple[CommitInfo, ...]
    complete: bool
    """False when the walk was given up: there may be older ones."""


def read_history(objects: Objects, tip: ObjectID, names: Sequence[bytes], skip: int, count: int) -> HistoryPage:
    """Commits that changed what lies at a path, as `git log -- path` lists them: without the first `skip`.

    As there, a merge that took a path over from one parent is no change of it, and only that parent is followed.
    """
    found: list[tuple[ObjectID, CommitHeader]] = []
    first = objects.commit(tip)
    queue = [(-first.committed_at, 0, tip, first)]
    seen = {tip}
    walked = 0
    while queue and len(found) < skip + count and walked < MAX_WALK:
        _, _, sha, header = heappop(queue)
        walked += 1
        here = _entry_at(objects, header.tree, names)
        parents = [(parent, objects.commit(parent)) for parent in header.parents]
        same = next((each for each in parents if _entry_at(objects, each[1].tree, names) == here), None)
        if same is None and (here is not None or parents):
            found.append((sha, header))
        for parent, its_header in parents if same is None else (same,):
            if parent not in seen:
                seen.add(parent)
                heappush(queue, (-its_header.committed_at, len(seen), parent, its_header))
    given_up = bool(queue) and len(found) < skip + count
    return HistoryPage(tuple(_commit_info(objects, *each) for each in found[skip:]), complete=not given_up)


def _commit_info(objects: Objects, sha: ObjectID, header: CommitHeader) -> CommitInfo:
    message = objects.raw(sha, Commit.type_num).partition(b"\n\n")[2]
    subject = printable(message.strip().partition(b"\n")[0]).replace("\0", "\ufffd")
    return CommitInfo(
        commit=sha.decode(),
        author=header.author,
        authored_at=datetime.fromtimestamp(header.authored_at, UTC),
        subject=subject[:_SUBJECT],
    )


def _bad_query(parameter: str, code: str, message: str) -> InvalidInputError:
    problem = Problem(pointer=f"/query/{parameter}", code=code, message=message)
    return InvalidInputError(message, code=code, problems=[problem])
