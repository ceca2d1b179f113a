"""Servers that mean harm, and URLs that do: a load ends with a clear problem, and what was there is still served."""

import socket
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat

import pytest
from hostile import BLOB, FOUND, Phase, Served, during, entry, pack, pkt, plain, sending, supervised

from models.context import LoadRepo
from models.errors import InvalidInputError, NotFoundError, TooLargeError, TooLooError, UnavailableError
from services.context.loading import Loader
from services.context.supervision import Limits

Loaders = Callable[..., Loader]
PHASES: list[Phase] = ["advertisement", "refs", "pack"]


def refusal(
    served: Served, *, limits: Limits | None = None, seconds: float = 60, ref: str | None = None, keeps: bool = False
) -> TooLooError:
    """How a load of something new ends. The store has nothing more than before, unless the load `keeps` objects."""
    served.import_files({"new.txt": b"new\n"})
    stored = served.stored_files()
    with served.undisturbed(), pytest.raises(TooLooError) as refused:
        served.load(ref, limits=limits, seconds=seconds)
    assert (served.stored_files() == stored) is not keeps
    return refused.value


def is_served_once_the_server_behaves(served: Served) -> None:
    served.server.spoils = lambda _request, content: (content,)
    served.server.redirects.clear()
    repo = served.load()
    served.index(repo)
    assert served.lines(repo, "retry OR path:new.txt") == {**FOUND, "new.txt": []}


