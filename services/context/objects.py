"""Objects of a stored repository, read for analysis: straight from packs, nothing is ever checked out."""

import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dulwich.lru_cache import LRUSizeCache
from dulwich.object_store import DiskObjectStore
from dulwich.objects import Blob, Commit, ObjectID, Tag, Tree, parse_tree, valid_hexsha

from models.errors import InvalidInputError
from services.context.packs import Buffer, damaged, entry_header, object_size

TREE_CACHE_BYTES = 48 * 2**20
"""For the trees that neighbouring commits share; enough for the 4,000 folders of a large monorepo."""
MAX_DELTA = 32 * 2**20
"""Bytes of a file of which the start is wanted, when that takes putting it together: several times its size."""
_START_BYTES = 2**16
_ENTRY_BYTES = 200
"""Of memory an entry of a parsed tree takes, roughly."""
_LATEST = 253_402_300_799
"""The last second of the year 9999: the end of what datetime can say."""
MODE_TREE, MODE_SYMLINK, MODE_SUBMODULE = 0o040000, 0o120000, 0o160000
FORMAT_MASK = 0o170000
BINARY_PROBE = 8_000
"""A NUL among the first 8,000 bytes makes a file binary: Git's own rule."""

TreeEntries = dict[bytes, tuple[int, ObjectID]]


def is_file(mode: int) -> bool:
    """Whether a tree entry is a file or a symbolic link; the mode 0 stands for no entry."""
    return mode & FORMAT_MASK not in {0, MODE_TREE, MODE_SUBMODULE}


def is_binary(start: bytes) -> bool:
    """Whether a file that begins so is no text."""
    return b"\0" in start[:BINARY_PROBE]


def printable(path: bytes) -> str:
    """A path as text; what is not UTF-8 is shown as replacement characters."""
    return path.decode("utf-8", "replace")


@dataclass(frozen=True)
class TreeFile:
    """A file of a commit's tree."""

    path: bytes
    mode: int
    sha: ObjectID

    @property
    def name(self) -> bytes:
        """Without its folders."""
        return self.path.rpartition(b"/")[2]


@dataclass(frozen=True)
class CommitHeader:
    """What the history of a repository is told from."""

    tree: ObjectID
    parents: tuple[ObjectID, ...]
    author: str
    authored_at: int
    """Unix time in seconds."""
    committed_at: int


def _name(line: bytes, encoding: str) -> str:
    name = line.partition(b"<")[0]
    try:
        text = name.decode(encoding, "replace")
    except LookupError:
        text = name.decode("utf-8", "replace")
    return text.strip().replace("\0", "")


def _time(line: bytes) -> int:
    stamp = line.rpartition(b">")[2].split()
    return min(int(stamp[0]), _LATEST) if stamp and stamp[0].isdigit() else 0


def parse_commit(raw: bytes) -> CommitHeader:
    """Read a commit as leniently as Git does: old histories hold time zones and names that strict parsers refuse."""
    tree = ObjectID(b"")
    parents: list[ObjectID] = []
    author, committer, encoding = b"", b"", "utf-8"
    for line in raw.partition(b"\n\n")[0].split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree" and not tree:
            tree = ObjectID(value)
        elif key == b"parent":
            parents.append(ObjectID(value))
        elif key == b"author" and not author:
            author = value
        elif key == b"committer" and not committer:
            committer = value
        elif key == b"encoding":
            encoding = value.decode("ascii", "replace")
    if not all(valid_hexsha(sha) for sha in (tree, *parents)):
        raise damaged("a commit cannot be read")
    return CommitHeader(tree, tuple(parents), _name(author, encoding), _time(author), _time(committer))


