"""Search through the whole platform: by HTTP, as a step, from the command line; and only in what one may read."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient

from models.documents import read_yaml
from models.identity import Role
from models.settings import CHECKOUT
from tests.e2e.conftest import Platform
from tests.e2e.test_code_review import git
from tests.e2e.test_repositories import REPOS, until

FILES = {"src/retry.py": "def retry(times):\n    return times\n", "README.md": "How to retry.\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repos" / "searched"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, FILES)
    return path


def commit(path: Path, files: dict[str, str]) -> str:
    for name, content in files.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(content)
    git(path, "add", ".")
    git(path, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qm", "files")
    return git(path, "rev-parse", "HEAD").decode().strip()


async def load(client: AsyncClient, repository: Path) -> dict[str, Any]:
    """Ask for a repository and wait for its run's end."""
    accepted = (await client.post(REPOS, json={"path": str(repository)})).json()
    async with asyncio.timeout(60):
        while (run := (await client.get(f"/runs/{accepted['run_id']}")).json())["status"] in {"queued", "running"}:  # noqa: ASYNC110 - a run ends
            await asyncio.sleep(0.05)
    assert run["status"] == "completed", run
    return await until(client, accepted["id"], lambda shown: shown["status"] == "ready")


async def find(client: AsyncClient, query: str, **parameters: Any) -> dict[str, Any]:
    answer = await client.get("/context/search", params={"q": query, **parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_was_loaded_is_found_by_whoever_may_read_it(platform: Platform, repository: Path) -> None:
    async with await platform.client("ada", Role.LEARNER) as ada, await platform.client("bob", Role.LEARNER) as bob:
        first = await load(ada, repository)
        found = await find(ada, "retry lang:python")
        assert (found["total"], found["next_cursor"], found["not_indexed"]) == (1, None, [])
        (item,) = found["items"]
        assert (item["repo"], item["commit"], item["path"], item["lang"]) == (
            "searched",
            first["commit"],
            "src/retry.py",
            "Python",
        )
        assert item["matches"][0]["line"] == 1
        assert (await find(bob, "retry"))["items"] == []
        second = commit(repository, {"src/more.py": "retry = 1\n"})
        assert (await load(ada, repository))["commit"] == second
        assert (await find(ada, "retry"))["total"] == 3
        assert (await find(ada, f"retry rev:{first['commit'][:10]}"))["total"] == 2
        page = await find(ada, "retry count:2")
        rest = await find(ada, "retry count:2", cursor=page["next_cursor"])
        assert len({item["path"] for item in page["items"] + rest["items"]}) == 3
        commit(repository, {"src/last.py": "retry = 2\n"})
        await load(ada, repository)
        outdated = await ada.get("/context/search", params={"q": "retry count:2", "cursor": page["next_cursor"]})
        assert (outdated.status_code, outdated.json()["code"]) == (409, "outdated-cursor")


async def test_a_query_that_is_wrong_is_a_problem_with_its_column(platform: Platform) -> None:
    async with await platform.client("ada", Role.LEARNER) as ada:
        for query, column in (("(a", 3), ("/(/", 1), ("lang:klingon", 6)):
            answer = await ada.get("/context/search", params={"q": query})
            assert answer.status_code == 422, answer.text
            (error,) = answer.json()["errors"]
            assert error["pointer"] == "/q"
            assert error["message"].startswith(f"column {column}: ")
        answer = await ada.get("/context/search", params={"q": "a", "cursor": "nonsense"})
        assert answer.status_code == 422


async def test_a_workflow_loads_indexes_and_searches(platform: Platform, admin: AsyncClient, repository: Path) -> None:
    """Flow 2 of the contract: a search is asked for, the repository loaded and indexed, results returned."""
    definition = read_yaml((CHECKOUT / "examples" / "code-search.yaml").read_bytes())
    answer = await admin.post("/workflow", json=definition)
    assert answer.is_success, answer.text
    other = repository.with_name("other")
    git(repository.parent, "clone", "-q", str(repository), str(other))
    async with await platform.client("ada", Role.LEARNER) as ada:
        await load(ada, other)
        for new in (2, 0):
            order = {"input": {"path": str(repository), "query": "symbol:retry"}}
            run = (await ada.post("/workflow/code-search/execute", json=order, params={"wait": 60})).json()
            assert run["status"] == "completed", run
            (item,) = run["output"]["found"]["items"]
            assert (item["repo"], item["path"]) == ("searched", "src/retry.py")
            assert run["output"]["new_contents"] == new
