"""Repositories: who may load, see, read and remove them, and what is given to read."""

import asyncio
import os
import subprocess
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import SecretStr
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.context import ContextActivities
from activities.step import Step
from cli.platform import save_platform_definitions
from models.context import LOAD_REPOSITORY, Index, Indexed, LoadedRepo, LoadRepo, RemoveRepo
from models.errors import ConflictError, NotFoundError
from models.identity import SYSTEM_USER, Caller, Role
from models.persistence.tables import users
from models.settings import Settings
from services.analytics.erasure import erase_user
from services.context.repositories import visible
from services.context.search.indexing import build_index
from services.context.search.manifest import IndexFolder
from services.context.store import RepositoryStore
from tests.api.clients import MakeKey, client_of, problem

REPOS = "/api/v1/context/repos"
ADA = Caller(user_id="ada", role=Role.LEARNER)
BOB = Caller(user_id="bob", role=Role.LEARNER)
ROOT = Caller(user_id="root", role=Role.ADMIN)
UNKNOWN = "0" * 32


def git(repository: Path, *arguments: str, at: int = 0) -> str:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    environment |= {
        "GIT_AUTHOR_DATE": f"{1_700_000_000 + at} +0000",
        "GIT_COMMITTER_DATE": f"{1_700_000_000 + at} +0000",
    }
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


def commit(repository: Path, message: str, at: int, **files: str | bytes) -> str:
    for name, content in files.items():
        path = repository / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(repository, "add", ".")
    git(repository, "commit", "-qm", message, at=at)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "roots" / "project"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    commit(path, "first\n\nmore", 1, readme="one\ntwo\nthree\n", src__a="a\n", src__b="b", blob=b"\0\xff")
    git(path, "tag", "v1")
    commit(path, "second", 2, readme="one\n2\nthree\n")
    commit(path, "third", 3, src__a="aa\n")
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    roots = (tmp_path / "roots",)
    return Settings(secret=SecretStr("s" * 40), home=tmp_path / "home", repo_roots=roots, repos_per_user=2)


@pytest.fixture(autouse=True)
async def _platform(database: AsyncEngine) -> None:
    await save_platform_definitions(database)
    async with database.begin() as connection:
        for caller in (ADA, BOB, ROOT):
            await connection.execute(insert(users).values(id=caller.user_id, role=caller.role.value))


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


@pytest.fixture
def worker(settings: Settings, database: AsyncEngine) -> ContextActivities:
    return ContextActivities(settings, database)


async def post(client: AsyncClient, **wanted: Any) -> Response:
    return await client.post(REPOS, json=wanted)


async def load(
    worker: ContextActivities, caller: Caller, path: Path, ref: str | None = None, run: str = "r"
) -> LoadedRepo:
    """What the worker does, without a run of its own."""
    return await worker.load_repo(LoadRepo(path=str(path), ref=ref), Step(run, "load", "mine", 1, caller))