class Objects:
    """Reads the objects of one stored repository. Not shared between threads."""

    def __init__(self, store: DiskObjectStore, shallow: frozenset[bytes]) -> None:
        self._store = store
        self._shallow = shallow
        self._trees: LRUSizeCache[ObjectID, TreeEntries] = LRUSizeCache(
            TREE_CACHE_BYTES, compute_size=lambda tree: _ENTRY_BYTES * (1 + len(tree))
        )

    def holds(self, sha: ObjectID) -> bool:
        """Whether an object is here, whatever it is."""
        return self._packed(sha) is not None or self._loose_file(sha).exists()

    def raw(self, sha: ObjectID, kind: int) -> bytes:
        """An object's bytes; InvalidInputError (`damaged-repository`) when it is missing or something else."""
        try:
            found, data = self._store.get_raw(sha)
        # dulwich meets damaged packs with whatever its parsing stumbles over.
        except Exception as error:
            raise damaged(f"object {sha.decode('ascii', 'replace')} is missing or cannot be read") from error
        if found != kind:
            raise damaged(f"object {sha.decode('ascii')} is of another kind than its name is used for")
        return data

    def commit(self, sha: ObjectID) -> CommitHeader:
        """A commit; one at the boundary of a shallow history has no parents, as Git sees it."""
        header = self.whole_commit(sha)
        return replace(header, parents=()) if sha in self._shallow else header

    def whole_commit(self, sha: ObjectID) -> CommitHeader:
        """A commit with the parents it names, whether or not they are here."""
        return parse_commit(self.raw(sha, Commit.type_num))

    def tree(self, sha: ObjectID) -> TreeEntries:
        """A tree by name; cached, because neighbouring commits share most of theirs."""
        if (known := self._trees.get(sha)) is not None:
            return known
        raw = self.raw(sha, Tree.type_num)
        try:
            entries = {name: (mode, ObjectID(entry)) for name, mode, entry in parse_tree(raw, 20)}
        except Exception as error:
            raise damaged(f"tree {sha.decode('ascii')} cannot be read") from error
        self._trees[sha] = entries
        return entries

    def blob(self, sha: ObjectID) -> bytes:
        """A file's contents."""
        return self.raw(sha, Blob.type_num)

    def small_blob(self, sha: ObjectID, limit: int) -> bytes | None:
        """The contents of a file of at most so many bytes; None when it is larger or cannot be read."""
        try:
            return self.blob(sha) if self.size(sha) <= limit else None
        except InvalidInputError:
            return None

    def size(self, sha: ObjectID) -> int:
        """Size of an object in bytes, without inflating it: a file of any size costs no memory."""
        try:
            packed = self._packed(sha)
            return object_size(*packed) if packed else int(self._loose(sha, 0)[0].partition(b" ")[2])
        except (OSError, IndexError, ValueError, zlib.error) as error:
            raise damaged(f"object {sha.decode('ascii')} is missing or cannot be read") from error

    def start(self, sha: ObjectID, count: int) -> bytes | None:
        """The first bytes of a file, whatever its size; None above `MAX_DELTA` when it is stored as a delta."""
        try:
            packed = self._packed(sha)
            if packed is None:
                return self._loose(sha, count)[1][:count]
            kind, _, at = entry_header(*packed)
            if kind == Blob.type_num:
                return zlib.decompressobj().decompress(packed[0][at : at + _START_BYTES], count)
        except (OSError, IndexError, ValueError, zlib.error) as error:
            raise damaged(f"object {sha.decode('ascii')} is missing or cannot be read") from error
        return self.blob(sha)[:count] if self.size(sha) <= MAX_DELTA else None

    def _packed(self, sha: ObjectID) -> tuple[Buffer, int] | None:
        """The pack that holds an object, and where its entry starts. dulwich tells sizes only by inflating."""
        for pack in self._store.packs:
            with suppress(KeyError):
                return pack.data._buffer(), pack.index.object_offset(sha)  # noqa: SLF001 - its mapping of the pack
        return None

    def _loose(self, sha: ObjectID, count: int) -> tuple[bytes, bytes]:
        """Header and first bytes of an object that is a file of its own."""
        with self._loose_file(sha).open("rb") as file:
            inflated = zlib.decompressobj().decompress(file.read(_START_BYTES), 64 + count)
        header, _, contents = inflated.partition(b"\0")
        return header, contents

    def _loose_file(self, sha: ObjectID) -> Path:
        name = sha.decode("ascii")
        return Path(self._store.path) / name[:2] / name[2:]

    def peel(self, sha: ObjectID) -> ObjectID | None:
        """The commit that `sha` is or, through tags, points to; None when it is no commit or unknown."""
        for _ in range(10):  # tags of tags of tags: nobody means more, and a loop cannot be built
            try:
                kind, data = self._store.get_raw(sha)
            except (KeyError, ValueError):
                return None
            if kind == Commit.type_num:
                return sha
            if kind != Tag.type_num:
                return None
            sha = ObjectID(data.partition(b"\n")[0].removeprefix(b"object "))
        return None

    def commits_with_prefix(self, prefix: bytes) -> list[ObjectID]:
        """The commits whose name starts with these hexadecimal digits, at most two."""
        found: list[ObjectID] = []
        for sha in sorted(set(self._store.iter_prefix(prefix))):
            if self._store.get_raw(sha)[0] == Commit.type_num:
                found.append(sha)
            if len(found) > 1:
                break
        return found

    def history_of(self, commit: str) -> Iterator[tuple[ObjectID, CommitHeader]]:
        """Every commit reachable from `commit`, once, children near their parents; memory: a name per commit."""
        tip = ObjectID(commit.encode("ascii"))
        seen = {tip}
        todo = [tip]
        while todo:
            sha = todo.pop()
            header = self.commit(sha)
            yield sha, header
            for parent in reversed(header.parents):
                if parent not in seen:
                    seen.add(parent)
                    todo.append(parent)


@contextmanager
def open_objects(repository: Path, shallow: frozenset[bytes]) -> Generator[Objects]:
    """The objects of the bare repository at `repository`."""
    store = DiskObjectStore(str(repository / "objects"))
    try:
        yield Objects(store, shallow)
    finally:
        store.close()
