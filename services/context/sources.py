"""Where a repository comes from, in one canonical spelling. Pure: nothing is looked up here."""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from models.context import LoadRepo
from models.errors import InvalidInputError
from services.context.addresses import parse_web_address


@dataclass(frozen=True)
class RemoteSource:
    """A repository of a Git server speaking HTTP."""

    url: str
    name: str

    @property
    def text(self) -> str:
        """Enough to load it again: the URL."""
        return self.url

    @property
    def id(self) -> str:
        """Names it in the store; the same with and without `.git`."""
        return _opaque(self.url.removesuffix(".git"))


@dataclass(frozen=True)
class LocalSource:
    """A repository in a folder of this machine."""

    path: str

    @property
    def name(self) -> str:
        """The folder's name."""
        path = PurePosixPath(self.path)
        return (path.parent.name if path.name == ".git" else path.name.removesuffix(".git")) or "repository"

    @property
    def text(self) -> str:
        """Enough to load it again: the absolute path."""
        return self.path

    @property
    def id(self) -> str:
        """Names it in the store."""
        return _opaque(self.path)


Source = RemoteSource | LocalSource


def _opaque(canonical: str) -> str:
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def remote_source(url: str) -> RemoteSource:
    """A repository by its URL; InvalidInputError (`address-refused`) says what is wrong with it."""
    address = parse_web_address(url)
    parts = [part for part in address.path.split("/") if part]
    if not parts or {".", ".."} & set(parts):
        raise InvalidInputError("the URL names no repository", code="address-refused")
    name = "/".join((*parts[-2:-1], parts[-1].removesuffix(".git")))
    return RemoteSource(url=f"{address.origin}/{'/'.join(parts)}", name=name)


def local_source(path: str) -> LocalSource:
    """A repository by its folder. Symbolic links are resolved when it is opened."""
    if not path.startswith("/"):
        raise InvalidInputError("path has to be absolute", code="relative-path")
    return LocalSource(path)


def source_of(wanted: LoadRepo, forge_url: str) -> Source:
    """The one source a request names; `owner/repo` is looked for on the forge."""
    if wanted.path is not None:
        return local_source(wanted.path)
    if wanted.url is not None:
        return remote_source(wanted.url)
    if {wanted.owner, wanted.repo} & {".", ".."}:
        raise InvalidInputError("owner and repo have to be names", code="address-refused")
    return remote_source(f"{forge_url.rstrip('/')}/{wanted.owner}/{str(wanted.repo).removesuffix('.git')}.git")


def source_again(text: str) -> Source:
    """The source a `LoadedRepo` came from, by its `source`."""
    return local_source(text) if text.startswith("/") else remote_source(text)
