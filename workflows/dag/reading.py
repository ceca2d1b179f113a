"""From what was posted to typed parts, each read on its own so that one bad step hides nothing of the others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.contract import Contract
from models.definition import (
    MAX_STEPS,
    NOT_YET_IN_DEFINITION,
    NOT_YET_IN_STEP,
    DefinitionHead,
    StepDefinition,
)
from workflows.dag.findings import NAME_CHARACTERS, Findings
from workflows.dag.pointers import to_pointer
from workflows.dag.templates import ReadTemplate, read_template

RESERVED_STEP_IDS = ("input", "item")
RESERVED_PREFIX = "tooloo-"
RESERVED_IDS = ("validate",)

ModelT = TypeVar("ModelT", bound=Contract)


@dataclass(frozen=True)
class PostedStep:
    """A step, its input and its place in what was posted."""

    pointer: str
    step: StepDefinition
    template: ReadTemplate
    runs_action: bool
    """Whether it is a step that calls an action, and not one of a kind the engine does not run yet."""


@dataclass(frozen=True)
class Posted:
    """What could be read of a definition."""

    head: DefinitionHead | None
    steps: tuple[PostedStep, ...]
    step_ids: tuple[str, ...]
    """Of all steps, so that a step that can not be read is not also unknown to those that use it."""
    output: ReadTemplate


def read_definition(raw: dict[str, Any], findings: Findings, *, platform: bool) -> Posted:
    """Read everything that can be read; the rest becomes problems."""
    head = _read_head(raw, findings, platform=platform)
    posted = _posted_steps(raw, findings)
    steps = [_read_step(item, f"/steps/{index}", findings) for index, item in enumerate(posted)]
    ids = [item["id"] for item in posted if isinstance(item, dict) and isinstance(item.get("id"), str)]
    return Posted(
        head,
        tuple(step for step in steps if step is not None),
        tuple(dict.fromkeys(ids)),
        read_template(raw.get("output"), "/output", findings),
    )


def _read_head(raw: dict[str, Any], findings: Findings, *, platform: bool) -> DefinitionHead | None:
    body = {name: value for name, value in raw.items() if name != "steps"}
    head = _validated(DefinitionHead, body, "", findings)
    _refuse_not_yet(raw, NOT_YET_IN_DEFINITION, "", DefinitionHead, findings)
    if head is not None and not platform and (head.id.startswith(RESERVED_PREFIX) or head.id in RESERVED_IDS):
        message = f"ids that start with {RESERVED_PREFIX} and the id validate are the platform's own"
        findings.add("/id", "reserved-id", message, "choose another id")
    return head


def _posted_steps(raw: dict[str, Any], findings: Findings) -> list[Any]:
    posted = raw.get("steps")
    if "steps" not in raw:
        findings.add("/steps", "missing-field", "the field 'steps' is missing")
    elif not isinstance(posted, list) or not posted:
        findings.add("/steps", "type-mismatch", "a list of at least one step belongs here")
    elif len(posted) > MAX_STEPS:
        message = f"{len(posted):,} steps; a definition has at most {MAX_STEPS:,}"
        findings.add("/steps", "too-large", message, "split it into several workflows")
    else:
        return posted
    return []


def _read_step(item: Any, pointer: str, findings: Findings) -> PostedStep | None:
    step = _validated(StepDefinition, item, pointer, findings)
    runs_action = True
    if isinstance(item, dict):
        refused = _refuse_not_yet(item, NOT_YET_IN_STEP, pointer, StepDefinition, findings)
        runs_action = not any(name in _OTHER_KINDS for name in refused)
    if step is None:
        return None
    if step.id in RESERVED_STEP_IDS:
        findings.add(f"{pointer}/id", "reserved-id", f"{step.id} has a meaning in references", "choose another id")
    return PostedStep(pointer, step, read_template(step.input, f"{pointer}/input", findings), runs_action)


_OTHER_KINDS = ("switch", "workflow", "wait", "approval")
"""Fields that make a step something else than the call of an action."""


def _refuse_not_yet(
    raw: dict[str, Any], fields: Sequence[str], pointer: str, model: type[BaseModel], findings: Findings
) -> list[str]:
    """The fields that are set to more than their default."""
    refused = [name for name in fields if name in raw and raw[name] != _default(model, name)]
    for name in refused:
        message = f"{name} belongs to the language but does not run yet"
        findings.add(f"{pointer}/{name}", "not-supported-yet", message, f"leave {name} out")
    return refused


def _default(model: type[BaseModel], written: str) -> Any:
    return next(field.default for name, field in model.model_fields.items() if (field.alias or name) == written)


def _validated(model: type[ModelT], value: Any, pointer: str, findings: Findings) -> ModelT | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        add_errors(findings, error, value, pointer, model)
        return None


_CODES = {"extra_forbidden": "unknown-field", "missing": "missing-field", "too_long": "too-large"}


def add_errors(findings: Findings, error: ValidationError, value: Any, pointer: str, model: type[BaseModel]) -> None:
    """Note a pydantic error as problems whose pointers lead into what was posted."""
    for detail in error.errors(include_url=False, include_input=False):
        loc: tuple[str | int, ...] = detail["loc"]
        path = list(_posted_path(loc, value))
        at = pointer + to_pointer(path)
        name = str(loc[-1])[:NAME_CHARACTERS] if loc else ""
        match _CODES.get(detail["type"], "type-mismatch"):
            case "unknown-field" as code:
                known = _field_names(model) if len(path) == 1 else ()
                findings.add(at, code, f"the field {name!r} is not known here", findings.did_you_mean(name, known))
            case "missing-field" as code:
                findings.add(pointer + to_pointer([*path, loc[-1]]), code, f"the field {name!r} is missing")
            case code:
                findings.add(at, code, detail["msg"].removeprefix("Value error, "))


def _posted_path(loc: Iterable[str | int], value: Any) -> Iterator[str | int]:
    """The parts of an error's location that exist in what was posted: unions add parts that do not."""
    for part in loc:
        if _has(value, part):
            value = value[part]
            yield part


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def _field_names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
