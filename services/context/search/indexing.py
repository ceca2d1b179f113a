"""Making a commit searchable: every blob that no indexed commit had yet goes into the index, then its files are listed.

Blobs are named by their content, so a new commit costs what changed, and branches share what is the same. What a crash
left behind is found and used by the next try; a commit is served once its list of files is there.
"""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from dulwich.objects import ObjectID

from models.context import Indexed, LoadedRepo
from models.errors import TooLooError
from services.context.children import Children
from services.context.conventions import is_foreign, is_generated, is_test
from services.context.languages import OTHER, language_of
from services.context.objects import FORMAT_MASK, MODE_SUBMODULE, MODE_SYMLINK, Objects, TreeFile
from services.context.search.index import BlobWriter, IndexedSymbol
from services.context.search.manifest import FileEntry, IndexFolder, Manifest
from services.context.search.text import MOST_BYTES, searchable
from services.context.store import locked
from services.context.supervision import Supervision
from services.context.symbols import LANGUAGES, SECONDS, Symbol, symbols_of
from services.context.trees import tree_entries

_NO_CONTENT = (MODE_SYMLINK, MODE_SUBMODULE)
_POLL_SECONDS = 0.05
_EVERY = 500
"""Files between two reports of progress."""
_AHEAD = 16
"""Files that are read while the symbols of others are waited for; each is in memory."""


def build_index(objects: Objects, repo: LoadedRepo, root: Path, supervision: Supervision) -> Indexed:
    """Make the commit of a loaded repository searchable. Doing it again changes nothing and costs little."""
    folder = IndexFolder(root, repo.id)
    folder.path.mkdir(parents=True, exist_ok=True)

    def wait() -> None:
        supervision.progress("waiting for another indexing of this repository")
        time.sleep(_POLL_SECONDS)

    with locked(folder.lock, wait):
        manifest, added = folder.read_manifest(repo.commit), _Added()
        if manifest is None:
            folder.remove_outdated()
            with BlobWriter(folder.index) as writer, Children(SECONDS, supervision.check) as parsers:
                adder = _Adder(writer, parsers, added)
                manifest = _index(objects, repo.commit, adder, folder.latest_manifest(), supervision)
                adder.finish()
            folder.write_manifest(manifest)
    skipped = manifest.skipped()
    return Indexed(
        repo_id=repo.id,
        commit=repo.commit,
        files=len(manifest.files) - sum(skipped.values()),
        skipped=skipped,
        new_blobs=added.blobs,
        without_symbols=added.without_symbols,
        bytes=folder.bytes(),
    )


@dataclass
class _Added:
    """How much was new."""

    blobs: int = 0
    without_symbols: int = 0


class _Adder:
    """Adds contents to an index, each once, while children find the symbols of those that follow."""

    def __init__(self, writer: BlobWriter, parsers: Children, added: _Added) -> None:
        self._writer = writer
        self._parsers = parsers
        self._added = added
        self._known = writer.known()
        self._waiting = deque[tuple[FileEntry, bytes, Future[list[Symbol] | None] | None]]()

    def has(self, entry: FileEntry) -> bool:
        """Whether the content of a file is in the index, or on its way there."""
        return entry.key in self._known

    def add(self, entry: FileEntry, text: bytes) -> None:
        """Add the content of a file."""
        self._known.add(entry.key)
        self._added.blobs += 1
        symbols = (
            self._parsers.submit(symbols_of, entry.lang, text, entry.shown_path) if entry.lang in LANGUAGES else None
        )
        self._waiting.append((entry, text, symbols))
        if len(self._waiting) > _AHEAD:
            self._write_first()

    def finish(self) -> None:
        """Wait for what was begun."""
        while self._waiting:
            self._write_first()

    def _write_first(self) -> None:
        entry, text, future = self._waiting.popleft()
        symbols = [] if future is None else future.result()
        if symbols is None:
            self._added.without_symbols += 1
        self._writer.add(entry.key, text, [IndexedSymbol(*symbol) for symbol in symbols or ()])


def _index(objects: Objects, commit: str, adder: _Adder, before: Manifest | None, supervision: Supervision) -> Manifest:
    """What the commit before has said of a file that is the same is not read again."""
    entries = list[FileEntry]()
    same = {(file.path, file.blob): file for file in before.files if file.is_certain} if before else {}
    header = objects.commit(ObjectID(commit.encode("ascii")))
    for file in tree_entries(objects, header.tree):
        supervision.check()
        entry, text = same.get((file.path, file.sha.decode("ascii"))), b""
        if entry is None or file.mode & FORMAT_MASK in _NO_CONTENT or not (entry.skip or adder.has(entry)):
            entry, text = _read(objects, file)
        entries.append(entry)
        if not entry.skip and not adder.has(entry):
            adder.add(entry, text)
        if len(entries) % _EVERY == 0:
            supervision.progress(f"indexed {len(entries):,} files")
    return Manifest(commit, sorted(entries, key=lambda entry: entry.path))


def _read(objects: Objects, file: TreeFile) -> tuple[FileEntry, bytes]:
    """The entry of a file, and its text; nothing for one that is not searched."""
    entry = FileEntry(file.path, file.sha.decode("ascii"), 0)
    if (mode := file.mode & FORMAT_MASK) in _NO_CONTENT:
        entry.skip = "link" if mode == MODE_SYMLINK else "submodule"
        return entry, b""
    try:
        entry.size = objects.size(file.sha)
        if entry.size > MOST_BYTES:
            entry.skip = "too-large"
            return entry, b""
        found = searchable(objects.blob(file.sha))
    except TooLooError:  # damaged: the rest of the repository is still worth searching
        entry.skip = "unreadable"
        return entry, b""
    shown = entry.shown_path
    entry.test, entry.foreign = is_test(shown), is_foreign(shown)
    if isinstance(found, str):
        entry.skip = found
        return entry, b""
    entry.foreign = entry.foreign or is_generated(found)
    language = language_of(shown.rpartition("/")[2], found)
    entry.lang = "" if language is OTHER else language.name
    return entry, found
