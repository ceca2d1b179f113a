"""Everything that can be wrong with a definition whose parts can be read."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from models.actions import AnyAction, ForeignAction
from models.values import Path
from workflows.dag import graph
from workflows.dag.expression_checks import check_expression
from workflows.dag.findings import NAME_CHARACTERS, Findings
from workflows.dag.pointers import to_pointer
from workflows.dag.publish import SchemaWriter
from workflows.dag.reading import ERROR_SOURCE, Kind, Posted, PostedStep, add_errors
from workflows.dag.references import format_path
from workflows.dag.results import Catalogue, Own, Results, Scope
from workflows.dag.schemas import ANY, DeadEnd, Schema
from workflows.dag.signature import Signature, Signatures
from workflows.dag.template_checks import Known, check_template
from workflows.dag.templates import Placed, ReadTemplate
from workflows.dag.user_schemas import check_schema
from workflows.dag.validation import validate_value

_RESERVED_ITEMS = (
    "input",
    "steps",
    "error",
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "bool",
    "bytes",
    "double",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
)
"""What CEL reserves: words, and the names of its types."""


class DefinitionCheck:
    """One check. Afterwards it knows what the plan is made of: the number and parents of each step, and their order."""

    def __init__(self, posted: Posted, catalogue: Catalogue, signatures: Signatures, findings: Findings) -> None:
        self._posted = posted
        self._signatures = signatures
        self._findings = findings
        self._results = Results(posted, catalogue, signatures)
        self._names = {service: list[str]() for service in dict.fromkeys(spec.service for spec in catalogue.values())}
        for spec in catalogue.values():
            self._names[spec.service].append(spec.name)
        self._ids = dict.fromkeys(posted.step_ids)
        self._inputs: dict[str, Schema] = {}
        self._input_schema: dict[str, Any] | None = None
        self.number: dict[str, int] = {}
        """Of each step by its id; of a duplicate id: the first."""
        for index, item in enumerate(posted.steps):
            self.number.setdefault(item.step.id, index)
        self.parents: list[list[int]] = []
        self._before: list[int] | None = None
        """Of each step those that have a value when it starts, as bits."""
        self.order: list[int] = []
        """Of all steps, parents first and those of `on_failure` last, when there is no cycle."""

    def run(self) -> None:
        """Collect every problem."""
        self._check_input_schema()
        self._check_ids()
        for item in self._posted.steps:
            self.parents.append(self._check_parents(item))
        for item in self._posted.steps:
            self._check_step(item)
        self._check_template(self._posted.output, "/output", Scope(), ANY)
        self._check_concurrency()
        self._check_cycles()

    def signature(self, workflow: str, version: int) -> Signature:
        """What others see of the definition; after `run` found nothing."""
        writer = SchemaWriter()
        output = self._posted.output
        node = self._results.of_template(output, Scope(), writer)
        known = self._results.known_in(output, Scope())
        if any(
            found is not None and found.optional and not (at and isinstance(at[-1], str)) for at, found in known.items()
        ):
            node = {"anyOf": [node, {"type": "null"}]}
        return Signature(workflow, version, self._input_schema, writer.document(node), self._calls())

    def _calls(self) -> dict[str, tuple[str, ...]]:
        calls: dict[str, tuple[str, ...]] = {}
        for item in self._posted.steps:
            if item.step.workflow is None:
                continue
            called = item.step.workflow
            calls.setdefault(called.id, (called.id,))
            signature = self._signatures.get((called.id, called.version))
            for further, way in (signature.calls if signature else {}).items():
                calls.setdefault(further, (called.id, *way))
        return calls

    def _check_input_schema(self) -> None:
        head = self._posted.head
        if head is None or head.input is None:
            return
        problems = check_schema(head.input, "/input")
        self._findings.extend(problems)
        if not problems:
            self._input_schema = head.input
            self._results.input = (Schema.of(head.input),)

    def _check_ids(self) -> None:
        for index, item in enumerate(self._posted.steps):
            first = self.number[item.step.id]
            if first != index:
                message = f"{item.step.id} is also the id of {self._posted.steps[first].pointer}"
                self._findings.add(
                    f"{item.pointer}/id", "duplicate-step-id", message, "give each step an id of its own"
                )
            if item.step.map is not None and (item.step.map.as_ in _RESERVED_ITEMS or item.step.map.as_ in self._ids):
                message = f"{item.step.map.as_} has a meaning of its own in references and expressions"
                self._findings.add(f"{item.pointer}/map/as", "reserved-id", message, "choose another name for the item")

    def _check_parents(self, item: PostedStep) -> list[int]:
        """Who comes before a step: those it depends on, and those it reads from."""
        for index, name in enumerate(item.step.depends_on):
            if name not in self._ids:
                self._unknown_step(name, f"{item.pointer}/depends_on/{index}")
            elif self._is_elsewhere(name, item):
                message = f"{name} is {'no step of' if item.handles_failure else 'a step of'} on_failure"
                self._findings.add(f"{item.pointer}/depends_on/{index}", "unknown-step", message)
        names = dict.fromkeys(item.step.depends_on)
        for pointer, template in item.templates():
            scope = self._scope(item, pointer)
            for placed in template.references:
                if placed.reference.source not in self._values(scope):
                    self._note_source(placed.reference.source, pointer + to_pointer(placed.at), item, names, scope)
        for pointer, expression in item.expressions():
            for chain in expression.chains:
                if chain.root == "steps":
                    name = str(chain.path[0]) if chain.path else str(chain.key)
                    self._note_source(name, pointer, item, names, self._scope(item, pointer))
        return [self.number[name] for name in names if name in self.number and not self._is_elsewhere(name, item)]

    @staticmethod
    def _values(scope: Scope) -> tuple[str | None, ...]:
        """What references name besides steps."""
        return ("input", scope.item, ERROR_SOURCE if scope.handles_failure else None)

    def _note_source(self, name: str, pointer: str, item: PostedStep, names: dict[str, None], scope: Scope) -> None:
        if name == item.step.id and scope.own is not Own.NOTHING:
            return
        if name == item.item and scope.item is None:
            message = f"{name} is the item of this map, whose list comes first"
            self._findings.add(pointer, "unknown-step", message)
        elif name == ERROR_SOURCE and item.handles_failure:
            self._findings.add(pointer, "unknown-step", "error is for references only: from:error")
        elif name in self._ids and self._is_elsewhere(name, item) and not item.handles_failure:
            message = f"{name} is a step of on_failure, which runs after all others"
            self._findings.add(pointer, "unknown-step", message)
        elif name in self._ids:
            names.setdefault(name)
        else:
            self._unknown_step(name, pointer)

    def _is_elsewhere(self, name: str, item: PostedStep) -> bool:
        """Whether two steps are in different graphs: the steps, and those of `on_failure`, which run after them."""
        return name in self.number and self._posted.steps[self.number[name]].handles_failure != item.handles_failure

    def _check_step(self, item: PostedStep) -> None:
        if item.kind is Kind.ACTION:
            self._check_action(item.step.service, item.step.action, item.pointer)
        elif item.kind is Kind.WORKFLOW:
            self._check_workflow(item)
        self._check_schemas(item)
        for pointer, template in item.templates():
            wanted = self._wanted(item, pointer)
            if wanted is not None:
                self._check_template(template, pointer, self._scope(item, pointer), wanted)
        self._check_instant(item)
        self._check_expressions(item)
        self._check_mock(item)
        self._check_compensation(item)

    @staticmethod
    def _scope(item: PostedStep, pointer: str) -> Scope:
        """What the names in a part of a step stand for."""
        part = pointer.removeprefix(item.pointer)
        own = Own.NOTHING
        if part in {"/while/condition", "/compensate/input"}:
            own = Own.RESULT
        elif item.condition is not None and part in {"/input", "/cache/key"}:
            own = Own.LAST_TURN
        return Scope(item, None if part == "/map/items" else item.item, own, handles_failure=item.handles_failure)

    def _check_instant(self, item: PostedStep) -> None:
        if item.until is None or item.until.references or not isinstance(item.until.skeleton, str):
            return
        try:
            at = datetime.fromisoformat(item.until.skeleton)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None or at.year not in _YEARS:
            message = f"{item.until.skeleton[:NAME_CHARACTERS]!r} is no instant with its offset"
            self._findings.add(f"{item.pointer}/wait/until", "type-mismatch", message, "write 2026-01-31T12:00:00Z")

    def _wanted(self, item: PostedStep, pointer: str) -> Schema | None:
        """What a template of a step is to become; None when that is a problem of its own."""
        if pointer == f"{item.pointer}/input":
            if item.kind is Kind.ACTION:
                return self._input_of(item.step.service, item.step.action)
            if item.kind is Kind.WORKFLOW and item.step.workflow is not None:
                called = item.step.workflow
                signature = self._signatures.get((called.id, called.version))
                return None if signature is None else Schema.of(signature.input_schema or {})
            return ANY
        if pointer == f"{item.pointer}/map/items":
            return _LIST
        return _INSTANT if pointer == f"{item.pointer}/wait/until" else ANY

    def _input_of(self, service: str | None, action: str | None) -> Schema | None:
        spec = self._results.spec(service, action)
        if spec is None:
            return None
        if spec.type not in self._inputs:
            self._inputs[spec.type] = Schema.of(spec.input_schema)
        return self._inputs[spec.type]

    def _check_action(self, service: str | None, action: str | None, pointer: str) -> None:
        if self._results.spec(service, action) is not None:
            return
        if service in self._names:
            message = f"{service} has no action {action}"
            self._unknown(f"{pointer}/action", "unknown-action", str(action), message, self._names[service])
        else:
            message = f"there is no service {service}"
            self._unknown(f"{pointer}/service", "unknown-service", str(service), message, list(self._names))

    def _unknown(self, pointer: str, code: str, name: str, message: str, known: list[str]) -> None:
        self._findings.add(pointer, code, message, self._findings.did_you_mean(name, known))

    def _check_workflow(self, item: PostedStep) -> None:
        called = item.step.workflow
        head = self._posted.head
        assert called is not None  # noqa: S101 - the step is of this kind
        own = None if head is None else head.id
        signature = self._signatures.get((called.id, called.version))
        way = (called.id,) if called.id == own else signature.calls.get(own or "") if signature else None
        if way is not None:
            names = [str(own), called.id, *way] if called.id != own else [called.id, called.id]
            message = f"these workflows run each other: {' → '.join(names)}"
            self._findings.add(f"{item.pointer}/workflow", "cycle", message, "take one of these steps out")
        elif signature is None:
            version = "" if called.version is None else f" with a version {called.version}"
            self._findings.add(
                f"{item.pointer}/workflow/id", "unknown-workflow", f"there is no workflow {called.id}{version}"
            )

    def _check_schemas(self, item: PostedStep) -> None:
        wait, approval = item.step.wait, item.step.approval
        for name, schema in (("wait", wait and wait.schema_), ("approval", approval and approval.schema_)):
            if schema is not None:
                self._findings.extend(check_schema(schema, f"{item.pointer}/{name}/schema"))

    def _unknown_step(self, name: str, pointer: str) -> None:
        suggestion = self._findings.did_you_mean(name, self._posted.step_ids)
        self._findings.add(pointer, "unknown-step", f"there is no step {name[:NAME_CHARACTERS]}", suggestion)

    def _check_template(self, template: ReadTemplate, pointer: str, scope: Scope, wanted: Schema) -> None:
        if template.references:
            known = {one.at: self._known(one, pointer + to_pointer(one.at), scope) for one in template.references}
            self._findings.extend(check_template(template, known, wanted, pointer))
        elif scope.step is not None and scope.step.kind is Kind.ACTION and pointer.endswith("/input"):
            spec = self._spec_at(scope.step, pointer)
            if spec is not None:
                self._check_literal(spec, template.skeleton, pointer)
        elif wanted is not ANY:
            self._findings.extend(validate_value(wanted.document.root, template.skeleton, pointer))

    def _spec_at(self, item: PostedStep, pointer: str) -> AnyAction | None:
        if pointer.endswith("/compensate/input") and item.step.compensate is not None:
            return self._results.spec(item.step.compensate.service, item.step.compensate.action)
        return self._results.spec(item.step.service, item.step.action)

    def _check_literal(self, spec: AnyAction, value: Any, pointer: str) -> None:
        if isinstance(spec, ForeignAction):
            self._findings.extend(validate_value(spec.input_schema, value, pointer))
            return
        try:
            spec.input.model_validate_json(to_json(value), strict=True)
        except ValidationError as error:
            add_errors(self._findings, error, value, pointer, spec.input)

    def _known(self, placed: Placed, pointer: str, scope: Scope) -> Known | None:
        """What is known of a reference's value; None, with a problem, when it can have none."""
        reference = placed.reference
        if scope.step is None and reference.source not in {"input", *self._ids}:
            self._unknown_step(reference.source, pointer)
            return None
        number = self.number.get(reference.source)
        if scope.step is None and number is not None and self._posted.steps[number].handles_failure:
            message = f"{reference.source} is a step of on_failure, which runs only where there is no output"
            self._findings.add(pointer, "unknown-step", message)
            return None
        found = self._results.known(reference.source, reference.read, scope)
        if isinstance(found, DeadEnd):
            self._dead_end(reference.source, reference.read.path, found, pointer)
            return None
        if found is None or reference.read.has_default:
            return found
        if why := self._results.may_be_missing(reference.source, scope):
            self._findings.add(pointer, "missing-field", why, "give a default: ?? …")
            return None
        return found

    def _dead_end(self, source: str, path: Path, end: DeadEnd, pointer: str) -> None:
        wrong = path[end.depth]
        message = f"{source}{format_path(path[: end.depth])} has no {format_path((wrong,))}"
        self._findings.add(pointer, "unknown-path", message, self._findings.did_you_mean(str(wrong), end.names))

    def _check_expressions(self, item: PostedStep) -> None:
        for pointer, expression in item.expressions():
            scope = self._scope(item, pointer)
            problems = check_expression(
                expression, pointer, scope, self._results, wants_list=pointer.endswith("/map/items")
            )
            self._findings.extend(problems)

    def _check_mock(self, item: PostedStep) -> None:
        if item.mock is None:
            return
        message = "a mock reads only the run's input and the item of a map: it may stand in for any step"
        if self._reads_others(item.mock, f"{item.pointer}/mock", ("input", item.item), message):
            return
        shape = self._results.turn(item)
        wanted = Schema.of(self._document(shape)) if shape is not None else ANY
        self._check_template(item.mock, f"{item.pointer}/mock", self._scope(item, f"{item.pointer}/mock"), wanted)

    def _reads_others(self, template: ReadTemplate, pointer: str, known: tuple[str | None, ...], message: str) -> bool:
        """Whether a template reads more than it may, each a problem."""
        others = [one for one in template.references if one.reference.source not in known]
        for one in others:
            self._findings.add(pointer + to_pointer(one.at), "unknown-step", message)
        return bool(others)

    @staticmethod
    def _document(shape: tuple[Schema, ...]) -> dict[str, Any]:
        writer = SchemaWriter()
        return writer.document(writer.of_shape(shape))

    def _check_compensation(self, item: PostedStep) -> None:
        undo = item.step.compensate
        if undo is None or item.compensation is None:
            return
        pointer = f"{item.pointer}/compensate"
        scope = self._scope(item, f"{pointer}/input")
        self._check_action(undo.service, undo.action, pointer)
        for one in item.compensation.references:
            self._check_undo_source(one, item, scope, f"{pointer}/input{to_pointer(one.at)}")
        wanted = self._input_of(undo.service, undo.action)
        if wanted is not None:
            self._check_template(item.compensation, f"{pointer}/input", scope, wanted)

    def _check_undo_source(self, placed: Placed, item: PostedStep, scope: Scope, pointer: str) -> None:
        """Of the other steps only those before a step have surely ended when it is undone."""
        source = placed.reference.source
        if source in {"input", item.item, item.step.id}:
            return
        if source not in self._ids:
            self._unknown_step(source, pointer)
        elif self._is_elsewhere(source, item):
            message = f"{source} is a step of on_failure, which runs after the compensations"
            self._findings.add(pointer, "unknown-step", message)
        elif placed.reference.read.has_default or source not in self.number:
            return
        elif not self._results.may_be_missing(source, scope) and not self._precedes(source, item):
            message = f"{source} may have no value when {item.step.id} is undone"
            self._findings.add(pointer, "missing-field", message, "give a default: ?? …")

    def _precedes(self, source: str, item: PostedStep) -> bool:
        """Whether a step must have had a value for another to start: it leads there through joins of all."""
        if self._before is None:
            order = graph.topological_order(self.parents)
            self._before = [0 if len(order) == len(self.parents) else -1] * len(self.parents)
            for number in order:
                for parent in self.parents[number]:
                    further = self._posted.steps[parent].step.join == "all" and self._before[parent]
                    self._before[number] |= 1 << parent | further
        return bool(self._before[self.number[item.step.id]] >> self.number[source] & 1)

    def _check_concurrency(self) -> None:
        key = self._posted.concurrency_key
        message = "the key of a run is known before its first step: it reads only the input"
        if not self._reads_others(key, "/concurrency/key", ("input",), message):
            self._check_template(key, "/concurrency/key", Scope(), ANY)

    def _check_cycles(self) -> None:
        order = graph.topological_order(self.parents)
        handlers = [number for number in order if self._posted.steps[number].handles_failure]
        self.order = [number for number in order if not self._posted.steps[number].handles_failure] + handlers
        for cycle in graph.cycles(self.parents) if len(self.order) < len(self.parents) else ():
            names = [self._posted.steps[number].step.id for number in [*cycle, cycle[0]]]
            message = f"these steps wait for each other: {' → '.join(names)}"
            pointer = self._posted.steps[cycle[0]].pointer
            self._findings.add(pointer, "cycle", message, "take one of these dependencies out")


_LIST = Schema.of({"type": "array"})
_INSTANT = Schema.of({"type": "string"})
_YEARS = range(1970, 9_999)
"""Of an instant somebody may wait for."""
