"""Private repositories: what is shown to the Git server, to whom, and what a refusal is called."""

from collections.abc import Callable
from pathlib import Path

import pytest
from git_http_server import GitServer, basic, run_git, serving
from pydantic import SecretStr, ValidationError

from models.context import LoadedRepo, LoadRepo
from models.errors import InvalidInputError, TooLooError, UnavailableError
from services.context.credentials import Credential
from services.context.loading import Loader
from services.context.supervision import Limits, Supervision

PAIR = "ada:s3cret:with:colons"
Loaders = Callable[..., Loader]


@pytest.fixture
def load(
    loader_for: Loaders, git_server: GitServer, repository: Path, supervision: Supervision
) -> Callable[..., LoadedRepo]:
    """Load the repository, which is private, with a secret or without."""
    git_server.private["project"] = PAIR

    def run(secret: str | None, path: str = "project", ref: str | None = None) -> LoadedRepo:
        wanted = LoadRepo(url=f"http://{git_server.address}/{path}", ref=ref)
        return loader_for(git_server.address).load(wanted, supervision, lambda: credential(secret))

    return run


def credential(secret: str | None) -> Credential | None:
    return None if secret is None else Credential(SecretStr(secret))


@pytest.mark.parametrize(
    ("secret", "pair"),
    [
        ("ghp_token", "x-access-token:ghp_token"),
        ("ada:pw", "ada:pw"),
        ("ada:p:w", "ada:p:w"),
        (":", ":"),
        ("gänse:füße", "gänse:füße"),
        ("x" * 4_096, "x-access-token:" + "x" * 4_096),
    ],
)
def test_a_secret_is_user_and_password_or_a_token(secret: str, pair: str) -> None:
    assert Credential(SecretStr(secret)).authorization == basic(pair)
    assert secret == ":" or secret not in repr(Credential(SecretStr(secret)))


def test_a_private_repository_is_loaded_with_every_request_authorized(
    load: Callable[..., LoadedRepo], git_server: GitServer, repository: Path, tmp_path: Path
) -> None:
    loaded = load(PAIR)
    assert loaded.commit == run_git(repository, "rev-parse", "HEAD").strip()
    assert set(git_server.authorizations) == {basic(PAIR)}
    assert loaded.source == f"http://{git_server.address}/project"
    files = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not [content for content in files if b"s3cret" in content or basic(PAIR).encode() in content]


@pytest.mark.parametrize(
    ("secret", "code"), [(None, "authentication-required"), ("wrong", "credential-refused"), ("", "credential-refused")]
)
def test_who_may_not_is_told_so_and_nothing_is_kept(
    load: Callable[..., LoadedRepo], tmp_path: Path, secret: str | None, code: str
) -> None:
    with pytest.raises(TooLooError) as refused:
        load(secret)
    assert (refused.value.code, refused.value.retryable) == (code, False)
    assert not list((tmp_path / "store").glob("*/objects/pack/*"))


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (401, ("authentication-required", "credential-refused")),
        (403, ("authentication-required", "credential-refused")),
        (404, ("not-found", "not-found")),
        (503, ("unavailable", "unavailable")),
    ],
)
def test_each_refusal_has_its_code_without_and_with_a_credential(
    load: Callable[..., LoadedRepo], git_server: GitServer, status: int, codes: tuple[str, str]
) -> None:
    git_server.answers["/public/info/refs"] = (status, "text/plain", b"")
    for secret, code in zip((None, "token"), codes, strict=True):
        with pytest.raises(TooLooError) as refused:
            load(secret, "public")
        assert refused.value.code == code
        assert "token" not in str(refused.value)


