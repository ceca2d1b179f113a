"""Real Git repositories made by the git CLI, and loaders for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from git_http_server import GitServer, run_git, serving
from hostile import Served

from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.supervision import Limits, Supervision

Git = Callable[..., str]


@pytest.fixture
def git() -> Git:
    return run_git


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    folder = tmp_path / "roots"
    folder.mkdir()
    return folder


@pytest.fixture
def repository(roots: Path) -> Path:
    """Three commits on main, tagged v1 (annotated) at the second, a branch `side` of one more."""
    path = roots / "project"
    path.mkdir()
    run_git(path, "init", "-q", "-b", "main")
    for number in range(3):
        (path / "file.txt").write_text(f"line {number}\n" * (number + 1))
        run_git(path, "add", ".")
        run_git(path, "commit", "-qm", f"commit {number}")
        if number == 1:
            run_git(path, "tag", "-a", "v1", "-m", "first")
    run_git(path, "checkout", "-qb", "side")
    (path / "side.txt").write_text("side\n")
    run_git(path, "add", ".")
    run_git(path, "commit", "-qm", "side")
    run_git(path, "checkout", "-q", "main")
    return path


@pytest.fixture
def supervision() -> Supervision:
    return Supervision(seconds=60, report=lambda _: None)


@pytest.fixture
def loader_for(tmp_path: Path, roots: Path) -> Callable[..., Loader]:
    """A loader whose store lies beside the roots; `opened` addresses, `limits` and the forge on request."""

    def make(
        *opened: str, limits: Limits | None = None, forge: str = "https://forge.invalid", store: str = "store"
    ) -> Loader:
        return Loader(tmp_path / store, (roots,), AddressRules(opened), forge, limits or Limits())

    return make


@pytest.fixture
def served(roots: Path, git_server: GitServer, tmp_path: Path, loader_for: Callable[..., Loader]) -> Served:
    """A small repository that was loaded over HTTP, indexed and searched."""
    return Served(roots / "project", git_server, tmp_path, loader_for)


@pytest.fixture
def git_server(roots: Path) -> Iterator[GitServer]:
    """Serves everything below the roots."""
    with serving(roots) as server:
        yield server
