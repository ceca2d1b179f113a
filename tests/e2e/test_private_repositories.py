"""A private repository through the whole platform, and what is left of its credential afterwards."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from models.identity import Role
from tests.e2e.conftest import Platform, running_platform
from tests.services.analytics.test_erasure import everything_with
from tests.services.context.git_http_server import GitServer, run_git, serving

REPOS = "/context/repos"
TOKEN = "ghp_NobodyMayEverReadThis"
LOADING = {"loading", "indexing"}
PAIR = f"x-access-token:{TOKEN}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    path = tmp_path / "served" / "project"
    path.mkdir(parents=True)
    run_git(path, "init", "-q", "-b", "main")
    (path / "readme.md").write_text("a treasure\n")
    run_git(path, "add", ".")
    run_git(path, "commit", "-qm", "first")
    with serving(path.parent) as server:
        server.private["project"] = PAIR
        yield server


@pytest.fixture
async def platform(
    temporal: Client, database: AsyncEngine, tmp_path: Path, server: GitServer
) -> AsyncIterator[Platform]:
    async with running_platform(temporal, database, tmp_path, allow_addresses=(server.address,)) as platform:
        yield platform


async def get(client: AsyncClient, repository_id: str) -> dict[str, Any]:
    return (await client.get(f"{REPOS}/{repository_id}")).json()


async def ended(client: AsyncClient, repository_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (shown := await get(client, repository_id))["status"] in LOADING:  # noqa: ASYNC110 - a run ends
            await asyncio.sleep(0.05)
    return shown


def review(url: str, credential: str) -> dict[str, Any]:
    """A workflow that loads and measures."""
    source = {"url": url, "credential": credential}
    return {
        "id": "review",
        "access": {"execute": ["learner", "author", "admin"]},
        "steps": [
            {"id": "load", "service": "context", "action": "load-repo", "input": source},
            {"id": "analyze", "service": "context", "action": "analyze", "input": {"repo": "from:load"}},
        ],
        "output": {"repo": "from:load", "files": "from:analyze.files"},
    }


async def test_a_credential_loads_a_repository_for_its_owner_and_is_left_nowhere(
    platform: Platform, server: GitServer
) -> None:
    url = f"http://{server.address}/project"
    async with (
        await platform.client("root", Role.ADMIN) as root,
        await platform.client("ada", Role.LEARNER) as ada,
        await platform.client("bob", Role.AUTHOR) as bob,
    ):
        assert (await ada.put("/secrets/forge", json={"value": TOKEN, "host": server.address})).status_code == 204
        accepted = (await ada.post(REPOS, json={"url": url, "credential": "forge"})).json()
        ready = await ended(ada, accepted["id"])
        assert (ready["status"], ready["credential"]) == ("ready", "forge"), ready
        assert (await ada.get("/context/search", params={"q": "treasure"})).json()["total"] == 1

        asked = (await bob.post(REPOS, json={"url": url, "ref": ready["commit"]})).json()
        assert asked["id"] == accepted["id"]
        assert (await ended(bob, asked["id"]))["error"]["code"] == "authentication-required"
        assert (await bob.put("/secrets/forge", json={"value": "wrong", "host": server.address})).status_code == 204
        again = (await bob.post(REPOS, json={"url": url, "credential": "forge"})).json()
        assert (await ended(bob, again["id"]))["error"]["code"] == "credential-refused"
        assert (await bob.get("/context/search", params={"q": "treasure"})).json()["total"] == 0

        assert (await root.post("/workflow", json=review(url, "forge"))).status_code == 201
        runs = [(await client.post("/workflow/review/execute?wait=60", json={})).json() for client in (ada, bob, root)]
        assert [run["status"] for run in runs] == ["completed", "failed", "failed"], runs
        assert [run["error"]["code"] for run in runs[1:]] == ["credential-refused", "unknown-secret"]
        forged = {"input": {"repo": runs[0]["output"]["repo"]}}
        for action in ("analyze", "index", "diff"):
            body = forged if action != "diff" else {"input": {**forged["input"], "base": ready["commit"]}}
            stolen = (await bob.post(f"/actions/context.{action}/execute?wait=60", json=body)).json()
            assert stolen["status"] == "failed", stolen
            assert stolen["error"]["code"] == "not-found"

        await nothing_is_left(platform, [accepted["run_id"], asked["run_id"], again["run_id"]], runs)


async def nothing_is_left(platform: Platform, run_ids: list[str], runs: list[dict[str, Any]]) -> None:
    """The token is in no table, and in no history of Temporal."""
    forms = (TOKEN, TOKEN.encode().hex(), b64encode(PAIR.encode()).decode())
    for form in forms:
        async with platform.database.connect() as connection:
            assert await everything_with(connection, form) == []
    for run_id in (*run_ids, *(run["run_id"] for run in runs)):
        history = await platform.temporal.get_workflow_handle(run_id).fetch_history()
        told = b"".join(event.SerializeToString() for event in history.events)
        assert b"load-repo" in told
        assert not [form for form in forms if form.encode() in told]
