"""Symbols, definitions and references: what is told of whose repository, and what is refused."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.context import ContextActivities
from activities.step import Step
from api.parts import Parts
from models.context import Index, LoadedRepo, LoadRepo
from models.identity import Caller, Role
from models.settings import Settings
from services.context.search import navigation
from tests.api.clients import MakeKey, client_of, problem
from tests.api.test_process import api, free_port, when_it_answers
from tests.api.test_repositories import REPOS, UNKNOWN, commit, git

ADA = Caller(user_id="ada", role=Role.LEARNER)
RETRY = """class Client:
    def retry(self, times):
        return self.wait(times)  # retry

    def wait(self, times):
        return "retry"


def retry():
    pass
"""
FILES = {
    "src__client.py": RETRY,
    "src__use.py": "from client import retry, Client\n\nretry()\nClient().retry(3)\n",
    "src__use.js": "function retry() {}\nretry();\n",
    "tests__test_client.py": "from client import retry\n\n\ndef test():\n    retry()\n\n\ndef retry():\n    pass\n",
    "vendor__client.py": "def retry():\n    pass\n",
    "notes.md": "retry\n",
    "tied.bin": b"retry\0",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "roots" / "project"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, "first", 1, **FILES)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(tmp_path / "roots",))


@pytest.fixture
def worker(settings: Settings, database: AsyncEngine, learner: AsyncClient) -> ContextActivities:
    return ContextActivities(settings, database)


@pytest.fixture(autouse=True)
def parts(app: FastAPI) -> Iterator[Parts]:
    yield app.state.parts
    app.state.parts.parsers.end()


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


@pytest.fixture
async def loaded(worker: ContextActivities, repository: Path) -> LoadedRepo:
    return await index(worker, await load(worker, repository))


async def load(worker: ContextActivities, repository: Path) -> LoadedRepo:
    return await worker.load_repo(LoadRepo(path=str(repository)), Step("r", "load", "mine", 1, ADA))


async def index(worker: ContextActivities, repo: LoadedRepo) -> LoadedRepo:
    await worker.index(Index(repo=repo), Step("r", "index", "mine", 1, ADA))
    return repo


async def ask(client: AsyncClient, repo: LoadedRepo, what: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"{REPOS}/{repo.id}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["commit"] == repo.commit
    return answer.json()


def places(answer: dict[str, Any]) -> list[str]:
    return [f"{item['path']}:{item['line']}:{item['column']}" for item in answer["items"]]


async def pages(client: AsyncClient, repo: LoadedRepo, what: str, **query: Any) -> list[str]:
    """Places of all pages of one item each."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await ask(client, repo, what, limit=1, **query, **cursor)
        found += places(page)
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def test_the_outline_of_a_file(learner: AsyncClient, loaded: LoadedRepo) -> None:
    answer = await ask(learner, loaded, "symbols", path="src/client.py")
    assert answer["items"][:2] == [
        {"path": "src/client.py", "name": "Client", "kind": "class", "line": 1, "column": 7, "end_line": 6,
         "container": ""},
        {"path": "src/client.py", "name": "retry", "kind": "method", "line": 2, "column": 9, "end_line": 3,
         "container": "Client"},
    ]  # fmt: skip
    assert (len(answer["items"]), answer["next_cursor"], answer["complete"]) == (4, None, True)
    assert places(await ask(learner, loaded, "symbols", path="src/client.py", name="RET", kind="function")) == [
        "src/client.py:9:5"
    ]
    assert len(await pages(learner, loaded, "symbols", path="src/client.py")) == 4
    for path in ("notes.md", "tied.bin"):
        assert (await ask(learner, loaded, "symbols", path=path))["items"] == []


