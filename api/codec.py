"""Payloads as the Temporal Web UI shows them: those kept outside of history are put back in their place.

The wire format is Temporal's codec server protocol: `Payloads` as protobuf JSON.
"""

import re
from collections.abc import Iterable, Sequence

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from pydantic import ValidationError
from pydantic_core import to_json
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import JSONProtoPayloadConverter

from models.errors import InvalidInputError, NotFoundError
from models.persistence.values import BlobStore
from models.values import STORED_ENCODING, STORED_VALUE
from workflows.payloads import DRIVER_NAME

_REFERENCE = JSONProtoPayloadConverter()
_REFERENCE_TYPE = ExternalStorageReference.DESCRIPTOR.full_name.encode()
_HASH = re.compile("[0-9a-f]{64}")


def read_payloads(body: bytes) -> Sequence[Payload]:
    """Payloads from protobuf JSON. Raises InvalidInputError when they are none."""
    try:
        return json_format.Parse(body, Payloads(), ignore_unknown_fields=True).payloads
    except (json_format.ParseError, ValueError) as error:  # ValueError: not UTF-8, or characters protobuf cannot hold
        raise InvalidInputError('This is no {"payloads": [{"metadata": {…}, "data": …}]} in protobuf JSON.') from error


def write_payloads(payloads: Iterable[Payload]) -> bytes:
    """Payloads as protobuf JSON; the list is there even when it is empty."""
    return to_json({"payloads": [json_format.MessageToDict(payload) for payload in payloads]})


async def decode(blobs: BlobStore, payload: Payload, *, keep_references: bool = False) -> Payload:
    """The payload with what it refers to in its place. What cannot be read stays as it is.

    `keep_references` leaves whole payloads that the SDK has moved away, which the Web UI downloads when asked to.
    """
    if not keep_references and (ref := _moved_payload(payload)) is not None:
        return await _load_payload(blobs, ref) or payload
    if (ref := _stored_value(payload)) is not None:
        data = await _load(blobs, ref)
        return payload if data is None else Payload(metadata={"encoding": b"json/plain"}, data=data)
    return payload


async def download(blobs: BlobStore, payload: Payload) -> Payload:
    """The payload that a reference names. Raises InvalidInputError for what is no reference, NotFoundError if gone."""
    ref = _moved_payload(payload)
    if ref is None:
        raise InvalidInputError("Only references to payloads kept outside of history can be downloaded.")
    loaded = await _load_payload(blobs, ref)
    if loaded is None:
        raise NotFoundError("There is no such stored payload.")
    return loaded


def _moved_payload(payload: Payload) -> str | None:
    """The hash of a payload that the SDK's storage driver of ours has moved away."""
    metadata = payload.metadata
    if metadata.get("encoding") != b"json/protobuf" or metadata.get("messageType") != _REFERENCE_TYPE:
        return None
    try:
        reference = _REFERENCE.from_payload(payload, ExternalStorageReference)
    except (RuntimeError, ValueError, json_format.ParseError):
        return None
    if not isinstance(reference, ExternalStorageReference) or reference.driver_name != DRIVER_NAME:
        return None
    return _valid(reference.claim_data.get("ref", ""))


def _stored_value(payload: Payload) -> str | None:
    """The hash of an action's result that was stored."""
    if payload.metadata.get("encoding") != STORED_ENCODING:
        return None
    try:
        return _valid(STORED_VALUE.validate_json(payload.data).ref)
    except ValidationError:
        return None


def _valid(ref: str) -> str | None:
    return ref if _HASH.fullmatch(ref) else None


async def _load(blobs: BlobStore, ref: str) -> bytes | None:
    try:
        return (await blobs.load([ref]))[0]
    except NotFoundError:
        return None


async def _load_payload(blobs: BlobStore, ref: str) -> Payload | None:
    """None for a hash that names nothing, or something that is no payload."""
    data = await _load(blobs, ref)
    try:
        return None if data is None else Payload.FromString(data)
    except DecodeError:
        return None
