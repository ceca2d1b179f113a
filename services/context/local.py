"""Local repositories: found under the allowed roots only, and taken over as `git clone --local` does.

Packs and loose objects never change once written, so they are linked (copied across file systems), never read or
parsed. Symbolic links are not followed, alternates and linked work trees not out of the roots.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dulwich.objects import ObjectID
from dulwich.repo import Repo, UnsupportedExtension, UnsupportedVersion, read_gitfile

from models.errors import InvalidInputError, NotFoundError, TooLargeError, UnavailableError
from services.context.objects import Objects
from services.context.revisions import resolve
from services.context.store import StoredRepository
from services.context.supervision import Supervision

_FANOUT = re.compile(r"[0-9a-f]{2}")
_LOOSE = re.compile(r"[0-9a-f]{38}")
_MAX_ALTERNATES = 20
_MAX_SMALL_FILE = 2**16
_PASSES = 5
"""Listings of a source that repacks itself meanwhile, before giving up."""


@dataclass(frozen=True)
class LocalRepository:
    """A repository that may be loaded; all its paths are resolved and lie under the allowed roots."""

    path: Path
    control: Path
    """Where HEAD is: `.git`, the bare folder, or a linked work tree's own part."""
    object_folders: tuple[Path, ...]
    """Its own, then its alternates."""


def not_found(path: str) -> NotFoundError:
    """One error for missing and for outside of the roots: the two are not told apart."""
    return NotFoundError(f"no repository at {path!r} under the allowed roots (TOOLOO_REPO_ROOTS, `up --repos DIR`)")


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None


class Roots:
    """The folders whose repositories may be loaded."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)

    def contain(self, path: Path) -> bool:
        """Whether a resolved path lies in one of them."""
        return any(path.is_relative_to(root) for root in self._roots)

    def open(self, path: str) -> LocalRepository:
        """The repository in a folder; NotFoundError when there is none that may be loaded."""
        found = _resolved(Path(path))
        if found is None or not self.contain(found):
            raise not_found(path)
        try:
            control = self._control(found)
            common = control and self._common(control)
        except (OSError, ValueError, UnicodeDecodeError):
            control = common = None
        if control is None or common is None:
            raise NotFoundError(f"{path!r} is not a Git repository", code="not-a-repository")
        return LocalRepository(found, control, self._object_folders(common / "objects"))

    def _control(self, path: Path) -> Path | None:
        dot_git = path / ".git"
        if dot_git.is_file():
            with dot_git.open("rb") as file:
                control = _resolved(path / read_gitfile(file))
            if control is None or not (self.contain(control) or _names_back(control, dot_git)):
                return None
            return control
        control = _resolved(dot_git) if dot_git.exists() else path
        if control is None or not self.contain(control) or not (control / "HEAD").is_file():
            return None
        return control

    def _common(self, control: Path) -> Path | None:
        pointer = control / "commondir"
        if not pointer.is_file():
            return control if (control / "objects").is_dir() else None
        common = _resolved(control / _small_text(pointer).strip())
        # A linked work tree was made by `git worktree add` in the repository it belongs to, which lists it.
        listed = common is not None and control.parent == common / "worktrees"
        return common if common is not None and (listed or self.contain(common)) else None

    def _object_folders(self, own: Path) -> tuple[Path, ...]:
        folders = [own.resolve()]
        for folder in folders:
            for alternate in _alternates(folder):
                if alternate is None or not self.contain(alternate) or len(folders) > _MAX_ALTERNATES:
                    raise InvalidInputError(
                        "the repository borrows objects from outside the allowed roots: "
                        "run `git repack -a -d` in it and remove objects/info/alternates",
                        code="unsupported-repository",
                    )
                if alternate not in folders:
                    folders.append(alternate)
        return tuple(folders)


def _small_text(path: Path) -> str:
    with path.open("rb") as file:
        return os.fsdecode(file.read(_MAX_SMALL_FILE))


def _names_back(control: Path, dot_git: Path) -> bool:
    """Whether a control folder outside the roots says itself that this work tree is its own."""
    pointer = control / "gitdir"
    return pointer.is_file() and _resolved(control / _small_text(pointer).strip()) == dot_git


def _alternates(objects: Path) -> Iterator[Path | None]:
    listing = objects / "info" / "alternates"
    if not listing.is_file():
        return
    for line in _small_text(listing).splitlines():
        if line and not line.startswith("#"):
            yield _resolved(objects / line)


def head_of(source: LocalRepository) -> str | None:
    """The commit that is checked out; None before the first. Raises what dulwich raises for what it cannot read."""
    with Repo(str(source.path)) as repository:
        try:
            return repository.head().decode("ascii")
        except KeyError:
            return None


def take_over(
    source: LocalRepository, ref: str | None, target: StoredRepository, limit: int, supervision: Supervision
) -> tuple[str, int]:
    """Bring the repository's objects into the store: (the commit that `ref` names, bytes taken). Needs the lock."""
    try:
        repository = Repo(str(source.path))
    except (UnsupportedExtension, UnsupportedVersion) as error:
        raise InvalidInputError(
            f"the repository uses a feature of Git that cannot be loaded: {error}", code="unsupported-repository"
        ) from error
    with repository:
        if repository.object_format.name != "sha1":
            raise InvalidInputError("only repositories with sha1 names can be loaded", code="unsupported-repository")
        refs = {bytes(name): bytes(sha) for name, sha in repository.refs.as_dict().items()}
        cuts = frozenset(bytes(sha) for sha in repository.get_shallow())
    size = _take_objects(source.object_folders, target, limit, supervision)
    with target.objects() as objects:
        commit = resolve(ref, refs, objects)
        missing = frozenset(sha for sha in cuts if not _parents_here(objects, ObjectID(sha)))
    target.cut_history_at(missing)
    return commit, size


