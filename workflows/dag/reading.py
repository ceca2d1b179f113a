"""From what was posted to typed parts, each read on its own so that one bad step hides nothing of the others."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.contract import Contract
from models.definition import (
    MAX_HANDLERS,
    MAX_STEPS,
    NOT_YET_IN_DEFINITION,
    NOT_YET_IN_STEP,
    DefinitionHead,
    StepDefinition,
)
from models.identity import Role
from workflows.dag.expressions import BadExpressionError, ReadExpression, read_expression
from workflows.dag.findings import NAME_CHARACTERS, Findings
from workflows.dag.pointers import to_pointer
from workflows.dag.references import PREFIX
from workflows.dag.templates import Placed, ReadTemplate, read_template

RESERVED_STEP_IDS = ("input", "item")
ERROR_SOURCE = "error"
"""What the steps of `on_failure` know the run's failure by."""
_READS_ERROR = re.compile(rf"undeclared reference to '{ERROR_SOURCE}['.]")
RESERVED_PREFIX = "tooloo-"
RESERVED_IDS = ("validate",)

ModelT = TypeVar("ModelT", bound=Contract)


class Kind(StrEnum):
    """What a step does."""

    ACTION = "action"
    SWITCH = "switch"
    WORKFLOW = "workflow"
    WAIT = "wait"
    APPROVAL = "approval"


_ONLY_FOR: dict[str, tuple[Kind, ...]] = {
    "input": (Kind.ACTION, Kind.WORKFLOW, Kind.APPROVAL),
    "map": (Kind.ACTION, Kind.WORKFLOW, Kind.SWITCH),
    "while": (Kind.ACTION, Kind.WORKFLOW),
    "retry": (Kind.ACTION,),
    "timeout": (Kind.ACTION,),
    "compensate": (Kind.ACTION, Kind.WORKFLOW),
    "cache": (Kind.ACTION,),
    "priority": (Kind.ACTION, Kind.WORKFLOW),
    "mock": (Kind.ACTION, Kind.WORKFLOW, Kind.WAIT, Kind.APPROVAL),
}
"""Fields that mean something for some kinds of steps only."""


@dataclass(frozen=True)
class ReadCase:
    """A case of a switch."""

    value: ReadTemplate
    when: ReadExpression | None


@dataclass(frozen=True)
class PostedStep:
    """A step, its templates and expressions, and its place in what was posted."""

    pointer: str
    step: StepDefinition
    kind: Kind | None
    """None when that cannot be told; a problem says so."""
    input: ReadTemplate
    handles_failure: bool = False
    """Whether it is a step of `on_failure`."""
    when: ReadExpression | None = None
    items: ReadTemplate | ReadExpression | None = None
    condition: ReadExpression | None = None
    cases: tuple[ReadCase, ...] = ()
    until: ReadTemplate | None = None
    cache_key: ReadTemplate | None = None
    mock: ReadTemplate | None = None
    compensation: ReadTemplate | None = None

    @property
    def item(self) -> str | None:
        """The name of the item in a map's turn."""
        return None if self.step.map is None else self.step.map.as_

    def templates(self) -> Iterator[tuple[str, ReadTemplate]]:
        """Each template that is filled when the step runs, with its pointer."""
        yield f"{self.pointer}/input", self.input
        if isinstance(self.items, ReadTemplate):
            yield f"{self.pointer}/map/items", self.items
        for index, case in enumerate(self.cases):
            yield f"{self.pointer}/switch/{index}/value", case.value
        if self.until is not None:
            yield f"{self.pointer}/wait/until", self.until
        if self.cache_key is not None:
            yield f"{self.pointer}/cache/key", self.cache_key

    def expressions(self) -> Iterator[tuple[str, ReadExpression]]:
        """Each expression, with its pointer."""
        if self.when is not None:
            yield f"{self.pointer}/when", self.when
        if isinstance(self.items, ReadExpression):
            yield f"{self.pointer}/map/items", self.items
        if self.condition is not None:
            yield f"{self.pointer}/while/condition", self.condition
        for index, case in enumerate(self.cases):
            if case.when is not None:
                yield f"{self.pointer}/switch/{index}/when", case.when

    def references(self) -> Iterator[tuple[str, Placed]]:
        """Each reference of its templates, with its pointer."""
        for pointer, template in self.templates():
            for placed in template.references:
                yield pointer + to_pointer(placed.at), placed


@dataclass(frozen=True)
class Posted:
    """What could be read of a definition."""

    head: DefinitionHead | None
    steps: tuple[PostedStep, ...]
    """Those of `on_failure` last."""
    step_ids: tuple[str, ...]
    """Of all steps, so that a step that can not be read is not also unknown to those that use it."""
    output: ReadTemplate
    concurrency_key: ReadTemplate