@contextmanager
def talking(said: Callable[[], Iterator[bytes]]) -> Generator[str]:
    """The address of a server that says this to whoever calls, until they hang up."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                caller.settimeout(20)  # for a client that neither reads nor hangs up
                with caller, suppress(OSError):
                    caller.recv(65_536)
                    for piece in said():
                        caller.sendall(piece)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001",
        "0177.0x0.0.1", "localhost", "LOCALHOST", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "0",
        "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:7F00:0001]",
    ],
)  # fmt: skip
def test_a_server_on_loopback_is_not_called_however_it_is_spelled(
    *, served: Served, loader_for: Loaders, host: str
) -> None:
    """That the spelling leads to the server is shown by opening it."""
    port = served.server.server_port
    served.server.requests.clear()
    with served.undisturbed():
        for scheme in ("http", "https"):
            for opened in ((), ("192.0.2.1:80",), (f"127.0.0.0/8:{port + 1}", f"[::/0]:{port + 1}")):
                with pytest.raises(InvalidInputError) as refused:
                    loader_for(*opened).load(LoadRepo(url=f"{scheme}://{host}:{port}/project"), supervised())
                assert refused.value.code == "address-refused"
        assert served.server.requests == []
        opened = (f"127.0.0.1:{port}", f"127.0.0.0/8:{port}", f"0.0.0.0:{port}", f"[::/0]:{port}")
        wanted = LoadRepo(url=f"http://{host}:{port}/project")
        assert loader_for(*opened).load(wanted, supervised()).commit == served.first.commit
    assert served.server.requests


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]", "192.168.0.1", "0xa9fea9fe"])
def test_a_redirect_to_a_private_or_link_local_address_is_refused(served: Served, host: str) -> None:
    served.server.redirects["project"] = f"http://{host}:{served.server.server_port}/project"
    error = refusal(served)
    assert (type(error), error.code) == (InvalidInputError, "address-refused")
    is_served_once_the_server_behaves(served)


@pytest.mark.parametrize(
    "url",
    [
        "file://{path}",
        "file:///{path}/../project",
        "{path}",
        "ext::sh -c touch% {mark}",
        "ext::sh%20-c%20touch%%20{mark}",
        "ssh://-oProxyCommand=touch%20{mark}/x",
        "ssh://{address}/project",
        "-oProxyCommand=touch {mark}",
        "--upload-pack=touch {mark}",
        "git@127.0.0.1:project",
        "git://{address}/project",
        "http::http://{address}/project",
        "http+unix://{path}",
        "http://{address}@192.0.2.1/project",
        "http://ada:hunter2@{address}/project",
        "http://{address}/project?upload-pack=touch%20{mark}",
        "http://{address}/project#--upload-pack=touch%20{mark}",
    ],
)
def test_other_transports_and_options_in_urls_are_refused_before_anything_is_sent(served: Served, url: str) -> None:
    mark = served.folder / "mark"
    served.server.requests.clear()
    with served.undisturbed(), pytest.raises(InvalidInputError) as refused:
        served.load(url=url.format(path=served.path, mark=mark, address=served.server.address))
    assert refused.value.code == "address-refused"
    assert not mark.exists()
    assert served.server.requests == []


@pytest.mark.parametrize(
    "location",
    ["file://{path}", "ext::sh -c touch% {mark}", "ssh://-oProxyCommand=touch%20{mark}/x", "git://{address}/x"],
)
def test_a_redirect_to_another_transport_is_refused(served: Served, location: str) -> None:
    mark = served.folder / "mark"
    served.server.redirects["project"] = location.format(path=served.path, mark=mark, address=served.server.address)
    error = refusal(served)
    assert (type(error), error.code) == (InvalidInputError, "address-refused")
    assert not mark.exists()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_request_for_the_pack_is_redirected_nowhere(served: Served, host: str) -> None:
    def redirect(content: bytes) -> Iterable[bytes]:
        served.server.redirects["project"] = f"http://{host}:{served.server.server_port}/other"
        yield content

    served.server.spoils = during("refs", redirect)
    error = refusal(served)
    assert (type(error), error.code) == (UnavailableError, "unavailable")
    assert not any("/other" in request for request in served.server.requests)
    is_served_once_the_server_behaves(served)


def test_a_server_cannot_have_packs_fetched_from_elsewhere(served: Served) -> None:
    elsewhere = b"https://192.0.2.1/pack"
    parts = (b"packfile-uris\n", elsewhere + b" sha1 " + b"1" * 40 + b"\n", b"packfile\n")
    served.server.spoils = during("pack", lambda _: (*map(pkt, parts), b"0000"))
    error = refusal(served)
    assert (type(error), error.code) == (InvalidInputError, "address-refused")
    is_served_once_the_server_behaves(served)


@pytest.mark.parametrize("ref", ["nothing", "--upload-pack=touch", "refs/heads/../../x", "main\n0000", "a b", "f" * 40])
def test_a_ref_that_is_not_there_is_unknown(served: Served, ref: str) -> None:
    # A commit may lie behind any branch: those are fetched before it is given up.
    error = refusal(served, ref=ref, keeps=ref.startswith("ffff"))
    assert (type(error), error.code) == (NotFoundError, "unknown-ref")
    is_served_once_the_server_behaves(served)


def test_a_repository_that_was_emptied_keeps_what_was_loaded(served: Served) -> None:
    served.git("update-ref", "-d", "refs/heads/main")
    with served.undisturbed(), pytest.raises(NotFoundError) as refused:
        served.load()
    assert refused.value.code == "empty-repository"
    is_served_again = served.import_files({"again.txt": b"retry again\n"})
    repo = served.load()
    served.index(repo)
    assert (repo.commit, served.lines(repo, "retry")) == (is_served_again, {"again.txt": [1]})


def test_a_branch_that_was_rewritten_is_loaded_and_the_old_commit_still_searched(served: Served) -> None:
    """Nothing of the old history is on the server any more."""
    served.git("update-ref", "-d", "refs/heads/main")
    served.git("reflog", "expire", "--expire=now", "--all")
    served.git("gc", "-q", "--prune=now")
    rewritten = served.import_files({"other.txt": b"retry elsewhere\n"})
    with served.undisturbed():
        repo = served.load()
        served.index(repo)
        changed = served.difference(repo)
    assert (repo.commit, repo.commits) == (rewritten, 1)
    assert served.lines(repo, "retry") == {"other.txt": [1]}
    assert (changed.files_added, changed.files_removed) == (1, 2)


def _slowly(served: Served, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        if served.server.released.wait(0.1):
            return


@pytest.mark.parametrize("phase", PHASES)
def test_single_bytes_are_a_stall(served: Served, phase: Phase) -> None:
    served.server.spoils = during(phase, lambda content: _slowly(served, (bytes([byte]) for byte in content)))
    error = refusal(served, limits=Limits(stall_seconds=0.5))
    assert (type(error), error.code) == (UnavailableError, "stalled")
    is_served_once_the_server_behaves(served)


def test_single_bytes_of_a_header_are_a_stall(served: Served, loader_for: Loaders) -> None:
    header = (bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000)
    with talking(lambda: _slowly(served, header)) as address, served.undisturbed():
        loader = loader_for(address, limits=Limits(stall_seconds=0.5))
        with pytest.raises(UnavailableError) as refused:
            loader.load(LoadRepo(url=f"http://{address}/project"), supervised())
    assert refused.value.code == "stalled"


def test_small_packets_for_ever_end_with_the_time_of_a_load(served: Served) -> None:
    served.server.spoils = during("pack", lambda _: _slowly(served, _then_for_ever(pkt(b"\x02still counting\n"))))
    error = refusal(served, limits=Limits(stall_seconds=30), seconds=1)
    assert (type(error), error.code) == (TooLargeError, "time-limit")
    is_served_once_the_server_behaves(served)


def _then_for_ever(packet: bytes) -> Iterator[bytes]:
    yield pkt(b"packfile\n")
    yield from repeat(packet)


def _endless_cuts() -> Iterator[bytes]:
    yield pkt(b"shallow-info\n")
    yield from (pkt(b"shallow %040x\n" % number) for number in count())


ENDLESS: list[tuple[str, Phase, Callable[[], Iterator[bytes]]]] = [
    ("capabilities", "advertisement", lambda: (pkt(b"x%d\n" % number) for number in count())),
    ("branches", "refs", lambda: (pkt(b"%040x refs/heads/%d\n" % (number, number)) for number in count(1))),
    ("pack", "pack", lambda: _then_for_ever(pkt(b"\x01" + bytes(60_000)))),
    ("nothing", "pack", lambda: _then_for_ever(pkt(b"\x01"))),
    ("progress", "pack", lambda: _then_for_ever(pkt(b"\x02" + b"." * 60_000))),
    ("cuts", "pack", _endless_cuts),
]


@pytest.mark.parametrize(("phase", "said"), [case[1:] for case in ENDLESS], ids=[case[0] for case in ENDLESS])
def test_a_server_that_never_ends_is_cut_at_the_limit(
    served: Served, phase: Phase, said: Callable[[], Iterator[bytes]]
) -> None:
    sent = 0

    def counted(_: bytes) -> Iterator[bytes]:
        nonlocal sent
        if phase == "advertisement":
            yield b"001e# service=git-upload-pack\n0000000eversion 2\n"
        for piece in said():
            sent += len(piece)
            yield piece

    served.server.spoils = during(phase, counted)
    error = refusal(served, limits=Limits(refs_bytes=2**18, transfer_bytes=2**20))
    assert (type(error), error.code) == (TooLargeError, "too-large")
    assert sent < 16 * 2**20  # what both sides' sockets hold comes upon the limit
    is_served_once_the_server_behaves(served)


def test_what_comes_before_a_pack_is_held_in_memory_and_has_the_smaller_limit(served: Served) -> None:
    served.server.spoils = during("pack", lambda _: _endless_cuts())
    error = refusal(served, limits=Limits(refs_bytes=2**18))
    assert (type(error), error.code) == (TooLargeError, "too-large")


def test_headers_without_number_are_no_git(served: Served, loader_for: Loaders) -> None:
    def said() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\n"
        yield from (b"X-%d: x\r\n" % number for number in range(10_000))

    with talking(said) as address, served.undisturbed(), pytest.raises(UnavailableError, match="does not speak Git"):
        loader_for(address).load(LoadRepo(url=f"http://{address}/project"), supervised())


BOMBS: dict[str, tuple[bytes, str]] = {
    "more inside than it says": (pack(entry(BLOB, 10, zlib.compress(bytes(50_000_000))), 1), "damaged-repository"),
    "less inside than it says": (pack(entry(BLOB, 100, zlib.compress(b"x")), 1), "damaged-repository"),
    "a huge object": (pack(entry(BLOB, 300_000_000, zlib.compress(bytes(300_000_000))), 1), "too-large"),
    "an impossible size": (pack(entry(BLOB, 2**63, zlib.compress(b"x")), 1), "too-large"),
    "a delta of a huge object": (
        pack(
            plain(BLOB, b"hello")
            + entry(6, 9, zlib.compress(b"\x05\x80\x80\x80\x80\x10\x90\x05\x00"), bytes([len(plain(BLOB, b"hello"))])),
            2,
        ),
        "too-large",
    ),
    "more objects than there are": (pack(plain(BLOB, b"x"), 2**32 - 1), "damaged-repository"),
    "a delta of nothing": (pack(entry(7, 3, zlib.compress(b"\x05\x05\x90"), bytes(20)), 1), "damaged-repository"),
    "no pack": (b"nothing of the kind" * 100, "damaged-repository"),
    "another checksum": (pack(plain(BLOB, b"x"), 1)[:-1] + b"\0", "damaged-repository"),
    "cut off": (pack(plain(BLOB, bytes(range(256)) * 100), 1)[:200], "damaged-repository"),
    "other objects than were wanted": (pack(plain(BLOB, b"x"), 1), "unknown-ref"),
}


@pytest.mark.parametrize(("contents", "code"), BOMBS.values(), ids=list(BOMBS))
def test_a_bad_pack_is_refused(served: Served, contents: bytes, code: str) -> None:
    served.server.spoils = during("pack", lambda _: sending(contents))
    # Sound objects that nobody asked for are harmless.
    assert refusal(served, keeps=code == "unknown-ref").code == code
    is_served_once_the_server_behaves(served)