async def test_a_commit_that_is_not_indexed_has_outlines_and_nothing_else_yet(
    learner: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    repo = await load(worker, repository)
    assert places(await ask(learner, repo, "symbols", path="src/use.js")) == ["src/use.js:1:10"]
    for what, query in (("symbols", {}), ("definition", {"name": "retry"}), ("references", {"name": "retry"})):
        problem(await learner.get(f"{REPOS}/{repo.id}/{what}", params=query), 404, "not-indexed")
    old = await index(worker, repo)
    commit(repository, "second", 2, src__use__js="x")
    await load(worker, repository)
    assert len((await ask(learner, old, "symbols", path="src", rev=old.commit[:8]))["items"]) == 5


async def test_symbols_of_folders_by_path_and_place(learner: AsyncClient, loaded: LoadedRepo) -> None:
    whole = await ask(learner, loaded, "symbols")
    assert [item["path"] for item in whole["items"]] == sorted(item["path"] for item in whole["items"])
    assert len(whole["items"]) == 8
    assert await pages(learner, loaded, "symbols") == places(whole)
    assert {item["path"] for item in (await ask(learner, loaded, "symbols", path="src/"))["items"]} == {
        "src/client.py",
        "src/use.js",
    }
    assert places(await ask(learner, loaded, "symbols", name="Wai")) == ["src/client.py:5:9"]
    assert places(await ask(learner, loaded, "symbols", kind="class")) == ["src/client.py:1:7"]
    assert (await ask(learner, loaded, "symbols", name="nowhere"))["items"] == []


async def test_definitions_nearest_first(learner: AsyncClient, loaded: LoadedRepo) -> None:
    inside = await ask(learner, loaded, "definition", path="src/client.py", line=2, column=10)
    assert (inside["name"], inside["approximate"], inside["complete"]) == ("retry", True, True)
    assert places(inside) == [
        "src/client.py:2:9",
        "src/client.py:9:5",
        "tests/test_client.py:8:5",
        "vendor/client.py:1:5",
        "src/use.js:1:10",
    ]
    assert inside["items"][0] == {
        "path": "src/client.py",
        "name": "retry",
        "kind": "method",
        "line": 2,
        "column": 9,
        "end_line": 3,
        "container": "Client",
        "text": "    def retry(self, times):",
    }
    outside = await ask(learner, loaded, "definition", path="src/use.js", line=2, column=1)
    assert places(outside)[0] == "src/use.js:1:10"
    named = await ask(learner, loaded, "definition", name="retry")
    assert places(named)[-2:] == ["tests/test_client.py:8:5", "vendor/client.py:1:5"]
    assert await pages(learner, loaded, "definition", name="retry") == places(named)
    assert (await ask(learner, loaded, "definition", name="Retry"))["items"] == []


async def test_references_are_identifiers_of_the_same_language(learner: AsyncClient, loaded: LoadedRepo) -> None:
    found = await ask(learner, loaded, "references", path="src/use.py", line=3, column=5)
    assert places(found) == [
        "src/use.py:1:20",
        "src/use.py:3:1",
        "src/use.py:4:10",
        "src/client.py:2:9",
        "src/client.py:9:5",
        "tests/test_client.py:1:20",
        "tests/test_client.py:5:5",
        "tests/test_client.py:8:5",
        "vendor/client.py:1:5",
    ]
    assert [item["definition"] for item in found["items"][:5]] == [None, None, None, "method", "function"]
    assert found["items"][2]["text"] == "Client().retry(3)"
    assert (found["name"], found["approximate"], found["complete"], found["unparsed"]) == ("retry", True, True, 0)
    assert await pages(learner, loaded, "references", path="src/use.py", line=3, column=5) == places(found)
    named = await ask(learner, loaded, "references", name="retry")
    assert {"src/use.js:1:10", "src/use.js:2:1"} <= set(places(named))
    assert len(named["items"]) == 11


async def test_what_the_parser_gives_up_on_is_read_by_words(
    learner: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    torn = "retry = " + "(" * 2_000 + "1" + ")" * 2_000 + "  # retry\n"
    commit(repository, "torn", 2, **{"torn.py": torn})
    repo = await index(worker, await load(worker, repository))
    found = await ask(learner, repo, "references", path="torn.py", line=1, column=3)
    assert (places(found)[:2], found["unparsed"]) == (["torn.py:1:1", "torn.py:1:4014"], 1)
    outline = await ask(learner, repo, "symbols", path="torn.py")
    assert (outline["items"], outline["complete"]) == ([], False)


async def test_time_that_is_over_is_said_and_the_next_page_goes_on(
    learner: AsyncClient, loaded: LoadedRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(navigation, "SECONDS", -1.0)
    for what, query in (("symbols", {}), ("references", {"name": "retry"})):
        page = await ask(learner, loaded, what, **query)
        assert not page["complete"]
        assert page["next_cursor"]
    assert not (await ask(learner, loaded, "definition", name="retry"))["complete"]
    monkeypatch.undo()
    rest = await ask(learner, loaded, "references", name="retry", cursor=page["next_cursor"])
    assert (len(rest["items"]), rest["complete"], rest["next_cursor"]) == (11, True, None)


@pytest.mark.parametrize(
    ("query", "status", "code", "pointer"),
    [
        ({"path": "none.py", "line": 1, "column": 1}, 404, "not-found", None),
        ({"path": "src", "line": 1, "column": 1}, 404, "not-found", None),
        ({"path": "src/client.py", "line": 1, "column": 6}, 422, "no-identifier", "/query/column"),
        ({"path": "src/client.py", "line": 3, "column": 37}, 422, "no-identifier", "/query/column"),
        ({"path": "src/client.py", "line": 1, "column": 99}, 422, "no-identifier", "/query/column"),
        ({"path": "src/client.py", "line": 99, "column": 1}, 422, "no-identifier", "/query/column"),
        ({"path": "notes.md", "line": 1, "column": 1}, 422, "no-identifier", "/query/path"),
        ({"path": "tied.bin", "line": 1, "column": 1}, 422, "no-identifier", "/query/path"),
        ({"path": "../x", "line": 1, "column": 1}, 422, "bad-path", "/query/path"),
        ({"path": "src/client.py", "line": 1}, 422, "invalid-input", "/query/column"),
        ({"path": "src/client.py", "line": 0, "column": 1}, 422, "invalid-input", "/query/line"),
        ({"name": "retry", "line": 1}, 422, "invalid-input", "/query/line"),
        ({"name": ""}, 422, "invalid-input", "/query/name"),
        ({}, 422, "invalid-input", "/query/path"),
        ({"name": "retry", "rev": "nothing"}, 404, "unknown-rev", None),
        ({"name": "retry", "cursor": "nonsense"}, 422, "invalid-input", "/query/cursor"),
    ],
    ids=str,
)
@pytest.mark.parametrize("what", ["definition", "references"])
async def test_what_names_nothing_is_refused_by_its_field(
    learner: AsyncClient, loaded: LoadedRepo, what: str, query: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    found = problem(await learner.get(f"{REPOS}/{loaded.id}/{what}", params=query), status, code)
    assert [error["pointer"] for error in found["errors"]][:1] == ([pointer] if pointer else [])


async def test_nobody_is_told_of_another_s_repository(
    bob: AsyncClient, stranger: AsyncClient, loaded: LoadedRepo
) -> None:
    for what in ("symbols", "definition?name=retry", "references?name=retry"):
        there, none = await bob.get(f"{REPOS}/{loaded.id}/{what}"), await bob.get(f"{REPOS}/{UNKNOWN}/{what}")
        problem(there, 404, "not-found")
        assert there.content == none.content
        problem(await stranger.get(f"{REPOS}/{loaded.id}/{what}"), 401, "unauthorized")


async def test_sources_are_parsed_by_children_of_the_api_that_end_with_it(
    database_url: str, settings: Settings, make_key: MakeKey, loaded: LoadedRepo
) -> None:
    port, headers = free_port(), {"Authorization": f"Bearer {await make_key('ada', Role.LEARNER)}"}
    async with (
        api(database_url, port, TOOLOO_HOME=str(settings.home)) as process,
        AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client,
    ):
        await when_it_answers(client, process)
        here = psutil.Process(process.pid)
        assert here.children() == []
        assert len((await ask(client, loaded, "references", name="retry"))["items"]) == 11
        children = here.children()
        assert children
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0
    assert psutil.wait_procs(children, timeout=60)[1] == []


async def test_what_was_not_loaded_yet_is_said(
    learner: AsyncClient, worker: ContextActivities, loaded: LoadedRepo
) -> None:
    await asyncio.to_thread(worker._remove, loaded.id)
    problem(await learner.get(f"{REPOS}/{loaded.id}/definition?name=retry"), 409, "not-loaded")
