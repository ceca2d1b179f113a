"""Loads that run at once, and loads that are killed."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from git_http_server import GitServer

from models.context import LoadRepo
from services.context.loading import Loader
from services.context.store import RepositoryStore
from services.context.supervision import Supervision

Git = Callable[..., str]
CHECKOUT = Path(__file__).resolve().parents[3]

LOAD_AND_HANG = """
import sys
from pathlib import Path
from models.context import LoadRepo
from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.supervision import Limits, Supervision

store, root, opened, phase, wanted = sys.argv[1:]

def report(progress):
    if progress["phase"] == phase:
        print("reached", flush=True)
        sys.stdin.read()

loader = Loader(Path(store), (Path(root),), AddressRules((opened,)), "https://forge.invalid", Limits())
print(loader.load(LoadRepo.model_validate_json(wanted), Supervision(seconds=60, report=report)).model_dump_json())
"""


def start_load(store: Path, root: Path, opened: str, phase: str, wanted: LoadRepo) -> subprocess.Popen[str]:
    arguments = [str(store), str(root), opened, phase, wanted.model_dump_json()]
    return subprocess.Popen(
        [sys.executable, "-c", LOAD_AND_HANG, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


@pytest.mark.parametrize(
    ("kind", "phase"),
    [("path", "link"), ("path", "count"), ("url", "connect"), ("url", "screen"), ("url", "index"), ("url", "count")],
)
def test_a_load_killed_in_the_middle_serves_nothing_and_the_next_completes(
    *,
    loader_for: Callable[..., Loader],
    git_server: GitServer,
    repository: Path,
    git: Git,
    tmp_path: Path,
    kind: str,
    phase: str,
) -> None:
    wanted = LoadRepo(path=str(repository)) if kind == "path" else LoadRepo(url=f"http://{git_server.address}/project")
    with start_load(tmp_path / "store", repository.parent, git_server.address, phase, wanted) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reached\n"
        process.kill()
    commit = git(repository, "rev-parse", "HEAD").strip()
    (stored_id,) = [path.name for path in (tmp_path / "store").iterdir() if path.is_dir()]
    stored = RepositoryStore(tmp_path / "store").find(stored_id)
    assert stored is not None
    assert not stored.holds(commit)
    loader = loader_for(git_server.address)
    loaded = loader.load(wanted, Supervision(seconds=60, report=lambda _: None))
    assert (loaded.id, loaded.commit, loaded.commits) == (stored_id, commit, 3)
    assert stored.holds(commit)
    assert git(stored.path, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert not stored.incoming.exists()


@pytest.mark.parametrize("kind", ["path", "url"])
def test_loads_of_one_repository_at_once_are_one_repository(
    *, loader_for: Callable[..., Loader], git_server: GitServer, repository: Path, git: Git, tmp_path: Path, kind: str
) -> None:
    wanted = LoadRepo(path=str(repository)) if kind == "path" else LoadRepo(url=f"http://{git_server.address}/project")
    loader = loader_for(git_server.address)
    with (
        start_load(tmp_path / "store", repository.parent, git_server.address, "never", wanted) as other_process,
        ThreadPoolExecutor(4) as pool,
    ):
        loads = [pool.submit(loader.load, wanted, Supervision(seconds=60, report=lambda _: None)) for _ in range(4)]
        results = [load.result() for load in loads]
        output, _ = other_process.communicate()
    results.append(type(results[0]).model_validate_json(output))
    assert len({result.model_copy(update={"bytes_fetched": 0}).model_dump_json() for result in results}) == 1
    assert sum(result.bytes_fetched > 0 for result in results) == 1
    assert git(tmp_path / "store" / results[0].id, "fsck", "--full", "--no-dangling") == ""
