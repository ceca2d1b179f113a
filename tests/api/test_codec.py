import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from google.protobuf import json_format
from httpx2 import AsyncClient
from pydantic_core import to_json
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.common.v1 import Payload, Payloads

from api.middleware.codec_origin import web_ui_origins
from models.identity import Role
from models.persistence.values import BlobStore
from models.values import INLINE_LIMIT, STORED_ENCODING
from tests.api.clients import MakeKey, client_of, problem
from workflows.payloads import data_converter

UI = "http://127.0.0.1:8233"
LARGE = {"text": "x" * INLINE_LIMIT}
INLINE = Payload(metadata={"encoding": b"json/plain"}, data=b'{"small":true}')


async def moved(database: AsyncEngine, value: Any) -> Payload:
    """What Temporal keeps of a large value: the SDK's own reference."""
    [payload] = await data_converter(BlobStore(database)).encode([value])
    assert payload.metadata["encoding"] == b"json/protobuf"
    return payload


async def stored(database: AsyncEngine, value: Any) -> Payload:
    """What an action's large result looks like in history."""
    data = to_json(value)
    [ref] = await BlobStore(database).store([data])
    return Payload(metadata={"encoding": STORED_ENCODING}, data=to_json({"ref": ref, "bytes": len(data)}))


async def ask(client: AsyncClient, path: str, payloads: Sequence[Payload]) -> list[Payload]:
    body = json_format.MessageToJson(Payloads(payloads=payloads))
    answer = await client.post(f"/codec/{path}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return list(json_format.Parse(answer.content, Payloads()).payloads)


async def test_large_values_are_put_back_in_their_place(stranger: AsyncClient, database: AsyncEngine) -> None:
    asked = [INLINE, await moved(database, LARGE), await stored(database, LARGE)]
    answered = await ask(stranger, "decode", asked)
    assert answered[0] == INLINE
    assert [json.loads(payload.data) for payload in answered[1:]] == [LARGE, LARGE]
    assert [payload.metadata["encoding"] for payload in answered[1:]] == [b"json/plain", b"json/plain"]


async def test_a_reference_needs_no_more_than_its_driver_and_claim(
    stranger: AsyncClient, database: AsyncEngine
) -> None:
    """What a foreign worker has in its hands: its SDK gives a driver the claim, not the payload."""
    (ref,) = await BlobStore(database).store([INLINE.SerializeToString()])
    assert await ask(stranger, "decode", [reference(ref)]) == [INLINE]


async def test_the_web_ui_may_leave_large_payloads_for_a_download(stranger: AsyncClient, database: AsyncEngine) -> None:
    asked = [await moved(database, LARGE), await stored(database, LARGE)]
    kept, put_back = await ask(stranger, "decode?preserveStorageRefs=true", asked)
    assert kept == asked[0]
    assert json.loads(put_back.data) == LARGE
    [downloaded] = await ask(stranger, "download", asked[:1])
    assert json.loads(downloaded.data) == LARGE


async def test_only_references_that_lead_somewhere_can_be_downloaded(
    stranger: AsyncClient, database: AsyncEngine
) -> None:
    for payload, status, code in (
        (INLINE, 422, "invalid-input"),
        (reference("0" * 64), 404, "not-found"),
        (reference((await BlobStore(database).store([b"\xff no payload"]))[0]), 404, "not-found"),
    ):
        body = json_format.MessageToJson(Payloads(payloads=[payload]))
        problem(await stranger.post("/codec/download", content=body), status, code)


def reference(ref: object, driver: str = "tooloo-postgres") -> Payload:
    data = to_json({"driverName": driver, "claimData": {"ref": ref}})
    kind = b"temporal.api.sdk.v1.ExternalStorageReference"
    return Payload(metadata={"encoding": b"json/protobuf", "messageType": kind}, data=data)


@pytest.mark.parametrize(
    "payload",
    [
        Payload(),
        Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\xff\x00"),
        Payload(metadata={"encoding": b"json/plain"}, data=b"\xff no JSON"),
        reference("0" * 64),
        reference("../secrets"),
        reference("0" * 64, driver="another"),
        Payload(metadata=dict(reference("0" * 64).metadata), data=b"no JSON"),
        Payload(metadata=dict(reference("0" * 64).metadata), data=b'{"driverName": 7}'),
        Payload(metadata={"encoding": STORED_ENCODING}, data=b"no JSON"),
        Payload(metadata={"encoding": STORED_ENCODING}, data=b'{"ref": "x", "bytes": 1}'),
        Payload(metadata={"encoding": STORED_ENCODING}, data=b'{"ref": "' + b"0" * 64 + b'", "bytes": 1}'),
    ],
)
async def test_what_cannot_be_read_stays_as_it_is(stranger: AsyncClient, payload: Payload) -> None:
    assert await ask(stranger, "decode", [payload, INLINE]) == [payload, INLINE]


async def test_encoding_changes_nothing(stranger: AsyncClient) -> None:
    assert await ask(stranger, "encode", [INLINE]) == [INLINE]


async def test_the_wire_format_is_protobuf_json(stranger: AsyncClient) -> None:
    answer = await stranger.post("/codec/decode", json={"payloads": [{"data": b64encode(b"7").decode()}]})
    assert b64decode(answer.json()["payloads"][0]["data"]) == b"7"
    assert (await stranger.post("/codec/decode", json={"payloads": []})).json() == {"payloads": []}


@pytest.mark.parametrize("path", ["decode", "encode", "download"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"7",
        b'{"payloads": 7}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 999,
        b'{"payloads": [{"metadata": {"\\ud800": "eA=="}}]}',
    ],
)
async def test_what_is_no_payloads_is_refused(stranger: AsyncClient, path: str, body: bytes) -> None:
    problem(await stranger.post(f"/codec/{path}", content=body), 422, "invalid-input")


async def test_only_this_machine_and_admins_read_payloads(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, peer="203.0.113.7") as remote:
        problem(await remote.post("/codec/decode", json={}), 401, "unauthorized")
    for role, status in ((Role.LEARNER, 403), (Role.SERVICE, 403), (Role.ADMIN, 200)):
        async with client_of(app, await make_key(f"a-{role}", role), peer="203.0.113.7") as client:
            assert (await client.post("/codec/decode", json={})).status_code == status


async def test_the_web_ui_may_ask_from_its_own_origin(stranger: AsyncClient) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    allowed = await stranger.options("/codec/decode", headers={"Origin": UI, **wanted})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == UI
    answer = await stranger.post("/codec/decode", json={}, headers={"Origin": "http://localhost:8233"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:8233"


async def test_the_web_ui_can_read_why_it_was_refused(app: FastAPI) -> None:
    async with client_of(app, peer="203.0.113.7") as remote:
        refused = await remote.post("/codec/decode", json={}, headers={"Origin": UI})
    problem(refused, 401, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == UI


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:8234", "https://127.0.0.1:8233"])
async def test_other_pages_cannot_ask_through_the_browser(stranger: AsyncClient, origin: str) -> None:
    refused = await stranger.post("/codec/decode", json={}, headers={"Origin": origin})
    problem(refused, 403, "forbidden")
    assert "access-control-allow-origin" not in refused.headers


async def test_no_other_route_is_open_to_the_web_uis_origin(stranger: AsyncClient) -> None:
    answer = await stranger.get("/api/v1/health/live", headers={"Origin": UI})
    assert "access-control-allow-origin" not in answer.headers


def test_a_web_ui_elsewhere_has_one_origin() -> None:
    assert web_ui_origins("https://temporal.example.org/ui") == ("https://temporal.example.org",)
    assert web_ui_origins("http://localhost:8233") == (UI, "http://localhost:8233", "http://[::1]:8233")
