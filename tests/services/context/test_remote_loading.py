import datetime as dt
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from git_http_server import GitServer

from models.context import LoadedRepo, LoadRepo
from models.errors import InvalidInputError, NotFoundError, TooLargeError, TooLooError, UnavailableError
from services.context.addresses import AddressRules
from services.context.loading import Loader
from services.context.supervision import Limits, StoppedError, Supervision

Git = Callable[..., str]
Loaders = Callable[..., Loader]


@pytest.fixture
def load(loader_for: Loaders, git_server: GitServer, supervision: Supervision) -> Callable[..., LoadedRepo]:
    def run(path: str = "project", ref: str | None = None, limits: Limits | None = None) -> LoadedRepo:
        loader = loader_for(git_server.address, limits=limits)
        return loader.load(LoadRepo(url=f"http://{git_server.address}/{path}", ref=ref), supervision)

    return run


@pytest.mark.parametrize("ref", [None, "main", "side", "v1", "refs/heads/side", "full", "short"])
def test_a_url_loads_the_ref_with_its_whole_history(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path, ref: str | None
) -> None:
    inner = git(repository, "rev-parse", "main~1").strip()
    ref = {"full": inner, "short": inner[:8]}.get(ref or "", ref)
    loaded = load(ref=ref)
    assert loaded.commit == git(repository, "rev-parse", f"{ref or 'HEAD'}^{{commit}}").strip()
    assert loaded.commits == int(git(repository, "rev-list", "--count", loaded.commit))
    stored = tmp_path / "store" / loaded.id
    assert git(stored, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert git(stored, "rev-list", "--objects", "--count", loaded.commit) == git(
        repository, "rev-list", "--objects", "--count", loaded.commit
    )


def test_owner_and_repo_come_from_the_configured_forge(
    loader_for: Loaders, git_server: GitServer, repository: Path, git: Git, supervision: Supervision
) -> None:
    owner = repository.parent / "ada"
    owner.mkdir()
    git(repository, "clone", "-q", "--bare", str(repository), str(owner / "engine.git"))
    loader = loader_for(git_server.address, forge=f"http://{git_server.address}")
    loaded = loader.load(LoadRepo(owner="ada", repo="engine"), supervision)
    assert (loaded.name, loaded.commits) == ("ada/engine", 3)
    assert loaded.source == f"http://{git_server.address}/ada/engine.git"


def test_loading_again_fetches_only_the_difference(load: Callable[..., LoadedRepo], repository: Path, git: Git) -> None:
    first = load()
    assert load().bytes_fetched == 0
    (repository / "more.txt").write_text("more\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "more")
    second = load()
    assert 0 < second.bytes_fetched < first.bytes_fetched
    assert second.commits == first.commits + 1


def test_unknown_refs_missing_and_empty_repositories_are_told_apart(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, git_server: GitServer
) -> None:
    empty = repository.parent / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    git_server.answers["/page/info/refs"] = (200, "text/html", b"<html>hello</html>")
    codes = {}
    for path, ref in [
        ("project", "nothing"),
        ("project", "0" * 40),
        ("missing", None),
        ("empty", None),
        ("page", None),
    ]:
        with pytest.raises(NotFoundError) as refused:
            load(path, ref)
        codes[path, ref and ref[:4]] = refused.value.code
    assert codes == {
        ("project", "noth"): "unknown-ref",
        ("project", "0000"): "unknown-ref",
        ("missing", None): "not-found",
        ("empty", None): "empty-repository",
        ("page", None): "not-a-repository",
    }


def test_an_address_that_was_not_opened_is_refused_before_anything_is_sent(
    loader_for: Loaders, git_server: GitServer, repository: Path, supervision: Supervision, tmp_path: Path
) -> None:
    for url in (f"http://{git_server.address}/project", f"https://{git_server.address}/project"):
        with pytest.raises(InvalidInputError) as refused:
            loader_for().load(LoadRepo(url=url), supervision)
        assert refused.value.code == "address-refused"
    assert git_server.requests == []


def test_redirects_within_the_host_are_followed_and_to_others_refused(
    load: Callable[..., LoadedRepo], git_server: GitServer, repository: Path
) -> None:
    port = git_server.server_port
    git_server.redirects = {
        "old": "/project",
        "metadata": "http://169.254.169.254/latest",
        "loopback": f"http://localhost:{port}/project",
        "local-file": "file:///etc",
        "circle": "/circle",
    }
    assert load("old").commits == 3
    for name in ("metadata", "loopback", "local-file"):
        with pytest.raises(InvalidInputError) as refused:
            load(name)
        assert refused.value.code == "address-refused"
    with pytest.raises(UnavailableError, match="circles"):
        load("circle")


def test_a_name_that_resolves_privately_the_second_time_is_refused_then(
    git_server: GitServer, repository: Path, supervision: Supervision, tmp_path: Path
) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.7"]])
    rules = AddressRules([f"127.0.0.1/32:{git_server.server_port}"], resolve=lambda host, port: next(answers))
    loader = Loader(tmp_path / "store", (), rules, "https://forge.invalid", Limits())
    with pytest.raises(InvalidInputError) as refused:
        loader.load(LoadRepo(url=f"http://rebinding.test:{git_server.server_port}/project"), supervision)
    assert refused.value.code == "address-refused"
    assert [request.split("?")[0] for request in git_server.requests] == ["GET /project/info/refs"]


def test_a_server_that_stalls_is_cut_and_nothing_is_kept(
    load: Callable[..., LoadedRepo], git_server: GitServer, repository: Path, tmp_path: Path
) -> None:
    git_server.stalls_after = 60
    with pytest.raises(UnavailableError) as cut:
        load(limits=Limits(stall_seconds=0.5))
    assert cut.value.code == "stalled"
    assert list((tmp_path / "store").glob("*/objects/pack/*")) == []
    git_server.stalls_after = None
    assert load().commits == 3


def test_a_silent_server_is_cut(loader_for: Loaders, supervision: Supervision) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UnavailableError) as cut:
            loader_for(address, limits=Limits(stall_seconds=0.3)).load(LoadRepo(url=f"http://{address}/x"), supervision)
    assert cut.value.code == "stalled"


def test_a_closed_port_is_unavailable(loader_for: Loaders, supervision: Supervision) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(UnavailableError, match="does not answer"):
        loader_for(address).load(LoadRepo(url=f"http://{address}/x"), supervision)


def test_stopping_ends_a_blocked_transfer(loader_for: Loaders, git_server: GitServer, repository: Path) -> None:
    git_server.stalls_after = 60
    supervision = Supervision(seconds=60, report=lambda _: None)
    loader = loader_for(git_server.address)
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(loader.load, LoadRepo(url=f"http://{git_server.address}/project"), supervision)
        assert git_server.stalled.wait(20)
        supervision.stopped.set()
        with pytest.raises(StoppedError):
            load.result(timeout=20)


@pytest.mark.parametrize("limits", [Limits(transfer_bytes=400), Limits(refs_bytes=50), Limits(object_bytes=5)])
def test_limits_end_a_transfer(load: Callable[..., LoadedRepo], repository: Path, limits: Limits) -> None:
    with pytest.raises(TooLargeError):
        load(limits=limits)


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"001e# service=git-upload-pack\n", b"fffffff", b"0004", b"\x00" * 99]
)
def test_garbage_for_refs_is_a_clear_error(
    load: Callable[..., LoadedRepo], git_server: GitServer, repository: Path, body: bytes
) -> None:
    git_server.answers["/project/info/refs"] = (200, "application/x-git-upload-pack-advertisement", body)
    with pytest.raises(TooLooError):
        load()


