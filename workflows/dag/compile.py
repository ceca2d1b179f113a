"""The compiler: what somebody wrote becomes a plan, or the list of everything that is wrong with it. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from models.canonical import canonical
from models.definition import DefinitionHead, StepDefinition
from models.documents import check_json
from models.errors import InvalidInputError, Problem
from models.identity import Role
from workflows.dag import graph
from workflows.dag.checking import DefinitionCheck
from workflows.dag.findings import Findings
from workflows.dag.nodes import NodeWriter
from workflows.dag.plan import INPUT, Concurrency, Plan
from workflows.dag.pointers import to_pointer
from workflows.dag.reading import Posted, PostedStep, read_definition
from workflows.dag.results import Catalogue
from workflows.dag.signature import Signature, Signatures


@dataclass(frozen=True)
class Compiled:
    """A definition that can run."""

    plan: Plan
    head: DefinitionHead
    signature: Signature
    warnings: tuple[Problem, ...]
    """What runs but is likely not meant."""
    calls: Mapping[str, int]
    """The version it runs of each workflow that its steps name without one."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who may start runs."""
        return self.head.access.execute


def compile_definition(
    raw: Any, catalogue: Catalogue, signatures: Signatures | None = None, *, version: int = 0, platform: bool = False
) -> Compiled | list[Problem]:
    """Compile a definition as it was posted (a JSON value), or say all that is wrong, by place in the document.

    `signatures` has the workflows that its steps name. `platform` allows the ids that are reserved for TooLoo's own
    definitions.
    """
    try:
        check_json(raw)
    except InvalidInputError as error:
        return list(error.problems)
    if not isinstance(raw, dict):
        return [Problem(pointer="", code="type-mismatch", message="a definition is an object")]
    findings = Findings()
    posted = read_definition(raw, findings, platform=platform)
    check = DefinitionCheck(posted, catalogue, signatures or {}, findings)
    check.run()
    if findings or posted.head is None:
        return findings.all()
    plan = _plan(posted, posted.head, check, catalogue, signatures or {}, version)
    return Compiled(
        plan,
        posted.head,
        check.signature(posted.head.id, version),
        tuple(_unused_input(posted, posted.head)),
        {called: found.version for (called, named), found in (signatures or {}).items() if named is None},
    )


def definition_hash(
    head: DefinitionHead, steps: Sequence[StepDefinition], handlers: Sequence[StepDefinition] = ()
) -> str:
    """Hex SHA-256 of what a definition means: order of keys, ways to write a duration and defaults do not count."""
    parts = _HASHED.dump_python(
        (head, tuple(steps), tuple(handlers)), mode="json", by_alias=True, exclude_defaults=True
    )
    meant = [parts[0], *parts[1], *([parts[2]] if handlers else ())]
    return sha256(to_json(canonical(meant))).hexdigest()


_HASHED = TypeAdapter(tuple[DefinitionHead, tuple[StepDefinition, ...], tuple[StepDefinition, ...]])


def _plan(
    posted: Posted,
    head: DefinitionHead,
    check: DefinitionCheck,
    catalogue: Catalogue,
    signatures: Signatures,
    version: int,
) -> Plan:
    place = {old: new for new, old in enumerate(check.order)}
    numbers = {step_id: place[old] for step_id, old in check.number.items()}
    children = graph.children_of(check.parents)
    writer = NodeWriter(catalogue, signatures, numbers)
    nodes = tuple(
        writer.node(
            posted.steps[old],
            parents=tuple(sorted(place[parent] for parent in check.parents[old])),
            children=tuple(sorted(place[child] for child in children[old])),
        )
        for old in check.order
    )
    steps = [_pinned(item.step, signatures) for item in posted.steps if not item.handles_failure]
    handlers = [_pinned(item.step, signatures) for item in posted.steps if item.handles_failure]
    return Plan(
        workflow=head.id,
        version=version,
        hash=definition_hash(head, steps, handlers),
        nodes=nodes,
        steps=len(steps),
        output=posted.output.resolve(lambda source: INPUT if source == "input" else numbers[source]),
        max_parallel=head.limits.max_parallel,
        timeout=head.limits.timeout,
        fail_fast=head.limits.fail_fast,
        concurrency=_concurrency(posted, head),
        labels=head.labels,
    )


def _pinned(step: StepDefinition, signatures: Signatures) -> StepDefinition:
    """The step with the version of the workflow it runs: a later one makes it mean something else."""
    called = step.workflow
    if called is None:
        return step
    version = signatures[called.id, called.version].version
    return step.model_copy(update={"workflow": called.model_copy(update={"version": version})})


def _concurrency(posted: Posted, head: DefinitionHead) -> Concurrency | None:
    options = head.concurrency
    if options is None:
        return None
    return Concurrency(options.max, options.policy, posted.concurrency_key.resolve(lambda _: INPUT))


def _unused_input(posted: Posted, head: DefinitionHead) -> Iterator[Problem]:
    paths = [*_input_paths(posted)]
    if () in paths:
        return
    used = dict.fromkeys(path[0] for path in paths)
    properties: Mapping[str, Any] = (head.input or {}).get("properties", {})
    for name in properties:
        if name not in used:
            pointer = "/input/properties" + to_pointer((name,))
            yield Problem(pointer=pointer, code="unused-input", message=f"no step uses input.{name}")


def _input_paths(posted: Posted) -> Iterator[tuple[str | int, ...]]:
    for template in (posted.output, posted.concurrency_key, *_all_templates(posted.steps)):
        yield from (one.reference.read.path for one in template.references if one.reference.source == "input")
    for item in posted.steps:
        for _, expression in item.expressions():
            for chain in expression.chains:
                if chain.root == "input":
                    yield chain.path if chain.key is None else (*chain.path, chain.key)


def _all_templates(steps: Sequence[PostedStep]) -> Iterator[Any]:
    for item in steps:
        yield from (template for _, template in item.templates())
        yield from (template for template in (item.mock, item.compensation) if template is not None)
