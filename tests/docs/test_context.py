"""What docs/context.md says is what the API does."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.context import ContextActivities
from activities.step import Step
from api.app import create_app
from api.routers import repositories, secrets, symbols
from cli.platform import save_platform_definitions
from models.context import Index, LoadRepo, Search
from models.identity import Caller, NewKey, Role
from models.repositories import RepositoryStatus
from models.secrets import MAX_SECRETS
from models.settings import CHECKOUT, Settings
from services.context.reading import MAX_FILE, MAX_WALK
from services.context.revisions import LEAST_DIGITS
from services.context.symbols import Kind
from services.identity.keys import create_key
from services.identity.secrets import SecretSeal, put_secret
from tests.api.clients import client_of

PAGE = (CHECKOUT / "docs" / "context.md").read_text()
EXAMPLES = [block for block in map(from_json, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)) if "request" in block]
ADA = Caller(user_id="ada", role=Role.LEARNER)
ANYTHING = "…"


def git(repository: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", repository, *who, *arguments], check=True, capture_output=True, env=environment)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "roots" / "project"
    (path / "docs").mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    (path / "app.py").write_text("def begin():\n    return 1\n")
    (path / "logo.png").write_bytes(b"\x89PNG\0\1")
    git(path, "add", ".")
    git(path, "commit", "-qm", "First")
    (path / "docs" / "index.md").write_text("# Hello\n")
    git(path, "add", ".")
    git(path, "commit", "-qm", "Add a page")
    return path


def agrees(told: Any, given: Any) -> bool:
    """Whether an answer has everything that the page shows of it."""
    if isinstance(told, dict):
        return isinstance(given, dict) and all(key in given and agrees(told[key], given[key]) for key in told)
    if isinstance(told, list):
        return len(told) == len(given) and all(map(agrees, told, given))
    return told in {ANYTHING, given} if isinstance(told, str) else told == given


FOUND = {
    "begin": ["app.py"],
    '"return 1"': ["app.py"],
    r"/def \w+\(\):/": ["app.py"],
    "begin return": ["app.py"],
    "begin OR hello": ["app.py", "docs/index.md"],
    "begin -hello": ["app.py"],
    "(begin OR hello) lang:python": ["app.py"],
    "path:docs": ["docs/index.md"],
    "path:*.md": ["docs/index.md"],
    r"path:/\.py$/": ["app.py"],
    "repo:project": ["app.py", "docs/index.md", "logo.png"],
    "lang:python": ["app.py"],
    "symbol:begin": ["app.py"],
}


async def test_queries_of_the_page(repository: Path, database: AsyncEngine, tmp_path: Path) -> None:
    assert re.findall(r"^\| `(.+?)` \| (?:with|whose|of|in|that|parentheses)", PAGE, re.MULTILINE) == list(FOUND)
    settings = Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(repository.parent,))
    async with database.begin() as connection:
        await create_key(connection, NewKey(user_id=ADA.user_id, role=ADA.role, name="test"), actor_id="test")
    activities, step = ContextActivities(settings, database), Step("run", "load", "mine", 1, ADA)
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), step)
    await activities.index(Index(repo=loaded), step)
    for query, paths in FOUND.items():
        found = await activities.search(Search(query=query), step)
        assert sorted(item.path for item in found.items) == paths, query


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["request"])
async def test_examples(example: dict[str, Any], repository: Path, database: AsyncEngine, tmp_path: Path) -> None:
    settings = Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(repository.parent,))
    await save_platform_definitions(database)
    async with database.begin() as connection:
        new = NewKey(user_id=ADA.user_id, role=ADA.role, name="test")
        key = (await create_key(connection, new, actor_id="test")).key
        await put_secret(connection, SecretSeal("s" * 40).seal(ADA.user_id, "github", SecretStr("ghp_1")))
    step = Step("run", "load", "mine", 1, ADA)
    activities = ContextActivities(settings, database)
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), step)
    await activities.index(Index(repo=loaded), step)
    method, path = example["request"].replace("{id}", loaded.id).split(" ", 1)
    away = await Client.connect("127.0.0.1:1", lazy=True)
    app = create_app(settings, database, away)
    async with client_of(app, key) as client:
        answer = await client.request(method, f"/api/v1{path}", json=example.get("body"))
    app.state.parts.parsers.end()
    assert answer.status_code == example["status"], answer.text
    assert agrees(example["gives"], answer.json()) if "gives" in example else not answer.content, answer.text


async def test_the_stream_of_the_page(repository: Path, database: AsyncEngine, tmp_path: Path) -> None:
    told = PAGE.partition("```text\nevent: ")[2].partition("```")[0]
    settings = Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=(repository.parent,))
    async with database.begin() as connection:
        new = NewKey(user_id=ADA.user_id, role=ADA.role, name="test")
        key = (await create_key(connection, new, actor_id="test")).key
    activities, step = ContextActivities(settings, database), Step("run", "load", "mine", 1, ADA)
    loaded = await activities.load_repo(LoadRepo(path=str(repository)), step)
    await activities.index(Index(repo=loaded), step)
    away = await Client.connect("127.0.0.1:1", lazy=True)
    async with client_of(create_app(settings, database, away), key) as client:
        answer = await client.get("/api/v1/context/search/stream?q=hello")
    assert answer.text.strip() == f"event: {told}".strip().replace(ANYTHING, loaded.commit)


def test_every_block_is_valid_and_every_route_is_named() -> None:
    there = {
        f"{method} {route.path.removeprefix('/api/v1').replace('repository_id', 'id')}"
        for route in (*repositories.router.routes, *symbols.router.routes, *secrets.router.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    named = set(re.findall(r"((?:GET|POST|DELETE) /context/repos[^`?\s\"]*)", PAGE))
    named |= set(re.findall(r"`((?:GET|PUT|DELETE) /secrets[^`]*)`", PAGE))
    assert named == there


def test_states_and_limits() -> None:
    table = PAGE.partition("| `status` | means |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE) == list(get_args(RepositoryStatus))
    assert f"after {MAX_WALK:,} commits" in PAGE
    listed = re.findall(r"`(\w+)`", PAGE.partition("those of one kind:")[2].partition(".\n")[0])
    assert listed == [kind.value for kind in Kind]
    assert f"above {MAX_FILE // 2**20} MiB" in PAGE
    assert f"at least {LEAST_DIGITS} digits" in PAGE
    assert f"at most {MAX_SECRETS} secrets" in PAGE
