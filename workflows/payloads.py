"""How values travel to and from Temporal: pydantic JSON, and payloads over 4 KiB kept in PostgreSQL (TRAPS 1, 5)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    ExternalStorage,
    PayloadConverter,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from models.values import INLINE_LIMIT

DRIVER_NAME = "tooloo-postgres"


class Blobs(Protocol):
    """Content-addressed bytes."""

    async def store(self, items: Sequence[bytes]) -> list[str]:
        """Keep each item; the refs in order."""
        ...

    async def load(self, refs: Sequence[str]) -> list[bytes]:
        """The bytes behind each ref."""
        ...


class BlobDriver(StorageDriver):
    """Keeps whole payloads as blobs."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def name(self) -> str:
        """The name claims carry; the codec endpoint knows it too."""
        return DRIVER_NAME

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:  # noqa: ARG002 - the driver's interface
        """Keep each payload under its hash."""
        items = [payload.SerializeToString(deterministic=True) for payload in payloads]
        refs = await self._blobs.store(items)
        return [StorageDriverClaim({"ref": ref}) for ref in refs]

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,  # noqa: ARG002 - the driver's interface
        claims: Sequence[StorageDriverClaim],
    ) -> list[Payload]:
        """Read each payload back."""
        items = await self._blobs.load([claim.claim_data["ref"] for claim in claims])
        return [Payload.FromString(item) for item in items]


class FailuresOfOthers(DefaultFailureConverter):
    """Leaves out details of errors that a foreign worker has encoded in its own way.

    Who reads a failure in a workflow could not go on otherwise, ever.
    """

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """The error of a failure; its causes come here by themselves."""
        try:
            return super().from_failure(failure, payload_converter)
        except Exception:  # whatever a converter raises
            if not failure.HasField("application_failure_info"):
                raise
            readable = Failure()
            readable.CopyFrom(failure)
            readable.application_failure_info.ClearField("details")
            return super().from_failure(readable, payload_converter)


def data_converter(blobs: Blobs) -> DataConverter:
    """The converter every client and worker of TooLoo uses."""
    storage = ExternalStorage(drivers=[BlobDriver(blobs)], payload_size_threshold=INLINE_LIMIT)
    return replace(pydantic_data_converter, external_storage=storage, failure_converter_class=FailuresOfOthers)