def read_definition(raw: dict[str, Any], findings: Findings, *, platform: bool) -> Posted:
    """Read everything that can be read; the rest becomes problems."""
    head = _read_head(raw, findings, platform=platform)
    posted = _posted_steps(raw, findings)
    handlers = _posted_handlers(raw, findings)
    steps = [
        *(_read_step(item, f"/steps/{index}", findings, bool(handlers)) for index, item in enumerate(posted)),
        *(_read_handler(item, f"/on_failure/{index}", findings) for index, item in enumerate(handlers)),
    ]
    ids = [item["id"] for item in (*posted, *handlers) if isinstance(item, dict) and isinstance(item.get("id"), str)]
    concurrency = raw.get("concurrency")
    key = concurrency.get("key") if isinstance(concurrency, dict) else None
    return Posted(
        head,
        tuple(step for step in steps if step is not None),
        tuple(dict.fromkeys(ids)),
        read_template(raw.get("output"), "/output", findings),
        read_template(key, "/concurrency/key", findings),
    )


def _read_head(raw: dict[str, Any], findings: Findings, *, platform: bool) -> DefinitionHead | None:
    body = {name: value for name, value in raw.items() if name not in {"steps", "on_failure"}}
    if not isinstance(raw.get("on_failure"), list) or not raw["on_failure"]:
        body.update((name, raw[name]) for name in ("on_failure",) if name in raw)
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


def _posted_handlers(raw: dict[str, Any], findings: Findings) -> list[Any]:
    posted = raw.get("on_failure")
    if not isinstance(posted, list):
        return []
    if len(posted) <= MAX_HANDLERS:
        return posted
    message = f"{len(posted):,} steps of on_failure; there are at most {MAX_HANDLERS}"
    findings.add("/on_failure", "too-large", message, "put them into a workflow of their own")
    return []


def _read_handler(item: Any, pointer: str, findings: Findings) -> PostedStep | None:
    return _read_step(item, pointer, findings, has_handlers=True, handles_failure=True)


def _read_step(
    item: Any, pointer: str, findings: Findings, has_handlers: bool, *, handles_failure: bool = False
) -> PostedStep | None:
    step = _validated(StepDefinition, item, pointer, findings)
    if isinstance(item, dict):
        _refuse_not_yet(item, NOT_YET_IN_STEP, pointer, StepDefinition, findings)
    if step is None:
        return None
    if step.id in RESERVED_STEP_IDS or (has_handlers and step.id == ERROR_SOURCE):
        findings.add(f"{pointer}/id", "reserved-id", f"{step.id} has a meaning in references", "choose another id")
    if handles_failure and step.compensate is not None:
        message = "compensate means nothing in a step of on_failure: nothing comes after it that could fail the run"
        findings.add(f"{pointer}/compensate", "unknown-field", message, "leave compensate out")
    kind = _kind(step, pointer, findings)
    if kind is not None:
        _refuse_foreign_fields(step, kind, pointer, findings)
    return _read_parts(step, kind, pointer, findings, handles_failure=handles_failure)


def _kind(step: StepDefinition, pointer: str, findings: Findings) -> Kind | None:
    kinds = [
        kind
        for kind, there in (
            (Kind.ACTION, step.service is not None or step.action is not None),
            (Kind.SWITCH, step.switch is not None),
            (Kind.WORKFLOW, step.workflow is not None),
            (Kind.WAIT, step.wait is not None),
            (Kind.APPROVAL, step.approval is not None),
        )
        if there
    ]
    if len(kinds) > 1:
        message = f"a step does one thing: {' and '.join(kinds)} belong in steps of their own"
        findings.add(pointer, "type-mismatch", message, "make several steps of it")
        return None
    if not kinds or kinds == [Kind.ACTION]:
        missing = [name for name in ("service", "action") if getattr(step, name) is None]
        for name in missing:
            suggestion = None if kinds else "a step has service and action, or switch, workflow, wait or approval"
            findings.add(f"{pointer}/{name}", "missing-field", f"the field {name!r} is missing", suggestion)
        return None if missing else Kind.ACTION
    return kinds[0]


def _refuse_foreign_fields(step: StepDefinition, kind: Kind, pointer: str, findings: Findings) -> None:
    written = [_written(StepDefinition, name) for name in sorted(step.model_fields_set)]
    for name, kinds in _ONLY_FOR.items():
        if name in written and kind not in kinds:
            message = f"{name} means nothing in a step with {kind}; it belongs to steps with {' or '.join(kinds)}"
            findings.add(f"{pointer}/{name}", "unknown-field", message, f"leave {name} out")
    if step.map is not None and step.while_ is not None:
        message = "a step has map or while, not both"
        findings.add(f"{pointer}/while", "unknown-field", message, "put the loop into a workflow of its own")
    if kind is Kind.WAIT:
        _check_wait(step, pointer, findings)
    if kind is Kind.APPROVAL:
        _check_approval(step, pointer, findings)