@pytest.mark.parametrize("status", [500, 429, 301])
def test_a_server_in_trouble_is_unavailable(
    load: Callable[..., LoadedRepo], git_server: GitServer, repository: Path, status: int
) -> None:
    git_server.answers["/project/info/refs"] = (status, "text/plain", b"")
    with pytest.raises(TooLooError):
        load()


def certificate(name: str, folder: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start.replace(year=2126))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.mark.parametrize(("name", "accepted"), [("forge.test", True), ("other.test", False)])
def test_tls_verifies_the_name_although_the_address_is_pinned(
    *,
    git_server: GitServer, repository: Path, supervision: Supervision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str, accepted: bool,
) -> None:  # fmt: skip
    pem = certificate(name, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    git_server.socket = context.wrap_socket(git_server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    port = git_server.server_port
    rules = AddressRules([f"127.0.0.1/32:{port}"], resolve=lambda host, port: ["127.0.0.1"])
    loader = Loader(tmp_path / "store", (), rules, "https://forge.invalid", Limits())
    if accepted:
        assert loader.load(LoadRepo(url=f"https://forge.test:{port}/project"), supervision).commits == 3
    else:
        with pytest.raises(UnavailableError):
            loader.load(LoadRepo(url=f"https://forge.test:{port}/project"), supervision)