def _parents_here(objects: Objects, sha: ObjectID) -> bool:
    if objects.peel(sha) is None:
        return False
    return all(objects.peel(parent) is not None for parent in objects.whole_commit(sha).parents)


def _take_objects(folders: Iterable[Path], target: StoredRepository, limit: int, supervision: Supervision) -> int:
    """Link all objects. Git writes the new pack before it removes what it replaces, so listing again finds it."""
    taker = _Taker(target, limit, supervision)
    for folder in folders:
        for _ in range(_PASSES):
            try:
                taker.take(folder)
                break
            except FileNotFoundError:
                continue
        else:
            raise UnavailableError("the repository keeps being rewritten while it is loaded: try again later")
    return taker.bytes_taken


class _Taker:
    def __init__(self, target: StoredRepository, limit: int, supervision: Supervision) -> None:
        self._objects = target.path / "objects"
        self._temporary = target.incoming / "object"
        self._limit = limit
        self._supervision = supervision
        self.bytes_taken = 0

    def take(self, folder: Path) -> None:
        """Loose objects first: one that is packed meanwhile is then found in the pack."""
        for fanout in _entries(folder, _FANOUT):
            if not fanout.is_dir(follow_symlinks=False):
                continue
            self._supervision.progress("link", bytes=self.bytes_taken)
            (self._objects / fanout.name).mkdir(exist_ok=True)
            for loose in _entries(Path(fanout.path), _LOOSE):
                self._take_file(Path(loose.path), self._objects / fanout.name / loose.name)
        packs = folder / "pack"
        if not packs.is_symlink() and packs.is_dir():
            self._take_packs(packs)

    def _take_packs(self, packs: Path) -> None:
        found = sorted(packs.iterdir())
        if any(path.suffix == ".promisor" for path in found):
            raise InvalidInputError(
                "the repository is a partial clone: fetch the missing objects first, "
                "with `git fetch --refetch --no-filter`",
                code="unsupported-repository",
            )
        listed = set(found)
        for pack in found:
            if pack.suffix != ".pack" or pack.with_suffix(".idx") not in listed:
                continue
            index = self._objects / "pack" / f"{pack.stem}.idx"
            if index.exists():
                continue
            # A pack without index is what an earlier load left behind, perhaps of another packing of that name.
            index.with_suffix(".pack").unlink(missing_ok=True)
            self._take_file(pack, index.with_suffix(".pack"))
            self._take_file(pack.with_suffix(".idx"), index)

    def _take_file(self, source: Path, target: Path) -> None:
        status = source.lstat()
        if target.exists() or source.is_symlink() or not source.is_file():
            return
        self.bytes_taken += status.st_size
        if self.bytes_taken > self._limit:
            raise TooLargeError(f"the repository is larger than the {self._limit} bytes allowed for one load")
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError:
            # Another file system, or a kernel that protects files of others from being linked.
            shutil.copyfile(source, self._temporary, follow_symlinks=False)
            self._temporary.replace(target)


def _entries(folder: Path, names: re.Pattern[str]) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if names.fullmatch(entry.name)), key=lambda entry: entry.name)