@pytest.mark.parametrize("wanted", ["commit", "main", "v1", None, "short"])
@pytest.mark.parametrize("secret", [None, "wrong"])
def test_what_another_has_loaded_is_asked_of_the_server_all_the_same(
    load: Callable[..., LoadedRepo], git_server: GitServer, secret: str | None, wanted: str | None
) -> None:
    there = load(PAIR).commit
    ref = {"commit": there, "short": there[:8]}.get(wanted or "", wanted)
    for _ in range(2):
        with pytest.raises(TooLooError) as refused:
            load(secret, ref=ref)
        assert refused.value.code in {"authentication-required", "credential-refused"}


def test_a_commit_that_is_here_costs_a_look_at_the_server_and_no_transfer(
    load: Callable[..., LoadedRepo], git_server: GitServer
) -> None:
    loaded = load(PAIR)
    before = len(git_server.requests)
    assert load(PAIR, ref=loaded.commit).bytes_fetched == 0
    assert len(git_server.requests) > before


def test_a_credential_goes_to_no_address_that_was_not_opened(
    loader_for: Loaders, git_server: GitServer, repository: Path, supervision: Supervision
) -> None:
    for scheme in ("http", "https"):
        url = f"{scheme}://{git_server.address}/project"
        with pytest.raises(InvalidInputError) as refused:
            loader_for().load(LoadRepo(url=url), supervision, lambda: credential("token"))
        assert refused.value.code == "address-refused"
    assert git_server.requests == []


def test_a_credential_follows_redirects_within_its_origin_only(
    load: Callable[..., LoadedRepo],
    loader_for: Loaders,
    git_server: GitServer,
    repository: Path,
    supervision: Supervision,
) -> None:
    with serving(repository.parent) as other:
        git_server.redirects = {"old": "/project", "away": f"http://{other.address}/project"}
        assert load(PAIR, "old").commits == 3
        loader = loader_for(git_server.address, other.address)
        with pytest.raises(InvalidInputError) as refused:
            loader.load(
                LoadRepo(url=f"http://{git_server.address}/away"), supervision, lambda: credential("x-token:pw")
            )
        assert refused.value.code == "address-refused"
        assert other.requests == []


@pytest.mark.parametrize("fault", ["ERR {} is unknown\n", "garbage {}"])
def test_what_a_server_says_back_is_no_part_of_the_error(
    load: Callable[..., LoadedRepo], git_server: GitServer, fault: str
) -> None:
    line = fault.format("ghp_token").encode()
    body = f"{len(line) + 4:04x}".encode() + line
    git_server.answers["/echo/info/refs"] = (200, "application/x-git-upload-pack-advertisement", body)
    with pytest.raises(UnavailableError) as broken:
        load("ghp_token", "echo")
    assert "ghp_token" not in str(broken.value)
    assert broken.value.__cause__ is None
    assert broken.value.__suppress_context__


def test_nothing_is_unlocked_until_something_is_fetched(
    loader_for: Loaders, load: Callable[..., LoadedRepo], git_server: GitServer, supervision: Supervision
) -> None:
    loaded = load(PAIR)
    opened = list[str]()

    def unlock() -> Credential | None:
        opened.append("once")
        return credential(PAIR)

    here = loader_for(git_server.address)
    here.opened(loaded, supervision, unlock)
    here.commit_of(loaded, loaded.commit, supervision, unlock)
    assert opened == []
    elsewhere = loader_for(git_server.address, store="elsewhere", limits=Limits())
    assert elsewhere.opened(loaded, supervision, unlock).holds(loaded.commit)
    assert opened == ["once"]
    assert here.commit_of(loaded, "v1", supervision, unlock) != loaded.commit
    assert opened == ["once", "once"]


def test_a_folder_has_no_credential() -> None:
    with pytest.raises(ValidationError) as refused:
        LoadRepo(path="/repos/project", credential="github")
    assert [error["loc"] for error in refused.value.errors()] == [("credential",)]
    for credential_name in ("a secret", "ghp_Abc", "", "../x", "x" * 64):
        with pytest.raises(ValidationError):
            LoadRepo(owner="acme", repo="engine", credential=credential_name)
    assert LoadRepo(owner="acme", repo="engine", credential="github").credential == "github"
