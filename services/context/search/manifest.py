"""Which files a commit has, and which of them are in the index: what a search begins with.

A commit can be searched once its manifest is there; it is written last, whole, beside the index.
"""

import re
import shutil
from pathlib import Path

import msgspec

from services.context.store import reported_disk

FORMAT = 2
"""Of manifests and of the index: other ones are made again."""


_COMMIT = re.compile(r"[0-9a-f]{40}")


class FileEntry(msgspec.Struct, array_like=True, gc=False):
    """A file of a commit."""

    path: bytes
    blob: str
    size: int
    lang: str = ""
    test: bool = False
    foreign: bool = False
    """Generated, or written elsewhere."""
    skip: str = ""
    """Why its content is not searched; empty when it is."""

    @property
    def key(self) -> int:
        """What names the content in the index: the beginning of the blob's name."""
        return int(self.blob[:16], 16)

    @property
    def is_certain(self) -> bool:
        """Whether a file of that name and blob would be told the same again: how it is used is not in its blob."""
        return self.skip not in ("unreadable", "link", "submodule")

    @property
    def shown_path(self) -> str:
        """The path as it is answered: not every path is text."""
        return self.path.decode("utf-8", "replace")


class Manifest(msgspec.Struct):
    """All files of a commit, by path."""

    commit: str
    files: list[FileEntry]

    def skipped(self) -> dict[str, int]:
        """How many files are not searched, by reason."""
        counts: dict[str, int] = {}
        for file in self.files:
            if file.skip:
                counts[file.skip] = counts.get(file.skip, 0) + 1
        return dict(sorted(counts.items()))


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Manifest)


class IndexFolder:
    """Where the index of one repository is. It can be deleted at any time, and made again."""

    def __init__(self, root: Path, repository_id: str) -> None:
        self.path = root / repository_id
        self.index = self.path / f"index-{FORMAT}"
        self.lock = self.path / "lock"
        self._manifests = self.path / f"commits-{FORMAT}"

    def holds(self, commit: str) -> bool:
        """Whether the commit can be searched."""
        return _COMMIT.fullmatch(commit) is not None and self._manifest(commit).exists()

    def read_manifest(self, commit: str) -> Manifest | None:
        """The files of a commit; None when it is not indexed, or what is there cannot be read."""
        if _COMMIT.fullmatch(commit) is None:  # else it would lead out of the folder
            return None
        try:
            return _DECODER.decode(self._manifest(commit).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def latest_manifest(self) -> Manifest | None:
        """The files of the commit that was indexed last; None for the first one."""
        latest = max(self.commits(), key=lambda commit: self._manifest(commit).stat().st_mtime_ns, default=None)
        return None if latest is None else self.read_manifest(latest)

    def write_manifest(self, manifest: Manifest) -> None:
        """Let a commit be searched from now on. Needs the lock."""
        unfinished = self._manifests / "unfinished"
        with reported_disk("the index"):
            self._manifests.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(_ENCODER.encode(manifest))
            unfinished.replace(self._manifest(manifest.commit))

    def remove_outdated(self) -> None:
        """Delete what was made in another format. Needs the lock."""
        for old in {*self.path.glob("index-*"), *self.path.glob("commits-*")} - {self.index, self._manifests}:
            shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Delete the index, and with it what may be searched."""
        shutil.rmtree(self.path, ignore_errors=True)

    def commits(self) -> list[str]:
        """The commits that can be searched."""
        try:
            return sorted(path.name for path in self._manifests.iterdir() if _COMMIT.fullmatch(path.name))
        except FileNotFoundError:
            return []

    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def _manifest(self, commit: str) -> Path:
        return self._manifests / commit