async def shown(client: AsyncClient, repository_id: str, **query: Any) -> dict[str, Any]:
    answer = await client.get(f"{REPOS}/{repository_id}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def end_run(database: AsyncEngine, run_id: str, status: str, error: str | None = None) -> None:
    async with database.begin() as connection:
        await connection.execute(
            text(
                "UPDATE runs SET status = :status, ended_at = now(), error = CAST(:error AS jsonb) WHERE run_id = :run"
            ),
            {"run": run_id, "status": status, "error": error},
        )


async def count(database: AsyncEngine, query: str) -> int:
    async with database.connect() as connection:
        return await connection.scalar(text(query)) or 0


async def test_a_load_is_recorded_with_its_run_and_is_ready_when_the_worker_has_done_it(
    learner: AsyncClient, worker: ContextActivities, repository: Path, database: AsyncEngine
) -> None:
    answer = await post(learner, path=str(repository))
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    found = (await learner.get(REPOS)).json()["items"]
    assert [(one["id"], one["status"], one["commit"], one["run_id"]) for one in found] == [
        (accepted["id"], "loading", None, accepted["run_id"])
    ]
    problem(await learner.get(f"{REPOS}/{accepted['id']}/tree"), 409, "not-loaded")
    step = Step(accepted["run_id"], "load", LOAD_REPOSITORY, 1, ADA)
    loaded = await worker.load_repo(LoadRepo(path=str(repository)), step)
    assert loaded == (await worker.load_repo(LoadRepo(path=str(repository)), step)).model_copy(
        update={"bytes_fetched": loaded.bytes_fetched}
    )
    assert (await shown(learner, accepted["id"]))["status"] == "indexing"
    await end_run(database, accepted["run_id"], "completed")
    ready = await shown(learner, accepted["id"])
    assert (ready["id"], ready["status"], ready["commit"], ready["commits"]) == (loaded.id, "ready", loaded.commit, 3)
    assert ready["bytes"] > 0
    assert ready["links"]["run"] == f"/api/v1/runs/{accepted['run_id']}"


async def test_a_load_is_answered_once_per_idempotency_key(
    learner: AsyncClient, repository: Path, database: AsyncEngine
) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [await learner.post(REPOS, json={"path": str(repository)}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert await count(database, "SELECT count(*) FROM runs") == 1


@pytest.mark.parametrize(
    ("wanted", "pointer", "code"),
    [
        ({"path": "relative"}, "/path", "relative-path"),
        ({"path": "/etc"}, "/path", "not-found"),
        ({"path": "\u0000"}, "", "invalid-input"),
        ({"url": "file:///etc"}, "/url", "address-refused"),
        ({"url": "ext::sh -c id"}, "/url", "address-refused"),
        ({"url": "https://user:pw@example.org/a/b"}, "/url", "address-refused"),
        ({"url": "ssh://example.org/a/b"}, "/url", "address-refused"),
        ({"owner": "..", "repo": "x"}, "/repo", "address-refused"),
        ({"owner": "psf"}, "", "invalid-input"),
        ({}, "", "invalid-input"),
        ({"url": "https://example.org/a", "depth": 3}, "/depth", "invalid-input"),
    ],
    ids=str,
)
async def test_what_cannot_be_loaded_is_refused_by_its_field(
    learner: AsyncClient, database: AsyncEngine, wanted: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await learner.post(REPOS, json=wanted)
    assert answer.status_code == 422, answer.text
    found = answer.json()
    assert "pw" not in answer.text
    if pointer:
        assert (found["errors"][0]["pointer"], found["code"]) == (pointer, code)
    assert await count(database, "SELECT count(*) FROM repositories") == 0


async def test_a_folder_that_is_no_repository_is_told_from_one_outside_of_the_roots(
    learner: AsyncClient, tmp_path: Path
) -> None:
    (tmp_path / "roots" / "empty").mkdir(parents=True)
    found = problem(await post(learner, path=str(tmp_path / "roots" / "empty")), 422, "not-a-repository")
    assert found["errors"][0]["pointer"] == "/path"


async def test_one_folder_is_one_repository_however_it_is_spelled(
    learner: AsyncClient, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "roots" / "link").symlink_to(repository)
    spellings = (repository, repository.parent / "." / "x" / ".." / "project", tmp_path / "roots" / "link")
    (repository.parent / "x").mkdir()
    assert len({(await post(learner, path=str(path))).json()["id"] for path in spellings}) == 1


async def test_nobody_sees_another_s_repository(
    learner: AsyncClient, bob: AsyncClient, admin: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    repository_id = (await load(worker, ADA, repository)).id
    assert (await bob.get(REPOS)).json()["items"] == []
    missing = await bob.get(f"{REPOS}/{UNKNOWN}")
    for path in ("", "/tree", "/file?path=readme", "/history"):
        there, none = await bob.get(f"{REPOS}/{repository_id}{path}"), await bob.get(f"{REPOS}/{UNKNOWN}{path}")
        problem(there, 404, "not-found")
        assert there.content == none.content == missing.content
    problem(await bob.delete(f"{REPOS}/{repository_id}"), 404, "not-found")
    problem(await bob.post(f"{REPOS}/{repository_id}/refresh"), 404, "not-found")
    problem(await bob.get(f"{REPOS}/nonsense"), 404, "not-found")
    assert (await shown(admin, repository_id))["status"] == "ready"


async def test_asking_for_another_s_repository_opens_nothing_until_the_own_load_has_succeeded(
    bob: AsyncClient, worker: ContextActivities, repository: Path, database: AsyncEngine
) -> None:
    repository_id = (await load(worker, ADA, repository)).id
    accepted = (await post(bob, path=str(repository), ref="v1")).json()
    assert accepted["id"] == repository_id
    pending = await shown(bob, repository_id)
    assert (pending["status"], pending["commit"], pending["bytes"], pending["ref"]) == ("loading", None, 0, "v1")
    problem(await bob.get(f"{REPOS}/{repository_id}/tree"), 409, "not-loaded")
    async with database.connect() as connection:
        assert await visible(connection, BOB) == []
        assert [one.id for one in await visible(connection, ADA)] == [repository_id]
    await end_run(database, accepted["run_id"], "failed", '{"code": "unknown-ref", "message": "no"}')
    failed = await shown(bob, repository_id)
    assert (failed["status"], failed["error"]) == ("failed", {"code": "unknown-ref", "message": "no"})
    problem(await bob.get(f"{REPOS}/{repository_id}/file?path=readme"), 409, "not-loaded")


async def test_everybody_reads_the_ref_they_loaded(
    learner: AsyncClient, bob: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    tip = await load(worker, ADA, repository)
    tagged = await load(worker, BOB, repository, "v1")
    assert (await shown(learner, tip.id))["commit"] == tip.commit
    assert ((await shown(bob, tip.id))["commit"], (await shown(bob, tip.id))["commits"]) == (tagged.commit, 1)
    file = (await bob.get(f"{REPOS}/{tip.id}/file?path=readme")).json()
    assert (file["commit"], file["content"]) == (tagged.commit, "one\ntwo\nthree\n")
    for rev in ("v1", "refs/tags/v1", tagged.commit, tagged.commit[:7].upper()):
        file = (await learner.get(f"{REPOS}/{tip.id}/file", params={"path": "readme", "rev": rev})).json()
        assert file["commit"] == tagged.commit, rev


async def test_what_an_admin_loads_is_there_for_all_until_an_admin_removes_it(
    learner: AsyncClient, bob: AsyncClient, admin: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    tip = await load(worker, ROOT, repository)
    seen = await shown(learner, tip.id)
    assert (seen["shared"], seen["status"], seen["run_id"]) == (True, "ready", None)
    await load(worker, BOB, repository, "v1")
    assert (await shown(learner, tip.id))["commit"] == tip.commit, "what others load of it changes nothing for me"
    problem(await learner.delete(f"{REPOS}/{tip.id}"), 403, "forbidden")
    assert (await admin.delete(f"{REPOS}/{tip.id}")).status_code == 204
    problem(await learner.get(f"{REPOS}/{tip.id}"), 404, "not-found")
    assert (await shown(bob, tip.id))["shared"] is False


async def test_the_last_who_gives_a_repository_up_removes_it(
    learner: AsyncClient,
    bob: AsyncClient,
    worker: ContextActivities,
    repository: Path,
    database: AsyncEngine,
    settings: Settings,
) -> None:
    loaded = await load(worker, ADA, repository)
    await load(worker, BOB, repository)
    removal = Step("r", "remove-repo", "x", 1, Caller(user_id=SYSTEM_USER, role=Role.ADMIN))
    assert (await learner.delete(f"{REPOS}/{loaded.id}")).status_code == 204
    assert not (await worker.remove_repo(RemoveRepo(id=loaded.id), removal)).removed
    assert await count(database, "SELECT count(*) FROM runs") == 0
    assert (await bob.delete(f"{REPOS}/{loaded.id}")).status_code == 204
    problem(await bob.delete(f"{REPOS}/{loaded.id}"), 404, "not-found")
    assert await count(database, "SELECT count(*) FROM repositories") == 0
    assert await count(database, "SELECT count(*) FROM runs WHERE definition_id = 'tooloo-context-remove-repo'") == 1
    assert await count(database, "SELECT count(*) FROM audit WHERE action = 'repository.remove'") == 2
    assert (await worker.remove_repo(RemoveRepo(id=loaded.id), removal)).removed
    assert not (settings.store_path / loaded.id).exists()


async def test_an_index_is_counted_and_one_of_what_was_given_up_meanwhile_leaves_nothing(
    learner: AsyncClient,
    worker: ContextActivities,
    repository: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = await load(worker, ADA, repository)
    step = Step("r", "index", "mine", 1, ADA)
    before = (await shown(learner, loaded.id))["bytes"]
    indexed = await worker.index(Index(repo=loaded), step)
    assert (await shown(learner, loaded.id))["bytes"] == before + indexed.bytes
    assert (await load(worker, ADA, repository)).bytes_fetched == 0
    assert (await shown(learner, loaded.id))["bytes"] == before + indexed.bytes
    loop = asyncio.get_running_loop()

    def given_up_meanwhile(*arguments: Any) -> Indexed:
        asyncio.run_coroutine_threadsafe(learner.delete(f"{REPOS}/{loaded.id}"), loop).result(60)
        IndexFolder(settings.index_path, loaded.id).remove()  # as the worker removes it
        return build_index(*arguments)

    monkeypatch.setattr("activities.context.build_index", given_up_meanwhile)
    await worker.index(Index(repo=loaded), step)
    assert not (settings.store_path / loaded.id).exists()
    assert not (settings.index_path / loaded.id).exists()


async def test_an_admin_who_never_asked_for_it_removes_it_for_all(
    learner: AsyncClient, admin: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    loaded = await load(worker, ADA, repository)
    assert (await admin.delete(f"{REPOS}/{loaded.id}")).status_code == 204
    problem(await learner.get(f"{REPOS}/{loaded.id}"), 404, "not-found")


async def test_a_refresh_loads_again_what_the_caller_asked_for(
    learner: AsyncClient, worker: ContextActivities, repository: Path, database: AsyncEngine
) -> None:
    loaded = await load(worker, ADA, repository, "main")
    answer = await learner.post(f"{REPOS}/{loaded.id}/refresh")
    assert (answer.status_code, answer.json()["id"]) == (202, loaded.id)
    now = await shown(learner, loaded.id)
    assert (now["status"], now["commit"]) == ("loading", loaded.commit), "the old commit is served meanwhile"
    assert (await learner.get(f"{REPOS}/{loaded.id}/tree")).status_code == 200
    async with database.connect() as connection:
        asked = await connection.scalar(text("SELECT input FROM runs"))
    assert asked == {"path": str(repository), "ref": "main"}


async def test_a_list_is_paged_newest_first_and_found_by_name(
    admin: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    ids = []
    for name in ("one", "two", "three"):
        copy = repository.parent / name
        git(repository, "clone", "-q", str(repository), str(copy))
        ids.append((await load(worker, ROOT, copy)).id) if name != "three" else None
    ids.append((await load(worker, ADA, repository.parent / "three")).id)
    first = (await admin.get(REPOS, params={"limit": 2})).json()
    rest = (await admin.get(REPOS, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next_cursor"] is None
    assert [one["id"] for one in (await admin.get(REPOS, params={"name": "TWO"})).json()["items"]] == [ids[1]]
    assert (await admin.get(REPOS, params={"name": "tw"})).json()["items"] == []


async def test_nobody_has_more_repositories_than_the_quota(
    learner: AsyncClient, bob: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    copies = [repository.parent / name for name in "abc"]
    for copy in copies:
        git(repository, "clone", "-q", str(repository), str(copy))
    answers = await asyncio.gather(*(post(learner, path=str(copy)) for copy in copies))
    assert sorted(answer.status_code for answer in answers) == [202, 202, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert "TOOLOO_REPOS_PER_USER" in problem(refused, 409, "repository-quota")["detail"]
    assert (await post(bob, path=str(copies[0]))).status_code == 202
    third = next(copy for copy, answer in zip(copies, answers, strict=True) if answer is refused)
    with pytest.raises(ConflictError, match="TOOLOO_REPOS_PER_USER"):
        await load(worker, ADA, third)
    mine = (await learner.get(REPOS)).json()["items"][0]["id"]
    assert (await learner.delete(f"{REPOS}/{mine}")).status_code == 204
    assert (await post(learner, path=str(repository))).status_code == 202


async def test_the_least_recently_used_makes_room_for_the_next(
    learner: AsyncClient, repository: Path, settings: Settings, database: AsyncEngine
) -> None:
    copies = [repository.parent / name for name in "abc"]
    for copy in copies:
        git(repository, "clone", "-q", str(repository), str(copy))
    roomy = ContextActivities(settings, database)
    old, used = [(await load(roomy, caller, copy)).id for caller, copy in zip((ADA, BOB), copies, strict=False)]
    async with database.begin() as connection:
        await connection.execute(
            text("UPDATE repositories SET used_at = now() - interval '1 hour' WHERE id = :id"), {"id": old}
        )
        size = await connection.scalar(text("SELECT max(bytes) FROM repositories"))
    tight = ContextActivities(settings.model_copy(update={"store_gib": 1.5 * size / 2**30}), database)
    await load(tight, BOB, copies[2])
    store = RepositoryStore(settings.store_path)
    assert store.find(old) is None
    assert store.find(used) is not None
    gone = await shown(learner, old)
    assert (gone["status"], gone["error"]["code"], gone["commit"], gone["bytes"]) == ("failed", "evicted", None, 0)
    problem(await learner.get(f"{REPOS}/{old}/tree"), 409, "not-loaded")
    await load(roomy, ADA, copies[0])
    assert (await shown(learner, old))["status"] == "ready"


async def test_two_loads_at_once_are_one_as_far_as_the_store_goes(
    worker: ContextActivities, repository: Path, settings: Settings
) -> None:
    one, other = await asyncio.gather(load(worker, ADA, repository), load(worker, BOB, repository))
    assert one.commit == other.commit
    assert sorted(bool(loaded.bytes_fetched) for loaded in (one, other)) == [False, True]
    assert [path.name for path in settings.store_path.iterdir() if path.is_dir()] == [one.id]


async def test_what_is_given_up_while_it_is_loaded_does_not_come_back(
    learner: AsyncClient,
    worker: ContextActivities,
    repository: Path,
    database: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepted = (await post(learner, path=str(repository))).json()
    store, claimed, go_on = worker._loader.store, asyncio.Event(), asyncio.Event()

    async def pause(besides: str) -> None:
        claimed.set()
        await go_on.wait()

    monkeypatch.setattr(worker, "_make_room", pause)
    step = Step(accepted["run_id"], "load", LOAD_REPOSITORY, 1, ADA)
    load_of_it = asyncio.create_task(worker.load_repo(LoadRepo(path=str(repository)), step))
    await claimed.wait()
    assert (await learner.delete(f"{REPOS}/{accepted['id']}")).status_code == 204
    go_on.set()
    await load_of_it
    assert await count(database, "SELECT count(*) FROM repositories") == 0
    assert store.find(accepted["id"]) is not None, "the run that removes it comes after"


async def test_folders_are_listed_page_by_page_at_one_commit(
    learner: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    loaded = await load(worker, ADA, repository)
    tree = f"{REPOS}/{loaded.id}/tree"
    first = (await learner.get(tree, params={"limit": 2})).json()
    assert first["items"] == [
        {"name": "src", "path": "src", "type": "folder", "size": None},
        {"name": "blob", "path": "blob", "type": "file", "size": 2},
    ]
    commit(repository, "new", 9, aaa="x")
    await load(worker, ADA, repository)
    rest = (await learner.get(tree, params={"cursor": first["next_cursor"]})).json()
    assert [one["name"] for one in rest["items"]] == ["readme"]
    assert rest["next_cursor"] is None
    inside = (await learner.get(tree, params={"path": "src/"})).json()["items"]
    assert [(one["path"], one["size"]) for one in inside] == [("src/a", 3), ("src/b", 1)]
    problem(await learner.get(tree, params={"path": "readme"}), 404, "not-found")
    problem(await learner.get(tree, params={"path": "none"}), 404, "not-found")
    problem(await learner.get(tree, params={"cursor": "bm9uZQ"}), 422, "invalid-input")


@pytest.mark.parametrize("path", ["..", "../x", "src/../../x", "/etc/passwd", ".git", ".git/config", "src/.GIT/x",
                                  "a//b", "./a", "a\0b", "x/" * 300])  # fmt: skip
@pytest.mark.parametrize("route", ["tree", "file", "history"])
async def test_no_path_leads_outside(
    learner: AsyncClient, worker: ContextActivities, repository: Path, path: str, route: str
) -> None:
    loaded = await load(worker, ADA, repository)
    answer = await learner.get(f"{REPOS}/{loaded.id}/{route}", params={"path": path})
    problem(answer, 422, "invalid-input" if "\0" in path else "bad-path")


async def test_files_are_text_by_lines_or_base64(
    learner: AsyncClient, worker: ContextActivities, repository: Path
) -> None:
    commit(
        repository, "more", 9, latin="é".encode("latin-1"), empty="", large="x" * (2 * 2**20 + 1), cr="a\rb\u2028c\nd"
    )
    (repository / "link").symlink_to("../../outside")
    git(repository, "add", "link")
    git(repository, "commit", "-qm", "link")
    loaded = await load(worker, ADA, repository)

    async def read(path: str, **query: str) -> Response:
        return await learner.get(f"{REPOS}/{loaded.id}/file", params={"path": path, **query})

    whole = (await read("readme")).json()
    assert whole == {
        "path": "readme", "commit": loaded.commit, "type": "file", "size": 12, "encoding": "utf-8",
        "content": "one\n2\nthree\n", "lines": 3, "first_line": 1, "last_line": 3,
    }  # fmt: skip
    part = (await read("readme", lines="2-9")).json()
    assert (part["content"], part["first_line"], part["last_line"], part["lines"]) == ("2\nthree\n", 2, 3, 3)
    beyond = (await read("readme", lines="7")).json()
    assert (beyond["content"], beyond["first_line"]) == ("", None)
    assert (await read("cr", lines="1")).json()["content"] == "a\rb\u2028c\n"
    for path, content in (("blob", b"\0\xff"), ("latin", "é".encode("latin-1"))):
        binary = (await read(path)).json()
        assert (binary["encoding"], b64decode(binary["content"]), binary["lines"]) == ("base64", content, None)
    assert ((await read("empty")).json()["content"], (await read("empty")).json()["lines"]) == ("", 0)
    link = (await read("link")).json()
    assert (link["type"], link["content"]) == ("symlink", "../../outside")
    problem(await read("link/x"), 404, "not-found")
    problem(await read("src"), 404, "not-found")
    problem(await read("large"), 413, "file-too-large")
    problem(await read("blob", lines="1"), 422, "binary-file")
    for lines in ("0", "3-2", "a", "1-", "-1", "1-2-3"):
        assert problem(await read("readme", lines=lines), 422, "bad-lines")["errors"][0]["pointer"] == "/query/lines"
    for rev in ("nothing", "main", "f" * 40, git(repository, "rev-parse", "HEAD~1")):
        problem(await read("readme", rev=rev), 404, "unknown-rev")


@pytest.mark.parametrize("path", ["", "readme", "src", "src/a", "gone", "side"])
async def test_history_is_what_git_log_says(
    learner: AsyncClient, worker: ContextActivities, repository: Path, path: str
) -> None:
    commit(repository, "gone comes", 10, gone="x\n")
    git(repository, "rm", "-q", "gone")
    git(repository, "commit", "-qm", "gone goes", at=11)
    git(repository, "checkout", "-qb", "branch", "v1")
    commit(repository, "side", 12, side="s\n", src__c="c")
    git(repository, "checkout", "-q", "main")
    commit(repository, "main goes on", 13, src__b="bb")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", "branch", at=14)
    loaded = await load(worker, ADA, repository)
    told = git(repository, "log", "--format=%H %s", "HEAD", "--", *([path] if path else [])).splitlines()
    if not path:
        told = git(repository, "log", "--format=%H %s", "HEAD").splitlines()
    found, cursor = list[str](), None
    while True:
        query = {"path": path, "limit": 2} | ({} if cursor is None else {"cursor": cursor})
        page = (await learner.get(f"{REPOS}/{loaded.id}/history", params=query)).json()
        found += [f"{one['commit']} {one['subject']}" for one in page["items"]]
        assert page["complete"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == told


async def test_a_store_out_of_reach_is_said(
    learner: AsyncClient, worker: ContextActivities, repository: Path, settings: Settings
) -> None:
    loaded = await load(worker, ADA, repository)
    store = settings.store_path
    (store / loaded.id).rename(store / "elsewhere")
    problem(await learner.get(f"{REPOS}/{loaded.id}/tree"), 409, "not-loaded")
    store.rename(store.with_name("away"))
    problem(await learner.get(f"{REPOS}/{loaded.id}/tree"), 503, "unavailable")


async def test_who_is_erased_leaves_no_claim(
    bob: AsyncClient, worker: ContextActivities, repository: Path, database: AsyncEngine
) -> None:
    loaded = await load(worker, ADA, repository)
    await load(worker, BOB, repository)
    async with database.begin() as connection:
        await erase_user(connection, "ada", "somebody", "root")
    assert await count(database, "SELECT count(*) FROM repository_users") == 1
    assert (await shown(bob, loaded.id))["status"] == "ready"
    with pytest.raises(NotFoundError):
        await load(worker, ADA, repository)


async def test_strangers_get_nothing(stranger: AsyncClient) -> None:
    for path in (REPOS, f"{REPOS}/{UNKNOWN}", f"{REPOS}/{UNKNOWN}/tree"):
        problem(await stranger.get(path), 401, "unauthorized")
