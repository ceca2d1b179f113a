"""What a pending activity's heartbeats say of its step."""

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo

from workflows.client import _pending_step

STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
SCHEDULED = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


@pytest.mark.parametrize(
    ("state", "encoding", "data", "progress"),
    [
        (STARTED, b"json/plain", b'{"phase":"indexed 500 files"}', {"phase": "indexed 500 files"}),
        (STARTED, b"json/plain", b"3", 3),
        (STARTED, b"json/plain", b"{", None),
        (STARTED, b"binary/plain", b"\xff", None),
        (STARTED, None, None, None),
        (SCHEDULED, b"json/plain", b'{"phase":"of the attempt before"}', None),
    ],
)
def test_progress_is_json_of_an_activity_that_runs(
    state: PendingActivityState.ValueType, encoding: bytes | None, data: bytes | None, progress: Any
) -> None:
    payloads = [] if encoding is None or data is None else [Payload(metadata={"encoding": encoding}, data=data)]
    pending = PendingActivityInfo(activity_id="load", state=state, heartbeat_details=Payloads(payloads=payloads))
    assert _pending_step(pending).progress == progress
