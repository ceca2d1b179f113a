"""A real Git server speaking HTTP on loopback: `git http-backend` behind a socket."""

import contextlib
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def run_git(repository: Path, *arguments: str, data: bytes | None = None, **environment: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(repository), "-c", "protocol.file.allow=always", *arguments],
        check=True,
        capture_output=True,
        input=data,
        env={**os.environ, **IDENTITY, **environment},
    )
    return done.stdout.decode("utf-8", "surrogateescape")


def basic(pair: str) -> str:
    """The header that `user:password` is sent in."""
    return f"Basic {b64encode(pair.encode()).decode()}"


class GitServer(ThreadingHTTPServer):
    """`git http-backend` behind a socket, and ways for it to misbehave."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.address = f"127.0.0.1:{self.server_port}"
        self.redirects: dict[str, str] = {}
        """Location by the first folder of the path."""
        self.stalls_after: int | None = None
        """Bytes of a pack after which nothing comes any more."""
        self.stalled = threading.Event()
        self.released = threading.Event()
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        """Status, content type and body by path, instead of Git's."""
        self.spoils: Callable[[str, bytes], Iterable[bytes]] = lambda _request, content: (content,)
        """What is sent of Git's answer to a request, piece by piece, until the client hangs up."""
        self.requests: list[str] = []
        self.private: dict[str, str] = {}
        """`user:password` by the first folder of the path, without which there is nothing to see."""
        self.authorizations: list[str | None] = []
        """What was sent along with each of the requests."""


class _Handler(BaseHTTPRequestHandler):
    @property
    def git_server(self) -> GitServer:
        assert isinstance(self.server, GitServer)
        return self.server

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.git_server.requests.append(f"{self.command} {self.path}")
        self.git_server.authorizations.append(self.headers["Authorization"])
        path, _, query = self.path.partition("?")
        first = path.split("/")[1]
        if (pair := self.git_server.private.get(first)) and self.headers["Authorization"] != basic(pair):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
        elif first in self.git_server.redirects:
            self.send_response(302)
            self.send_header("Location", self.git_server.redirects[first] + self.path.removeprefix(f"/{first}"))
            self.end_headers()
        elif path in self.git_server.answers:
            status, kind, content = self.git_server.answers[path]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(content)
        else:
            self._git(path, query, body)

    def _git(self, path: str, query: str, body: bytes) -> None:
        environment = {
            **os.environ,
            **IDENTITY,
            "GIT_PROJECT_ROOT": str(self.git_server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        limit = self.git_server.stalls_after
        if limit is not None and b"PACK" in content:
            self.wfile.write(content[:limit])
            self.git_server.stalled.set()
            self.git_server.released.wait()
        else:
            with contextlib.suppress(OSError):
                for piece in self.git_server.spoils(self.requestline, content):
                    self.wfile.write(piece)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class's name
        pass


@contextlib.contextmanager
def serving(root: Path) -> Generator[GitServer]:
    """A server of everything below a folder."""
    server = GitServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
