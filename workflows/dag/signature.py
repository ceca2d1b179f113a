"""What a definition looks like to those that run it as a step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.definition import MAX_VERSION

WorkflowKey = tuple[str, int | None]
"""Id and version; None for whichever is current."""


@dataclass(frozen=True)
class Signature:
    """A definition's input and output as JSON Schemas, and the definitions that its runs may run."""

    workflow: str
    version: int
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any]
    calls: Mapping[str, tuple[str, ...]]
    """Ids of the workflows among its steps, and of those among theirs; each with a way that leads there."""


Signatures = Mapping[WorkflowKey, Signature]


def called_workflows(raw: Any) -> list[WorkflowKey]:
    """The workflows that the steps of a definition name, as it was posted and as far as it can be read."""
    return list(dict.fromkeys(_called(raw)))


def _called(raw: Any) -> Iterator[WorkflowKey]:
    if not isinstance(raw, dict):
        return
    for steps in (raw.get("steps"), raw.get("on_failure")):
        for step in steps if isinstance(steps, list) else ():
            called = step.get("workflow") if isinstance(step, dict) else None
            if isinstance(called, dict) and isinstance(called.get("id"), str):
                version = called.get("version")
                if not isinstance(version, int) or isinstance(version, bool):
                    yield called["id"], None
                elif 1 <= version <= MAX_VERSION:
                    yield called["id"], version
