"""A repository served over HTTP: loaded, indexed and searched, before it or its server turns hostile."""

import hashlib
import subprocess
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from git_http_server import GitServer, run_git

from models.context import Analysis, Difference, Indexed, LoadedRepo, LoadRepo
from services.context.analysis import analyze
from services.context.differences import difference
from services.context.loading import Loader
from services.context.search.evaluation import Target
from services.context.search.indexing import build_index
from services.context.search.query import parse
from services.context.search.searching import Found, SearchService
from services.context.store import StoredRepository
from services.context.supervision import Limits, Supervision

BLOB, TREE_MODE, FILE, LINK, MODULE = 3, b"40000", b"100644", b"120000", b"160000"
RETRY = {"docs/often.md": b"# Often\n\nThen retry.\n", "readme.md": b"How to retry.\n"}
FOUND = {"docs/often.md": [3], "readme.md": [1]}
Entry = tuple[bytes, bytes, str]
"""Mode, name and object of an entry of a tree."""
Lines = dict[str, list[int]]
Phase = Literal["advertisement", "refs", "pack"]
"""Of a fetch: what the server can do, which commits its branches name, and the objects."""


def supervised(seconds: float = 60) -> Supervision:
    return Supervision(seconds=seconds, report=lambda _: None)


class Served:
    """The repository, and what is known of it before a test begins."""

    def __init__(self, path: Path, server: GitServer, folder: Path, loader_for: Callable[..., Loader]) -> None:
        self.path, self.server, self.folder = path, server, folder
        self.url = f"http://{server.address}/{path.name}"
        self._loader_for = loader_for
        self._service = SearchService(folder / "index")
        (folder / "beside" / "deeper").mkdir(parents=True)
        (folder / "beside" / "deeper" / "secret.txt").write_text("not to be touched\n")
        path.mkdir()
        self.git("init", "-q", "-b", "main", "--bare")
        self.git("config", "uploadpack.allowFilter", "true")
        self.import_files(RETRY)
        self.first = self.load()
        self.index(self.first)
        assert self.lines(self.first, "retry") == FOUND

    def git(self, *arguments: str, data: bytes | None = None) -> str:
        return run_git(self.path, *arguments, data=data).strip()

    def import_files(self, files: Mapping[str, bytes], *, branch: str = "main") -> str:
        """A commit upon the branch that adds files; quick also for very many."""
        self.import_stream(_stream(files, branch, self._tip(branch)))
        return self.git("rev-parse", branch)

    def import_stream(self, pieces: Iterable[bytes]) -> None:
        with subprocess.Popen(
            ["git", "-C", str(self.path), "fast-import", "--quiet", "--force"], stdin=subprocess.PIPE
        ) as importer:
            assert importer.stdin is not None
            for piece in pieces:
                importer.stdin.write(piece)
            importer.stdin.close()
            assert importer.wait() == 0

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "-t", "blob", "--stdin", data=content)

    def tree(self, *entries: Entry) -> str:
        """A tree exactly as told, in the order of Git where a name differs; no Git would make some of them."""
        ordered = sorted(entries, key=lambda entry: entry[1] + (b"/" if entry[0] == TREE_MODE else b""))
        raw = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in ordered)
        return self.git("hash-object", "-w", "-t", "tree", "--stdin", "--literally", data=raw)

    def commit_tree(self, tree: str) -> str:
        """A commit upon main with just this tree."""
        parent = self._tip("main")
        commit = self.git("commit-tree", "-m", "hostile", *(["-p", parent] if parent else []), tree)
        self.git("update-ref", "refs/heads/main", commit)
        return commit

    def load(
        self, ref: str | None = None, *, url: str | None = None, limits: Limits | None = None, seconds: float = 60
    ) -> LoadedRepo:
        loader = self._loader_for(self.server.address, limits=limits)
        return loader.load(LoadRepo(url=url or self.url, ref=ref), supervised(seconds))

    def index(self, repo: LoadedRepo) -> Indexed:
        with self.opened(repo).objects() as objects:
            return build_index(objects, repo, self.folder / "index", supervised())

    def analyze(self, repo: LoadedRepo) -> Analysis:
        with self.opened(repo).objects() as objects:
            return analyze(objects, repo, 0, supervised())

    def difference(self, repo: LoadedRepo) -> Difference:
        """From the first commit."""
        with self.opened(repo).objects() as objects:
            return difference(objects, repo, self.first.commit, supervised())

    def search(self, repo: LoadedRepo, query: str) -> Found:
        return self._service.search(parse(query), [Target(repo.id, repo.name, repo.commit)], 1_000)

    def lines(self, repo: LoadedRepo, query: str) -> Lines:
        return {item.path: [match.line for match in item.matches] for item in self.search(repo, query).items}

    def stored_files(self) -> set[str]:
        """What the object store holds."""
        store = self.folder / "store"
        return {str(path.relative_to(store)) for path in store.rglob("*") if not path.is_dir()}

    @contextmanager
    def undisturbed(self) -> Generator[None]:
        """What was searchable is so afterwards, from what lies on the disk, and nothing beside the store is touched."""
        before = self._surroundings()
        yield
        assert self._surroundings() == before
        self._service = SearchService(self.folder / "index")
        assert self.lines(self.first, "retry") == FOUND
        assert all(not path.is_symlink() for path in (self.folder / "store").rglob("*"))

    def _surroundings(self) -> dict[str, tuple[int, int, str]]:
        return {
            str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, _digest(path))
            for path in sorted(self.folder.rglob("*"))
            if path.relative_to(self.folder).parts[0] not in {"store", "index", "disk"}
        }

    def opened(self, repo: LoadedRepo) -> StoredRepository:
        return self._loader_for(self.server.address).opened(repo, supervised())

    def _tip(self, branch: str) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""


def _stream(files: Mapping[str, bytes], branch: str, parent: str) -> Iterable[bytes]:
    yield f"commit refs/heads/{branch}\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 5\nfiles\n".encode()
    if parent:
        yield f"from {parent}\n".encode()
    for name, content in files.items():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield f'M 644 inline "{quoted}"\ndata {len(content)}\n'.encode("utf-8", "surrogateescape") + content + b"\n"


def pkt(payload: bytes) -> bytes:
    """A packet of Git's protocol."""
    return b"%04x" % (len(payload) + 4) + payload


def entry(kind: int, size: int, compressed: bytes, base: bytes = b"") -> bytes:
    """An entry of a pack that declares `size`."""
    first, size = (kind << 4) | (size & 15), size >> 4
    header = bytearray()
    while size:
        header.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    header.append(first)
    return bytes(header) + base + compressed


def plain(kind: int, content: bytes) -> bytes:
    """An entry of a pack as it should be."""
    return entry(kind, len(content), zlib.compress(content))


def pack(body: bytes, count: int) -> bytes:
    """A pack of `count` entries, with the right checksum."""
    data = b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big") + body
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


def sending(contents: bytes) -> Iterable[bytes]:
    """An answer that holds this pack."""
    yield pkt(b"packfile\n")
    for start in range(0, len(contents), 60_000):
        yield pkt(b"\x01" + contents[start : start + 60_000])
    yield b"0000"


def during(phase: Phase, pieces: Callable[[bytes], Iterable[bytes]]) -> Callable[[str, bytes], Iterable[bytes]]:
    """A server that sends something else in one phase of a fetch, made of what Git would have sent."""

    def spoil(request: str, content: bytes) -> Iterable[bytes]:
        now: Phase = "advertisement" if request.startswith("GET") else "pack" if b"PACK" in content else "refs"
        return pieces(content) if now == phase else (content,)

    return spoil
