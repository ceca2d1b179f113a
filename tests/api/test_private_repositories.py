"""A private repository: who has a credential reads it, who has none gets nothing of it, whatever they try."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient, Response
from pydantic import SecretStr, ValidationError
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.context import ContextActivities
from activities.step import Step
from cli.platform import save_platform_definitions
from models.context import Analyze, Diff, Index, LoadedRepo, LoadRepo, Search
from models.errors import ForbiddenError, InvalidInputError, NotFoundError, TooLooError
from models.identity import Caller, Role
from models.persistence.tables import users
from models.settings import Settings
from services.context.search.manifest import FORMAT
from services.identity.secrets import SecretSeal, delete_secret, put_secret
from tests.api.clients import MakeKey, client_of, problem
from tests.services.context.git_http_server import GitServer, basic, run_git, serving

REPOS = "/api/v1/context/repos"
ADA = Caller(user_id="ada", role=Role.LEARNER)
BOB = Caller(user_id="bob", role=Role.LEARNER)
ROOT = Caller(user_id="root", role=Role.ADMIN)
PAIR = "ada:s3cret"
WORD = "treasure"
MASTER = "s" * 40


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "roots" / "project"
    path.mkdir(parents=True)
    run_git(path, "init", "-q", "-b", "main")
    for number in range(2):
        (path / "readme").write_text(f"{WORD} {number}\n")
        run_git(path, "add", ".")
        run_git(path, "commit", "-qm", f"commit {number}")
        run_git(path, "tag", f"v{number}")
    return path


@pytest.fixture
def server(repository: Path) -> Iterator[GitServer]:
    with serving(repository.parent) as server:
        server.private["project"] = PAIR
        yield server


@pytest.fixture
def settings(tmp_path: Path, server: GitServer) -> Settings:
    return Settings(
        secret=SecretStr(MASTER),
        home=tmp_path / "home",
        repo_roots=(tmp_path / "elsewhere",),
        allow_addresses=(server.address,),
        forge_url=f"http://{server.address}",
    )


@pytest.fixture(autouse=True)
async def _platform(database: AsyncEngine) -> None:
    await save_platform_definitions(database)
    async with database.begin() as connection:
        for caller in (ADA, BOB, ROOT):
            await connection.execute(insert(users).values(id=caller.user_id, role=caller.role.value))
        await put_secret(connection, SecretSeal(MASTER).seal("ada", "forge", SecretStr(PAIR)))
        await put_secret(connection, SecretSeal(MASTER).seal("root", "forge", SecretStr(PAIR)))
        await put_secret(connection, SecretSeal(MASTER).seal("bob", "guess", SecretStr("a-token-of-bob-s")))


@pytest.fixture
async def bob(app: FastAPI, make_key: MakeKey) -> AsyncIterator[AsyncClient]:
    async with client_of(app, await make_key("bob", Role.LEARNER)) as client:
        yield client


@pytest.fixture
def worker(settings: Settings, database: AsyncEngine) -> ContextActivities:
    return ContextActivities(settings, database)


@pytest.fixture
def url(server: GitServer) -> str:
    return f"http://{server.address}/project"


def step_of(caller: Caller) -> Step:
    return Step("r", "load", "mine", 1, caller)


async def load(worker: ContextActivities, caller: Caller, url: str, **wanted: Any) -> LoadedRepo:
    return await worker.load_repo(LoadRepo(url=url, **wanted), step_of(caller))


async def post(client: AsyncClient, **wanted: Any) -> Response:
    return await client.post(REPOS, json=wanted)


async def found_by(client: AsyncClient, query: str) -> int:
    return (await client.get("/api/v1/context/search", params={"q": query})).json()["total"]


async def test_who_has_a_credential_loads_reads_and_searches(
    learner: AsyncClient, worker: ContextActivities, url: str
) -> None:
    accepted = await post(learner, url=url, credential="forge")
    assert accepted.status_code == 202, accepted.text
    repo = await load(worker, ADA, url, credential="forge")
    await worker.index(Index(repo=repo), step_of(ADA))
    assert repo.source == url
    shown = (await learner.get(f"{REPOS}/{repo.id}")).json()
    assert (shown["credential"], shown["source"], shown["shared"]) == ("forge", url, False)
    file = await learner.get(f"{REPOS}/{repo.id}/file", params={"path": "readme"})
    assert file.json()["content"] == f"{WORD} 1\n"
    assert await found_by(learner, WORD) == 1
    analysis = await worker.analyze(Analyze(repo=repo), step_of(ADA))
    assert analysis.files == 1
    assert (await worker.diff(Diff(repo=repo, base="v0"), step_of(ADA))).files_modified == 1


async def test_an_unknown_credential_is_refused_by_its_field(
    bob: AsyncClient, worker: ContextActivities, url: str, database: AsyncEngine, server: GitServer
) -> None:
    for name in ("forge", "nothing"):  # another's is as unknown as none
        refused = problem(await post(bob, url=url, credential=name), 422, "unknown-secret")
        assert [(error["pointer"], error["code"]) for error in refused["errors"]] == [("/credential", "unknown-secret")]
        with pytest.raises(NotFoundError) as failed:
            await load(worker, BOB, url, credential=name)
        assert failed.value.code == "unknown-secret"
    assert server.requests == []
    async with database.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM runs")) == 0


@pytest.mark.parametrize("source", [{"path": "/etc"}, {"path": "relative"}])
async def test_a_folder_is_loaded_without_a_credential(learner: AsyncClient, source: dict[str, Any]) -> None:
    refused = problem(await post(learner, **source, credential="forge"), 422, "invalid-input")
    assert [error["pointer"] for error in refused["errors"]] == ["/credential"]


@pytest.mark.parametrize("credential", [None, "guess"])
@pytest.mark.parametrize("ref", [None, "main", "v0", "commit", "older commit", "start of commit"])
async def test_who_has_none_is_refused_by_the_server_whatever_ref_they_name(
    bob: AsyncClient,
    worker: ContextActivities,
    url: str,
    repository: Path,
    credential: str | None,
    ref: str | None,
) -> None:
    theirs = await load(worker, ADA, url, credential="forge")
    await worker.index(Index(repo=theirs), step_of(ADA))
    older = run_git(repository, "rev-parse", "v0").strip()
    refs = {"commit": theirs.commit, "older commit": older, "start of commit": theirs.commit[:8]}
    named = refs.get(ref or "", ref)
    assert (await post(bob, url=url, ref=named, credential=credential)).status_code == 202
    with pytest.raises(TooLooError) as refused:
        await load(worker, BOB, url, ref=named, credential=credential)
    assert refused.value.code == ("credential-refused" if credential else "authentication-required")
    for rev in (None, "main", theirs.commit):
        query = {"path": "readme"} | ({"rev": rev} if rev else {})
        problem(await bob.get(f"{REPOS}/{theirs.id}/file", params=query), 409, "not-loaded")
        problem(await bob.get(f"{REPOS}/{theirs.id}/tree", params=query | {"path": ""}), 409, "not-loaded")
        problem(await bob.get(f"{REPOS}/{theirs.id}/history", params=query), 409, "not-loaded")
        assert await found_by(bob, WORD + (f" rev:{rev}" if rev else "")) == 0
    shown = (await bob.get(f"{REPOS}/{theirs.id}")).json()
    assert (shown["commit"], shown["commits"], shown["bytes"], shown["loaded_at"]) == (None, 0, 0, None)


Attempt = Callable[[ContextActivities, LoadedRepo, Caller], Awaitable[Any]]


async def _analyze(worker: ContextActivities, repo: LoadedRepo, caller: Caller) -> Any:
    return await worker.analyze(Analyze(repo=repo), step_of(caller))


async def _index(worker: ContextActivities, repo: LoadedRepo, caller: Caller) -> Any:
    return await worker.index(Index(repo=repo), step_of(caller))


async def _diff(worker: ContextActivities, repo: LoadedRepo, caller: Caller) -> Any:
    return await worker.diff(Diff(repo=repo, base="v0"), step_of(caller))


ATTEMPTS = pytest.mark.parametrize("attempt", [_analyze, _index, _diff])


@ATTEMPTS
@pytest.mark.parametrize("asked", [False, True], ids=["never asked", "asked in vain"])
@pytest.mark.parametrize("here", [True, False], ids=["in the store", "not in the store"])
async def test_a_made_up_repository_opens_another_s_to_no_action(
    worker: ContextActivities,
    settings: Settings,
    database: AsyncEngine,
    server: GitServer,
    url: str,
    attempt: Attempt,
    tmp_path: Path,
    *,
    asked: bool,
    here: bool,
) -> None:
    theirs = await load(worker, ADA, url, credential="forge")
    if asked:
        with pytest.raises(TooLooError):
            await load(worker, BOB, url, credential="guess")
    elsewhere = settings.model_copy(update={"home": tmp_path / "other-machine"})
    before = len(server.requests)
    with pytest.raises(NotFoundError) as refused:
        await attempt(worker if here else ContextActivities(elsewhere, database), theirs, BOB)
    none = theirs.model_copy(update={"id": "0" * 32})
    with pytest.raises(NotFoundError) as missing:
        await attempt(worker, none, BOB)
    assert (refused.value.code, refused.value.detail) == (missing.value.code, missing.value.detail)
    assert len(server.requests) == before, "nothing was loaded again for them"


@ATTEMPTS
async def test_what_one_may_read_is_no_way_to_another_s(
    worker: ContextActivities, server: GitServer, repository: Path, url: str, attempt: Attempt
) -> None:
    run_git(repository, "clone", "-q", "--bare", str(repository), str(repository.parent / "public"))
    theirs = await load(worker, ADA, url, credential="forge")
    mine = await load(worker, BOB, f"http://{server.address}/public")
    for forged in ({"source": url}, {"id": theirs.id}):
        with pytest.raises((NotFoundError, InvalidInputError)):
            await attempt(worker, mine.model_copy(update=forged), BOB)
    assert await attempt(worker, mine, BOB)


@ATTEMPTS
async def test_a_folder_that_another_has_loaded_is_theirs_too(
    worker: ContextActivities, settings: Settings, database: AsyncEngine, repository: Path, attempt: Attempt
) -> None:
    local = ContextActivities(settings.model_copy(update={"repo_roots": (repository.parent,)}), database)
    theirs = await local.load_repo(LoadRepo(path=str(repository)), step_of(ADA))
    with pytest.raises(NotFoundError):
        await attempt(local, theirs, BOB)
    assert await attempt(local, theirs, ADA)
    assert await attempt(local, theirs, ROOT), "admins see all"
    with pytest.raises(NotFoundError, match="allowed roots"):
        await attempt(worker, theirs, ADA)  # the folder lies no longer under the roots


@ATTEMPTS
async def test_a_step_that_loads_again_uses_the_credential_it_was_asked_for_with(
    worker: ContextActivities,
    settings: Settings,
    database: AsyncEngine,
    server: GitServer,
    url: str,
    attempt: Attempt,
    tmp_path: Path,
) -> None:
    repo = await load(worker, ADA, url, credential="forge")
    elsewhere = ContextActivities(settings.model_copy(update={"home": tmp_path / "other-machine"}), database)
    server.authorizations.clear()
    assert await attempt(elsewhere, repo, ADA)
    assert set(server.authorizations) == {basic(PAIR)}
    third = ContextActivities(settings.model_copy(update={"home": tmp_path / "third-machine"}), database)
    with pytest.raises(TooLooError) as refused:
        await attempt(third, repo, ROOT)  # may read it, and has asked for it with nothing
    assert refused.value.code == "authentication-required"
    async with database.begin() as connection:
        await delete_secret(connection, "ada", "forge")
    with pytest.raises(NotFoundError) as gone:
        await attempt(third, repo, ADA)
    assert gone.value.code == "unknown-secret"


async def test_what_is_in_the_store_is_measured_without_the_secret_it_came_with(
    worker: ContextActivities, database: AsyncEngine, url: str
) -> None:
    repo = await load(worker, ADA, url, credential="forge")
    async with database.begin() as connection:
        await delete_secret(connection, "ada", "forge")
    assert (await worker.analyze(Analyze(repo=repo), step_of(ADA))).files == 1


async def test_an_evicted_repository_is_loaded_again_by_the_step_that_needs_it(
    worker: ContextActivities, database: AsyncEngine, url: str
) -> None:
    repo = await load(worker, ADA, url, credential="forge")
    worker._loader.store.remove(repo.id)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE repositories SET commit = NULL, status = 'failed'"))
    assert (await worker.analyze(Analyze(repo=repo), step_of(ADA))).files == 1


async def test_a_secret_of_another_master_secret_is_said_to_be_unreadable(
    settings: Settings, database: AsyncEngine, url: str
) -> None:
    changed = ContextActivities(settings.model_copy(update={"secret": SecretStr("t" * 40)}), database)
    with pytest.raises(TooLooError) as failed:
        await load(changed, ADA, url, credential="forge")
    assert (failed.value.code, failed.value.retryable) == ("secret-unreadable", False)


async def test_a_refresh_asks_with_the_same_credential(
    learner: AsyncClient, worker: ContextActivities, url: str, database: AsyncEngine
) -> None:
    repo = await load(worker, ADA, url, ref="main", credential="forge")
    assert (await learner.post(f"{REPOS}/{repo.id}/refresh")).status_code == 202
    async with database.begin() as connection:
        asked = await connection.scalar(text("SELECT input FROM runs"))
        await delete_secret(connection, "ada", "forge")
    assert asked == {"url": url, "ref": "main", "credential": "forge"}
    refused = problem(await learner.post(f"{REPOS}/{repo.id}/refresh"), 422, "unknown-secret")
    assert refused["errors"][0]["pointer"] == "/credential"


async def test_an_admin_shares_nothing_by_loading_it_with_a_credential(
    learner: AsyncClient, bob: AsyncClient, worker: ContextActivities, url: str, server: GitServer
) -> None:
    repo = await load(worker, ROOT, url, credential="forge")
    problem(await bob.get(f"{REPOS}/{repo.id}"), 404, "not-found")
    with pytest.raises(NotFoundError):
        await worker.analyze(Analyze(repo=repo), step_of(BOB))
    server.private.clear()
    await load(worker, ROOT, url)
    assert (await bob.get(f"{REPOS}/{repo.id}")).json()["shared"]
    assert await worker.analyze(Analyze(repo=repo), step_of(BOB))
    server.private["project"] = PAIR
    await load(worker, ROOT, url, credential="forge")
    problem(await bob.get(f"{REPOS}/{repo.id}"), 404, "not-found")


async def test_nobody_is_told_which_credential_another_asks_with(
    bob: AsyncClient, admin: AsyncClient, worker: ContextActivities, url: str
) -> None:
    repo = await load(worker, ADA, url, credential="forge")
    await post(bob, url=url, credential="guess")
    assert (await bob.get(f"{REPOS}/{repo.id}")).json()["credential"] == "guess"
    assert (await admin.get(f"{REPOS}/{repo.id}")).json()["credential"] is None


async def test_a_search_in_a_step_finds_what_its_caller_may_read(worker: ContextActivities, url: str) -> None:
    repo = await load(worker, ADA, url, credential="forge")
    await worker.index(Index(repo=repo), step_of(ADA))
    for query in (WORD, f"{WORD} rev:{repo.commit}", f"{WORD} rev:main", "repo:project"):
        assert (await worker.search(Search(query=query), step_of(BOB))).total == 0
    assert (await worker.search(Search(query=WORD), step_of(ADA))).total == 1


async def test_a_secret_is_sent_to_its_host_alone(
    learner: AsyncClient, worker: ContextActivities, database: AsyncEngine, server: GitServer, url: str
) -> None:
    """A workflow that somebody else wrote may name any server, and any secret of who runs it."""
    for name, host in (("elsewhere", "git.example.org"), ("here", server.address)):
        answer = await learner.put(f"/api/v1/secrets/{name}", json={"value": PAIR, "host": host})
        assert answer.status_code == 204, answer.text
    refused = problem(await post(learner, url=url, credential="elsewhere"), 422, "credential-not-for-host")
    assert refused["errors"][0]["pointer"] == "/credential"
    assert "git.example.org" in refused["detail"]
    with pytest.raises(ForbiddenError, match="not for"):
        await load(worker, ADA, url, credential="elsewhere")
    assert server.authorizations == []
    await load(worker, ADA, url, credential="here")
    listed = (await learner.get("/api/v1/secrets")).json()["items"]
    assert {one["name"]: one["host"] for one in listed} == {
        "elsewhere": "git.example.org",
        "forge": None,
        "here": server.address,
    }


async def test_a_search_in_a_made_up_repository_finds_nothing_of_another_s(
    worker: ContextActivities, server: GitServer, repository: Path, url: str
) -> None:
    run_git(repository, "clone", "-q", "--bare", str(repository), str(repository.parent / "public"))
    theirs = await load(worker, ADA, url, credential="forge")
    mine = await load(worker, BOB, f"http://{server.address}/public")
    for repo, caller in ((theirs, ADA), (mine, BOB)):
        await worker.index(Index(repo=repo), step_of(caller))
    for forged in (theirs, theirs.model_copy(update={"id": "0" * 32})):
        with pytest.raises(NotFoundError):
            await worker.search(Search(query=WORD, repo=forged), step_of(BOB))
    assert (await worker.search(Search(query=WORD, repo=mine), step_of(BOB))).total
    for commit in (f"../../{theirs.id}/commits-{FORMAT}/{theirs.commit}", "/dev/zero", "0" * 40):
        found = await worker.search(Search(query=WORD, repo=mine.model_copy(update={"commit": commit})), step_of(BOB))
        assert (found.total, found.not_indexed) == (0, (mine.name,))
        with pytest.raises(ValidationError) if len(commit) != 40 else nullcontext():
            LoadedRepo.model_validate({**mine.model_dump(), "commit": commit})


async def test_what_was_shared_before_it_was_private_is_shared_no_more(
    worker: ContextActivities, bob: AsyncClient, admin: AsyncClient, server: GitServer, url: str
) -> None:
    password = server.private.pop("project")
    public = await load(worker, ROOT, url)
    assert (await bob.get(f"{REPOS}/{public.id}")).json()["shared"]
    server.private["project"] = password
    await load(worker, ADA, url, credential="forge")
    problem(await bob.get(f"{REPOS}/{public.id}/tree"), 404, "not-found")
    assert not (await admin.get(f"{REPOS}/{public.id}")).json()["shared"]
    del server.private["project"]
    await load(worker, ROOT, url)
    assert (await bob.get(f"{REPOS}/{public.id}")).json()["shared"]
