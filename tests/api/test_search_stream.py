"""Search as a stream: its events, what is refused before it begins, and that it ends with whoever listens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from pydantic import SecretStr
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.context import ContextActivities
from activities.step import Step
from models.context import Index, LoadRepo
from models.identity import Caller, Role
from models.settings import Settings
from services.context.search import asking, searching
from tests.api.clients import MakeKey, client_of, problem
from tests.api.test_repositories import commit, git

ADA = Caller(user_id="ada", role=Role.LEARNER)
STREAM = "/api/v1/context/search/stream"
FILES = 300
Event = tuple[str, dict[str, Any]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(tmp_path / "roots",))


@pytest.fixture
async def key(make_key: MakeKey) -> str:
    return await make_key(ADA.user_id, ADA.role)


@pytest.fixture
async def client(app: FastAPI, key: str) -> AsyncIterator[AsyncClient]:
    async with client_of(app, key) as client:
        yield client


@pytest.fixture(autouse=True)
async def _indexed(settings: Settings, database: AsyncEngine, key: str, tmp_path: Path) -> None:
    path = tmp_path / "roots" / "project"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, "first", 1, **{f"{number:03}.txt": f"common {number}\n" for number in range(FILES)})
    worker, step = ContextActivities(settings, database), Step("r", "load", "mine", 1, ADA)
    await worker.index(Index(repo=await worker.load_repo(LoadRepo(path=str(path)), step)), step)


def events(text: str) -> list[Event]:
    blocks = [dict(line.split(": ", 1) for line in block.splitlines()) for block in text.split("\n\n") if block]
    return [(block["event"], from_json(block["data"])) for block in blocks]


async def test_every_file_is_an_event_and_the_last_one_counts_them(client: AsyncClient) -> None:
    answer = await client.get(STREAM, params={"q": "common"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *files, (kind, end) = events(answer.text)
    assert [(kind, file["path"]) for kind, file in files] == [("file", f"{number:03}.txt") for number in range(FILES)]
    assert files[3][1]["matches"][0]["text"] == "common 3"
    assert (kind, end) == (
        "end",
        {
            "query": "common",
            "total": FILES,
            "is_complete": True,
            "next_cursor": None,
            "not_indexed": [],
            "skipped": None,
        },
    )


async def test_count_limits_a_stream_and_its_cursor_leads_on_here_and_in_pages(client: AsyncClient) -> None:
    *files, (_, end) = events((await client.get(STREAM, params={"q": "common count:5", "explain": True})).text)
    assert (len(files), end["total"], end["skipped"]) == (5, FILES, [])
    following = {"q": "common count:5", "cursor": end["next_cursor"]}
    streamed = [file for kind, file in events((await client.get(STREAM, params=following)).text) if kind == "file"]
    page = (await client.get(STREAM.removesuffix("/stream"), params=following)).json()["items"]
    assert streamed == page
    assert page[0]["path"] == "005.txt"


@pytest.mark.parametrize("query", ["(a", "/(/", "lang:klingon"])
async def test_what_is_wrong_is_refused_before_a_stream_begins(client: AsyncClient, query: str) -> None:
    found = problem(await client.get(STREAM, params={"q": query}), 422, "invalid-input")
    assert found["errors"][0]["pointer"] == "/q"
    problem(await client.get(STREAM, params={"q": "a", "cursor": "nonsense"}), 422, "invalid-input")


async def test_others_find_nothing_and_strangers_are_refused(
    app: FastAPI, stranger: AsyncClient, make_key: MakeKey
) -> None:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as bob:
        ((kind, end),) = events((await bob.get(STREAM, params={"q": "common"})).text)
        assert (kind, end["total"]) == ("end", 0)
    problem(await stranger.get(STREAM, params={"q": "common"}), 401, "unauthorized")


async def test_the_search_ends_when_nobody_listens_any_more(
    app: FastAPI, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_MOMENT_SECONDS", 0)
    looked: list[int] = []
    look = searching._look

    def watched(rank: tuple[bool, ...], plan: searching.Plan, place: int) -> searching._Hit | None:
        looked.append(place)
        return look(rank, plan, place)

    monkeypatch.setattr(searching, "_look", watched)
    heard, requests = asyncio.Event(), iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        if request := next(requests, None):
            return request
        await heard.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if b"event: file" in message.get("body", b""):
            heard.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": STREAM,
        "raw_path": STREAM.encode(),
        "query_string": b"q=common",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("api", 80),
    }
    await app(scope, receive, send)
    assert 0 < len(looked) < FILES
