"""Making a commit searchable: every blob that no indexed commit had yet goes into the index, then its files are listed.

Blobs are named by their content, so a new commit costs what changed, and branches share what is the same. What a crash
left behind is found and used by the next try; a commit is served once its list of files is there.
"""

import time
from pathlib import Path

from dulwich.objects import ObjectID

from models.context import Indexed, LoadedRepo
from models.errors import TooLooError
from services.context.conventions import is_foreign, is_test
from services.context.languages import OTHER, language_of
from services.context.objects import FORMAT_MASK, MODE_SUBMODULE, MODE_SYMLINK, Objects, TreeFile
from services.context.search.index import BlobWriter, IndexedSymbol
from services.context.search.manifest import FileEntry, IndexFolder, Manifest
from services.context.search.text import MOST_BYTES, searchable
from services.context.store import locked
from services.context.supervision import Supervision
from services.context.symbols import symbols_of
from services.context.trees import tree_entries

_NO_CONTENT = (MODE_SYMLINK, MODE_SUBMODULE)
_START = 256
"""Bytes that tell an interpreter."""
_POLL_SECONDS = 0.05
_EVERY = 500
"""Files between two reports of progress."""


def build_index(objects: Objects, repo: LoadedRepo, root: Path, supervision: Supervision) -> Indexed:
    """Make the commit of a loaded repository searchable. Doing it again changes nothing and costs little."""
    folder = IndexFolder(root, repo.id)
    folder.path.mkdir(parents=True, exist_ok=True)

    def wait() -> None:
        supervision.progress("waiting for another indexing of this repository")
        time.sleep(_POLL_SECONDS)

    with locked(folder.lock, wait):
        manifest = folder.read_manifest(repo.commit)
        new = 0
        if manifest is None:
            writer = BlobWriter(folder.index)
            manifest, new = _index(objects, repo.commit, writer, folder.latest_manifest(), supervision)
            writer.commit()
            folder.write_manifest(manifest)
    skipped = manifest.skipped()
    return Indexed(
        repo_id=repo.id,
        commit=repo.commit,
        files=len(manifest.files) - sum(skipped.values()),
        skipped=skipped,
        new_blobs=new,
        bytes=folder.bytes(),
    )


def _index(
    objects: Objects, commit: str, writer: BlobWriter, before: Manifest | None, supervision: Supervision
) -> tuple[Manifest, int]:
    """What the commit before has said of a file that is the same is not read again."""
    known, new, entries = writer.known(), 0, list[FileEntry]()
    same = {(file.path, file.blob): file for file in before.files if file.is_certain} if before else {}
    header = objects.commit(ObjectID(commit.encode("ascii")))
    for file in tree_entries(objects, header.tree):
        supervision.check()
        entry, text = same.get((file.path, file.sha.decode("ascii"))), b""
        if entry is None or file.mode & FORMAT_MASK in _NO_CONTENT or not (entry.skip or entry.key in known):
            entry, text = _read(objects, file)
        entries.append(entry)
        if not entry.skip and entry.key not in known:
            known.add(entry.key)
            writer.add(entry.key, text, _symbols(entry, text))
            new += 1
        if len(entries) % _EVERY == 0:
            supervision.progress(f"indexed {len(entries):,} files")
    return Manifest(commit, sorted(entries, key=lambda entry: entry.path)), new


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
    language = language_of(shown.rpartition("/")[2], found[:_START])
    entry.lang = "" if language is OTHER else language.name
    return entry, found


def _symbols(entry: FileEntry, text: bytes) -> list[IndexedSymbol]:
    found = symbols_of(entry.lang, text, entry.shown_path) or ()
    return [IndexedSymbol(symbol.name, symbol.kind, symbol.line, symbol.column) for symbol in found]