def _check_wait(step: StepDefinition, pointer: str, findings: Findings) -> None:
    wait = step.wait
    assert wait is not None  # noqa: S101 - the step is of this kind
    ways = [
        name
        for name, given in (("for", wait.for_), ("until", wait.until), ("signal", wait.signal))
        if given is not None
    ]
    if len(ways) != 1:
        message = "a wait has one of for, until and signal"
        findings.add(f"{pointer}/wait", "missing-field" if not ways else "type-mismatch", message)
    for name, given in (("schema", wait.schema_), ("timeout", wait.timeout)):
        if given is not None and wait.signal is None:
            findings.add(f"{pointer}/wait/{name}", "unknown-field", f"{name} belongs to a wait for a signal")
    if wait.signal is not None and wait.signal.startswith(RESERVED_PREFIX):
        message = f"signals that start with {RESERVED_PREFIX} are the platform's own"
        findings.add(f"{pointer}/wait/signal", "reserved-id", message, "choose another name")


def _check_approval(step: StepDefinition, pointer: str, findings: Findings) -> None:
    approval = step.approval
    assert approval is not None  # noqa: S101 - the step is of this kind
    for index, role in enumerate(approval.roles):
        if role is Role.SERVICE:
            message = "a service answers no questions"
            findings.add(f"{pointer}/approval/roles/{index}", "type-mismatch", message, "leave it out")
    if approval.on_timeout == "continue" and approval.timeout is None:
        message = "without a timeout the answer is waited for for ever: there is nothing to continue from"
        findings.add(f"{pointer}/approval/on_timeout", "type-mismatch", message, "give the approval a timeout")


def _read_parts(
    step: StepDefinition, kind: Kind | None, pointer: str, findings: Findings, *, handles_failure: bool
) -> PostedStep:
    item = "item" if step.map is None else step.map.as_

    def template(value: Any, place: str) -> ReadTemplate:
        return read_template(value, f"{pointer}/{place}", findings)

    def expression(text: str | None, place: str) -> ReadExpression | None:
        return None if text is None else _read_expression(text, f"{pointer}/{place}", item, findings)

    items: ReadTemplate | ReadExpression | None = None
    if step.map is not None:
        written = step.map.items
        is_expression = isinstance(written, str) and not written.startswith(PREFIX)
        items = expression(str(written), "map/items") if is_expression else template(written, "map/items")
    return PostedStep(
        pointer,
        step,
        kind,
        template(step.input, "input"),
        handles_failure,
        when=expression(step.when, "when"),
        items=items,
        condition=expression(None if step.while_ is None else step.while_.condition, "while/condition"),
        cases=tuple(
            ReadCase(template(case.value, f"switch/{index}/value"), expression(case.when, f"switch/{index}/when"))
            for index, case in enumerate(step.switch or ())
        ),
        until=template(step.wait.until, "wait/until")
        if step.wait is not None and step.wait.until is not None
        else None,
        cache_key=None if step.cache is None else template(step.cache.key, "cache/key"),
        mock=template(step.mock, "mock") if "mock" in step.model_fields_set else None,
        compensation=None if step.compensate is None else template(step.compensate.input, "compensate/input"),
    )


def _read_expression(text: str, pointer: str, item: str, findings: Findings) -> ReadExpression | None:
    try:
        return read_expression(text, item)
    except BadExpressionError as error:
        only = "error is for references only: from:error" if _READS_ERROR.search(str(error)) else None
        findings.add(pointer, "bad-expression", f"{error} in {text[:200]!r}", only)
        return None


def _refuse_not_yet(
    raw: dict[str, Any], fields: Sequence[str], pointer: str, model: type[BaseModel], findings: Findings
) -> None:
    """Refuse the fields that are set to more than their default."""
    for name in fields:
        if name in raw and raw[name] != _default(model, name):
            message = f"{name} belongs to the language but does not run yet"
            findings.add(f"{pointer}/{name}", "not-supported-yet", message, f"leave {name} out")


def _default(model: type[BaseModel], written: str) -> Any:
    return next(field.default for name, field in model.model_fields.items() if (field.alias or name) == written)


def _written(model: type[BaseModel], name: str) -> str:
    return model.model_fields[name].alias or name


def _validated(model: type[ModelT], value: Any, pointer: str, findings: Findings) -> ModelT | None:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        add_errors(findings, error, value, pointer, model)
        return None


_CODES = {
    "extra_forbidden": "unknown-field",
    "missing": "missing-field",
    "too_long": "too-large",
    "string_too_long": "too-large",
}


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
