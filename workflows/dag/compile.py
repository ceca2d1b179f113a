"""The compiler: what somebody wrote becomes a plan, or the list of everything that is wrong with it. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from models.actions import ActionSpec, Retry, Timeout
from models.definition import DefinitionHead, RetryOptions, StepDefinition, TimeoutOptions
from models.documents import check_json
from models.errors import InvalidInputError, Problem
from workflows.dag import graph
from workflows.dag.canonical import canonical
from workflows.dag.checking import Catalogue, DefinitionCheck
from workflows.dag.findings import Findings
from workflows.dag.plan import INPUT, Node, Plan
from workflows.dag.pointers import to_pointer
from workflows.dag.reading import Posted, PostedStep, read_definition


@dataclass(frozen=True)
class Compiled:
    """A definition that can run."""

    plan: Plan
    head: DefinitionHead
    warnings: tuple[Problem, ...]
    """What runs but is likely not meant."""


def compile_definition(
    raw: Any, catalogue: Catalogue, *, version: int = 0, platform: bool = False
) -> Compiled | list[Problem]:
    """Compile a definition as it was posted (a JSON value), or say all that is wrong, by place in the document.

    `platform` allows the ids that are reserved for TooLoo's own definitions.
    """
    try:
        check_json(raw)
    except InvalidInputError as error:
        return list(error.problems)
    if not isinstance(raw, dict):
        return [Problem(pointer="", code="type-mismatch", message="a definition is an object")]
    findings = Findings()
    posted = read_definition(raw, findings, platform=platform)
    check = DefinitionCheck(posted, catalogue, findings)
    check.run()
    if findings or posted.head is None:
        return findings.all()
    plan = _plan(posted, posted.head, check, catalogue, version)
    return Compiled(plan, posted.head, tuple(_unused_input(posted, posted.head)))


def definition_hash(head: DefinitionHead, steps: Sequence[StepDefinition]) -> str:
    """Hex SHA-256 of what a definition means: order of keys, ways to write a duration and defaults do not count."""
    parts = _HASHED.dump_python((head, tuple(steps)), mode="json", by_alias=True, exclude_defaults=True)
    return sha256(to_json(canonical([parts[0], *parts[1]]))).hexdigest()


_HASHED = TypeAdapter(tuple[DefinitionHead, tuple[StepDefinition, ...]])


def _plan(posted: Posted, head: DefinitionHead, check: DefinitionCheck, catalogue: Catalogue, version: int) -> Plan:
    place = {old: new for new, old in enumerate(check.order)}
    children = graph.children_of(check.parents)

    def number(source: str) -> int:
        return INPUT if source == "input" else place[check.number[source]]

    def node(old: int) -> Node:
        item = posted.steps[old]
        return _node(
            item,
            catalogue[f"{item.step.service}.{item.step.action}"],
            number,
            parents=tuple(sorted(place[parent] for parent in check.parents[old])),
            children=tuple(sorted(place[child] for child in children[old])),
        )

    return Plan(
        workflow=head.id,
        version=version,
        hash=definition_hash(head, [item.step for item in posted.steps]),
        nodes=tuple(map(node, check.order)),
        output=posted.output.resolve(number),
        max_parallel=head.limits.max_parallel,
        timeout=head.limits.timeout,
        fail_fast=head.limits.fail_fast,
        labels=head.labels,
    )


def _node(
    item: PostedStep,
    spec: ActionSpec[Any, Any],
    number: Callable[[str], int],
    *,
    parents: tuple[int, ...],
    children: tuple[int, ...],
) -> Node:
    step = item.step
    return Node(
        id=step.id,
        action=spec.type,
        queue=spec.queue,
        template=item.template.resolve(number),
        parents=parents,
        children=children,
        retry=_retry(step.retry, spec.retry),
        timeout=_timeout(step.timeout, spec.timeout),
        continue_on_error=step.on_error == "continue",
        summary=step.description or f"{step.id}: {spec.summary}",
    )


def _retry(options: RetryOptions, default: Retry) -> Retry:
    if not options.model_fields_set:
        return default
    initial = options.initial or default.initial
    return Retry(
        max_attempts=options.max_attempts or default.max_attempts,
        initial=initial,
        backoff=options.backoff or default.backoff,
        max_interval=max(initial, options.max_interval or default.max_interval),
        non_retryable=default.non_retryable if options.non_retryable is None else options.non_retryable,
    )


def _timeout(options: TimeoutOptions, default: Timeout) -> Timeout:
    if not options.model_fields_set:
        return default
    start_to_close = options.start_to_close or default.start_to_close
    heartbeat = options.heartbeat or default.heartbeat
    return Timeout(
        start_to_close=start_to_close,
        schedule_to_close=options.schedule_to_close or default.schedule_to_close,
        schedule_to_start=options.schedule_to_start or default.schedule_to_start,
        heartbeat=None if heartbeat is None else min(heartbeat, start_to_close),
    )


def _unused_input(posted: Posted, head: DefinitionHead) -> Iterator[Problem]:
    paths = [
        one.reference.path
        for template in [*(item.template for item in posted.steps), posted.output]
        for one in template.references
        if one.reference.source == "input"
    ]
    if () in paths:
        return
    used = dict.fromkeys(path[0] for path in paths)
    for name in (head.input or {}).get("properties", {}):
        if name not in used:
            pointer = "/input/properties" + to_pointer((name,))
            yield Problem(pointer=pointer, code="unused-input", message=f"no step uses input.{name}")
