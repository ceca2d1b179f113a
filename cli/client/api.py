"""The platform's HTTP API, one method per kind of request."""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx2

from cli.client.address import is_loopback
from cli.client.refusals import UnreachableError, refusal

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_SILENCE_SECONDS = 60.0
"""A stream says something every 15 seconds, if only that it is there."""
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.5

Params = Mapping[str, str | int | list[str]]


@dataclass(frozen=True)
class Answer:
    """A success."""

    status: int
    content: Any


def path(*parts: str) -> str:
    """A path of parts that may hold anything a user typed."""
    return "".join("/" + quote(part, safe="") for part in parts)


class Platform:
    """A running platform. Methods raise RefusedError for what it refuses and UnreachableError when it is not there."""

    def __init__(self, address: str, key: str | None) -> None:
        self.address = address
        self._client = httpx2.Client(
            base_url=f"{address}/api/v1",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=not is_loopback(address),  # a proxy does not lead to this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def address_of(self, link: str) -> str:
        """A link of an answer as an address to open: most are paths on the platform."""
        return link if "://" in link else f"{self.address}{link}"

    def get(self, where: str, params: Params | None = None) -> Any:
        """A JSON value."""
        return _json(self._send("GET", where, params=params))

    def text(self, where: str, params: Params | None = None) -> str:
        """A document as it is."""
        return self._send("GET", where, params=params).text

    def items(self, where: str, params: Params | None = None) -> list[Any]:
        """All items of a list, page by page."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = self.get(where, {**(params or {}), "limit": 200, **({"cursor": cursor} if cursor else {})})
            found += page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return found

    def post(self, where: str, content: Any = None, *, wait_seconds: int = 0, once: str | None = None) -> Answer:
        """Post JSON. `once` is its Idempotency-Key, made up when left out: what is sent again does nothing twice.

        `wait_seconds`: how long the platform may wait for a run's end before it answers.
        """
        response = self._send(
            "POST",
            where,
            json=content,
            params={"wait": wait_seconds} if wait_seconds else None,
            headers={"Idempotency-Key": once or str(uuid4())},
            timeout=httpx2.Timeout(_ANSWER_SECONDS + wait_seconds, connect=_CONNECT_SECONDS),
        )
        return Answer(response.status_code, _json(response))

    def put(self, where: str, content: Any) -> Any:
        """Put JSON where it belongs, in place of what is there; what the platform answers, if anything."""
        response = self._send("PUT", where, json=content)
        return _json(response) if response.content else None

    def delete(self, where: str) -> None:
        """Delete what is there. Sent once: the second time it would be gone."""
        with self._speaking():
            response = self._client.delete(where)
        if not response.is_success:
            raise refusal(response)

    @contextmanager
    def stream(
        self, where: str, last_event_id: str = "", params: Params | None = None
    ) -> Generator[Iterator[httpx2.ServerSentEvent]]:
        """Server-sent events behind the one with this id; from the first when it is empty."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        timeout = httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        with (
            self._speaking(),
            self._client.stream("GET", where, params=params, headers=headers, timeout=timeout) as response,
        ):
            if not response.is_success:
                response.read()
                raise refusal(response)
            yield iter(httpx2.EventSource(response))

    def _send(self, method: str, where: str, **request: Any) -> httpx2.Response:
        """Send a request that may be sent again, and do so when the connection breaks before its answer is there."""
        attempt = 1
        while True:
            try:
                with self._speaking():
                    response = self._client.request(method, where, **request)
            except UnreachableError as error:
                was_never_there = attempt == 1 and isinstance(
                    error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout
                )
                if was_never_there or attempt == _ATTEMPTS:
                    raise
                attempt += 1
                time.sleep(_PAUSE_SECONDS)
                continue
            if response.is_success:
                return response
            raise refusal(response)

    @contextmanager
    def _speaking(self) -> Generator[None]:
        try:
            yield
        except httpx2.HTTPError as error:
            message = f"Nothing answers at {self.address} ({error or type(error).__name__})."
            raise UnreachableError(
                f"{message} `./tooloo up` starts a platform; --url or TOOLOO_URL names one."
            ) from error


def _json(response: httpx2.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise refusal(response) from error
