import asyncio
import fcntl
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.context import ContextActivities
from activities.step import Step
from models.context import Analyze, Diff, LoadRepo
from models.errors import InvalidInputError
from models.identity import Caller, Role
from models.persistence.database import create_database
from models.persistence.tables import users
from models.settings import Settings
from services.context.sources import LocalSource


def git(repository: Path, *arguments: str) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


class WatchedStep(Step):
    """Keeps every phase that was reported."""

    def __init__(self) -> None:
        super().__init__("run", "load", "code-review", 1, Caller(user_id="ada", role=Role.ADMIN))
        self.phases: list[str] = []
        self.reported = threading.Event()

    def report(self, progress: Any) -> None:
        super().report(progress)
        self.phases.append(progress["phase"])
        self.reported.set()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "roots" / "project"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    (path / "app.py").write_text("def f():\n    return 1\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "first")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(tmp_path / "roots",))


@pytest.fixture
async def database(database: AsyncEngine) -> AsyncEngine:
    async with database.begin() as connection:
        await connection.execute(insert(users).values(id="ada", role="admin"))
    return database


async def test_a_repository_is_loaded_and_analyzed_with_progress(
    repository: Path, settings: Settings, database: AsyncEngine
) -> None:
    activities = ContextActivities(settings, database)
    step = WatchedStep()
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), step)
    analysis = await activities.analyze(Analyze(repo=loaded), step)
    assert loaded.commit == git(repository, "rev-parse", "HEAD").strip()
    assert (analysis.repo, analysis.files, analysis.commits, analysis.functions) == (loaded, 1, 1, 1)
    assert {"link", "count", "list", "files"} <= set(step.phases)
    assert (settings.home / "store" / loaded.id).is_dir()


async def test_a_worker_without_the_commit_loads_it_by_itself(
    repository: Path, settings: Settings, tmp_path: Path, database: AsyncEngine
) -> None:
    loaded = await ContextActivities(settings, database).load_repo(LoadRepo(path=str(repository)), WatchedStep())
    elsewhere = ContextActivities(settings.model_copy(update={"home": tmp_path / "elsewhere"}), database)
    assert (await elsewhere.analyze(Analyze(repo=loaded), WatchedStep())).repo == loaded


async def test_an_id_that_does_not_belong_to_its_source_is_refused(
    repository: Path, settings: Settings, database: AsyncEngine
) -> None:
    activities = ContextActivities(settings, database)
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), WatchedStep())
    other = await activities.load_repo(LoadRepo(path=str(repository / ".git")), WatchedStep())
    forged = loaded.model_copy(update={"id": other.id})
    with pytest.raises(InvalidInputError):
        await activities.analyze(Analyze(repo=forged), WatchedStep())


def test_a_worker_without_the_master_secret_does_not_start(settings: Settings, database: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="TOOLOO_SECRET must have at least 32 characters"):
        ContextActivities(settings.model_copy(update={"secret": SecretStr("")}), database)


def test_a_setting_that_cannot_be_read_stops_the_worker_at_its_start(settings: Settings, database: AsyncEngine) -> None:
    with pytest.raises(ValueError, match="TOOLOO_ALLOW_ADDRESSES"):
        ContextActivities(settings.model_copy(update={"allow_addresses": ("nonsense",)}), database)


def test_cancellation_stops_the_thread_that_works(
    repository: Path, settings: Settings, database: AsyncEngine, database_url: str
) -> None:
    """Another process holds the repository's lock for ever: only the cancellation can end the load."""
    step = WatchedStep()
    lock = settings.store_path / f"{LocalSource(str(repository)).id}.lock"
    lock.parent.mkdir(parents=True)

    async def cancelled_load() -> None:
        own = create_database(database_url)  # a loop of its own has connections of its own
        load = asyncio.create_task(ContextActivities(settings, own).load_repo(LoadRepo(path=str(repository)), step))
        await asyncio.get_running_loop().run_in_executor(None, step.reported.wait)
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        await own.dispose()

    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asyncio.run(cancelled_load())  # returns only when no thread of it is left
    assert set(step.phases) == {"waiting for another load of this repository"}
    assert not lock.with_suffix("").exists()


async def test_a_repository_is_compared_with_an_older_commit_of_it(
    repository: Path, settings: Settings, database: AsyncEngine
) -> None:
    git(repository, "tag", "v1")
    (repository / "app.py").write_text("def f():\n    return 2\n")
    git(repository, "commit", "-qam", "second")
    activities = ContextActivities(settings, database)
    step = WatchedStep()
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), step)
    found = await activities.diff(Diff(repo=loaded, base="v1"), step)
    assert found.base_commit == git(repository, "rev-parse", "v1").strip()
    assert [(each.path, each.change, each.lines_added, each.lines_removed) for each in found.files] == [
        ("app.py", "modified", 1, 1)
    ]
    assert {"compare trees", "find renames", "compare files"} <= set(step.phases)
