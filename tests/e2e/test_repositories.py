"""Repositories through the whole platform: asked for, loaded by a run, read, given up."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from cli import checkout
from cli.checkout import load_checkout
from cli.platform import save_platform_definitions
from models.context import LOAD_REPOSITORY, Indexed, LoadedRepo
from models.identity import Role
from models.settings import Settings
from services.context.objects import Objects
from services.context.search.indexing import build_index
from services.context.supervision import Supervision
from tests.e2e.conftest import Platform
from tests.e2e.test_code_review import git

REPOS = "/context/repos"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repos" / "project"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    (path / "readme.md").write_text("hello\nthere\n")
    git(path, "add", ".")
    git(path, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qm", "first")
    return path


async def until(client: AsyncClient, repository_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while not holds(shown := (await client.get(f"{REPOS}/{repository_id}")).json()):  # noqa: ASYNC110 - a run ends
            await asyncio.sleep(0.05)
    return shown


async def test_a_learner_s_repository_from_asking_for_it_to_giving_it_up(
    platform: Platform, repository: Path, tmp_path: Path
) -> None:
    async with await platform.client("ada", Role.LEARNER) as ada, await platform.client("bob", Role.LEARNER) as bob:
        answers = await asyncio.gather(*(ada.post(REPOS, json={"path": str(repository)}) for _ in range(2)))
        accepted = [answer.json() for answer in answers]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert accepted[0]["id"] == accepted[1]["id"]
        repository_id = accepted[0]["id"]
        ready = await until(ada, repository_id, lambda shown: shown["status"] not in {"loading", "indexing"})
        assert (ready["status"], ready["commits"]) == ("ready", 1), ready
        assert ready["commit"] == git(repository, "rev-parse", "HEAD").decode().strip()
        assert [one["id"] for one in (await ada.get(REPOS, params={"name": "project"})).json()["items"]] == [
            repository_id
        ]
        file = (await ada.get(f"{REPOS}/{repository_id}/file", params={"path": "readme.md", "lines": "2"})).json()
        assert file["content"] == "there\n"
        assert (await bob.get(f"{REPOS}/{repository_id}")).status_code == 404
        assert (await bob.get(f"{REPOS}/{repository_id}/tree")).status_code == 404
        assert (await ada.delete(f"{REPOS}/{repository_id}")).status_code == 204
        assert (await ada.get(f"{REPOS}/{repository_id}")).status_code == 404
    store = tmp_path / "home" / "store"
    async with asyncio.timeout(60):
        while (store / repository_id).exists():  # noqa: ASYNC110 - a run removes it
            await asyncio.sleep(0.05)


async def test_a_load_that_fails_says_why_and_the_next_one_succeeds(platform: Platform, repository: Path) -> None:
    async with await platform.client("ada", Role.LEARNER) as ada:
        accepted = (await ada.post(REPOS, json={"path": str(repository), "ref": "nothing"})).json()
        failed = await until(ada, accepted["id"], lambda shown: shown["status"] == "failed")
        assert failed["error"]["code"] == "unknown-ref"
        assert (await ada.get(failed["links"]["run"].removeprefix("/api/v1"))).json()["status"] == "failed"
        await ada.post(REPOS, json={"path": str(repository), "ref": "main"})
        assert (await until(ada, accepted["id"], lambda shown: shown["status"] == "ready"))["error"] is None


async def test_how_far_a_load_is_can_be_seen_while_it_runs(
    platform: Platform, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = Event()

    def build_slowly(objects: Objects, repo: LoadedRepo, root: Path, supervision: Supervision) -> Indexed:
        supervision.progress("indexed 1,500 files", bytes=3)
        while not go_on.wait(0.01):
            supervision.check()
        return build_index(objects, repo, root, supervision)

    monkeypatch.setattr("activities.context.build_index", build_slowly)
    async with await platform.client("ada", Role.LEARNER) as ada:
        accepted = (await ada.post(REPOS, json={"path": str(repository)})).json()
        try:
            shown = await until(ada, accepted["id"], lambda shown: shown["progress"] is not None)
            assert shown["status"] == "indexing"
            assert shown["progress"] == {"phase": "indexed 1,500 files", "bytes": 3}
            assert [step["progress"] for step in shown["steps"]] == [None, shown["progress"]]
        finally:
            go_on.set()
        ready = await until(ada, accepted["id"], lambda shown: shown["status"] == "ready")
        assert ready["progress"] is None


async def test_a_repository_that_a_step_of_a_workflow_loads_is_listed(platform: Platform, repository: Path) -> None:
    definition = {
        "id": "just-load",
        "access": {"execute": ["learner", "admin"]},
        "steps": [{"id": "load", "service": "context", "action": "load-repo", "input": {"path": str(repository)}}],
    }
    async with await platform.client("root", Role.ADMIN) as root, await platform.client("ada", Role.LEARNER) as ada:
        assert (await root.post("/workflow", json=definition)).status_code == 201
        run = (await ada.post("/workflow/just-load/execute?wait=60", json={})).json()
        assert run["status"] == "completed", run
        (found,) = (await ada.get(REPOS)).json()["items"]
        assert (found["status"], found["run_id"], found["shared"]) == ("ready", None, False)


async def test_the_checkout_is_loaded_once_per_commit_for_everybody(
    platform: Platform, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "CHECKOUT", repository)
    plans = await save_platform_definitions(platform.database)
    parts = (platform.database, platform.temporal, plans[LOAD_REPOSITORY])
    settings = Settings(home=tmp_path / "home", repo_roots=(repository.parent,))
    async with await platform.client("ada", Role.LEARNER) as ada:
        await load_checkout(settings.model_copy(update={"repo_roots": (tmp_path / "home",)}), *parts)
        assert (await ada.get(REPOS)).json()["items"] == []
        for commits in (1, 2):
            for _ in range(2):
                await load_checkout(settings, *parts)
            async with asyncio.timeout(60):
                while not (items := (await ada.get(REPOS, params={"name": "."})).json()["items"]):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            found = await until(ada, items[0]["id"], lambda shown: shown["status"] == "ready")
            assert (found["name"], found["shared"], found["commits"]) == (".", True, commits)
            await load_checkout(settings, *parts)
            assert await _runs(platform) == commits
            who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
            git(repository, *who, "commit", "-q", "--allow-empty", "-m", "next")
        git(repository, "reset", "-q", "HEAD~1")
        shutil.rmtree(settings.index_path)
        await load_checkout(settings, *parts)
        assert await _runs(platform) == commits + 1  # an index that was deleted is made again


async def _runs(platform: Platform) -> int:
    async with platform.database.connect() as connection:
        return await connection.scalar(text("SELECT count(*) FROM runs")) or 0


async def test_a_checkout_that_cannot_be_loaded_does_not_keep_up_from_starting(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkout, "CHECKOUT", tmp_path / "repos" / "odd")
    (tmp_path / "repos" / "odd" / ".git" / "objects").mkdir(parents=True)
    (tmp_path / "repos" / "odd" / ".git" / "HEAD").write_text("nonsense")
    plans = await save_platform_definitions(platform.database)
    settings = Settings(home=tmp_path / "home", repo_roots=(tmp_path / "repos",))
    await load_checkout(settings, platform.database, platform.temporal, plans[LOAD_REPOSITORY])
