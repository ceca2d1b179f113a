"""Git over HTTP to addresses that were vetted: dulwich speaks Git, this module decides about every connection.

Each request resolves the host once, vets all answers and connects to a vetted one, while TLS still verifies the host's
name. Redirects are followed only within the same origin. A watching thread cuts connections that stall, take too long
or that nobody waits for any more: a blocked read in another thread ends no other way. A credential goes to the
repository's own origin and nowhere else, once its address is vetted: over https, or to what an operator opened.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

from dulwich.client import AbstractHttpGitClient, default_user_agent_string

from models.errors import ForbiddenError, InvalidInputError, NotFoundError, TooLargeError, UnavailableError
from services.context.addresses import AddressRules, WebAddress, parse_web_address
from services.context.credentials import Credential
from services.context.supervision import Limits, Supervision

_MAX_REDIRECTS = 3
_WATCH_SECONDS = 0.1
_REFUSED = frozenset({401, 403})
"""Without a credential forges say so of what does not exist, too: private repositories cannot be told from missing."""
_GONE = frozenset({404, 410})
"""With a credential, also of what its user may not read."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Watch:
    """Cuts the connection it is given when the work has to end; `failure` then says why."""

    def __init__(self, supervision: Supervision, stall_seconds: float) -> None:
        self._supervision = supervision
        self._stall_seconds = stall_seconds
        self._socket: socket.socket | None = None
        self._last = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="git-transfer-watch", daemon=True)
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def over(self, connection: socket.socket) -> None:
        """Watch this connection from now on."""
        self._socket = connection
        self.moved()

    def moved(self) -> None:
        """Something complete arrived."""
        self._last = time.monotonic()
        if self.failure:
            raise self.failure

    def _run(self) -> None:
        while not self._done.wait(_WATCH_SECONDS):
            stalled = time.monotonic() - self._last > self._stall_seconds
            self.failure = self._supervision.failure() or (
                UnavailableError("the Git server stalled", code="stalled") if stalled else None
            )
            if self.failure:
                self._cut()
                return

    def _cut(self) -> None:
        if self._socket is not None:
            # Closed already is what we want. Not SSLSocket.shutdown: it takes the TLS state from under the reader.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class VettedConnection(http.client.HTTPConnection):
    """A connection to one of the vetted addresses of `target`, with TLS for its name when the scheme is https."""

    def __init__(self, target: WebAddress, rules: AddressRules, watch: Watch, limits: Limits) -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._rules = rules
        self._watch = watch
        self._limits = limits

    def connect(self) -> None:
        """Resolve, vet, connect, and shake hands."""
        connection = self._dial()
        self._watch.over(connection)
        connection.settimeout(2 * self._limits.stall_seconds)  # should the watch fail; it comes first
        if self._target.scheme == "https":
            context = ssl.create_default_context()
            connection = context.wrap_socket(
                connection, server_hostname=self._target.host, do_handshake_on_connect=False
            )
            self._watch.over(connection)
            connection.do_handshake()
        self.sock = connection

    def _dial(self) -> socket.socket:
        failure: OSError | None = None
        for address in self._rules.vet(self._target):
            try:
                return socket.create_connection((str(address), self._target.port), self._limits.connect_seconds)
            except OSError as error:
                failure = error
        raise UnavailableError(f"{self._target.origin} does not answer") from failure


class Response:
    """What dulwich wants to know of an answer."""

    def __init__(self, answer: http.client.HTTPResponse, url: str, redirected: bool) -> None:
        self._answer = answer
        self._url = url
        self.status = answer.status
        self.headers = answer.headers
        self.content_type = answer.headers.get("Content-Type")
        self.redirect_location = url if redirected else ""

    def read(self, amt: int | None = None) -> bytes:
        """The next `amt` bytes of the body."""
        return self._answer.read(amt)

    def geturl(self) -> str:
        """Where the answer came from."""
        return self._url

    def close(self) -> None:
        """Give the connection back."""
        self._answer.close()


class GitHttpClient(AbstractHttpGitClient):
    """A Git client for one repository URL. Counts what it reads against `budget` bytes, which callers may raise."""

    def __init__(
        self, url: str, rules: AddressRules, watch: Watch, limits: Limits, credential: Credential | None
    ) -> None:
        # Thin packs lack objects the receiver has; complete ones can be checked before they touch the store.
        super().__init__(url, thin_packs=False, quiet=True)
        self._origin = parse_web_address(url).origin
        self._rules = rules
        self._watch = watch
        self._limits = limits
        self._credential = credential
        self.budget = limits.refs_bytes

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,  # noqa: ARG002 dulwich's signature; every bad status raises
    ) -> tuple[Any, Callable[[int], bytes]]:
        redirects = 0
        while True:
            answer = self._send(url, headers or {}, data)
            if answer.status not in _REDIRECTS or data is not None:
                break
            redirects += 1
            if redirects > _MAX_REDIRECTS:
                raise UnavailableError(f"{self._origin} redirects in circles")
            url = urljoin(url, answer.headers.get("Location", ""))
            answer.close()
        self._judge(answer)
        return Response(answer, url, redirects > 0), self._counted(answer)

    def _send(self, url: str, headers: dict[str, str], data: Any) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        target = parse_web_address(parts._replace(query="", fragment="").geturl())
        if target.origin != self._origin:
            raise InvalidInputError(
                f"{self._origin} leads to another host, {target.host}: name the repository's own address",
                code="address-refused",
            )
        connection = VettedConnection(target, self._rules, self._watch, self._limits)
        path = f"{target.path}?{parts.query}" if parts.query else target.path
        sent = {"User-Agent": default_user_agent_string(), "Connection": "close", **headers}
        if self._credential is not None:
            sent["Authorization"] = self._credential.authorization
        connection.request("GET" if data is None else "POST", path, body=data, headers=sent)
        answer = connection.getresponse()
        self._watch.moved()
        return answer

    def _judge(self, answer: http.client.HTTPResponse) -> None:
        repository = self._base_url.rstrip("/")
        if answer.status in _REFUSED and self._credential is not None:
            raise ForbiddenError(f"{self._origin} refused the credential for {repository}", code="credential-refused")
        if answer.status in _REFUSED:
            raise NotFoundError(
                f"{repository} is private, or does not exist: name a credential that may read it",
                code="authentication-required",
            )
        if answer.status in _GONE:
            reader = "everybody" if self._credential is None else "the owner of the credential"
            raise NotFoundError(f"{repository} does not exist, or is not for {reader} to read")
        if answer.status != http.client.OK:
            raise UnavailableError(f"{self._origin} answered with status {answer.status}")
        # Anything else would make dulwich try the "dumb" protocol: a file listing by another name.
        if not (answer.headers.get("Content-Type") or "").startswith("application/x-git-"):
            raise NotFoundError(f"{repository} is not a Git repository", code="not-a-repository")

    def _counted(self, answer: http.client.HTTPResponse) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            data = answer.read(size)
            self._watch.moved()
            self.budget -= len(data)
            if self.budget < 0:
                raise TooLargeError("the Git server sends more than is allowed for one repository")
            return data

        return read
