"""Everything that can be wrong with a definition whose parts can be read."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from models.actions import ActionSpec
from models.definition import StepDefinition
from models.values import Path
from workflows.dag import graph
from workflows.dag.findings import NAME_CHARACTERS, Findings
from workflows.dag.pointers import to_pointer
from workflows.dag.reading import Posted, PostedStep, add_errors
from workflows.dag.references import format_path
from workflows.dag.schemas import ANY, DeadEnd, Place, Schema, Shape, follow, without_null
from workflows.dag.template_checks import Known, check_template
from workflows.dag.templates import Placed, ReadTemplate
from workflows.dag.user_schemas import check_schema

Catalogue = Mapping[str, ActionSpec[Any, Any]]


class DefinitionCheck:
    """One check. Afterwards it knows what the plan is made of: the number and parents of each step, and their order."""

    def __init__(self, posted: Posted, catalogue: Catalogue, findings: Findings) -> None:
        self._posted = posted
        self._catalogue = catalogue
        self._findings = findings
        self._ids = dict.fromkeys(posted.step_ids)
        self._services = dict.fromkeys(spec.service for spec in catalogue.values())
        self._schemas: dict[str, tuple[Schema, Schema]] = {}
        self._places: dict[tuple[str, Path], Place | DeadEnd] = {}
        self._input: Shape = (ANY,)
        self.number: dict[str, int] = {}
        """Of each step by its id; of a duplicate id: the first."""
        for index, item in enumerate(posted.steps):
            self.number.setdefault(item.step.id, index)
        self.parents: list[list[int]] = []
        self.order: list[int] = []
        """Of all steps, parents first, when there is no cycle."""

    def run(self) -> None:
        """Collect every problem."""
        self._check_input_schema()
        self._check_ids()
        for item in self._posted.steps:
            spec = self._check_action(item)
            self.parents.append(self._check_parents(item))
            if spec is not None:
                self._check_input(item, spec)
        self._check_sources(self._posted.output, "/output")
        known = self._known_values(self._posted.output, "/output")
        self._findings.extend(check_template(self._posted.output, known, ANY, "/output"))
        self._check_cycles()

    def _check_input_schema(self) -> None:
        head = self._posted.head
        if head is None or head.input is None:
            return
        problems = check_schema(head.input, "/input")
        self._findings.extend(problems)
        if not problems:
            self._input = (Schema.of(head.input),)

    def _check_ids(self) -> None:
        for index, item in enumerate(self._posted.steps):
            first = self.number[item.step.id]
            if first != index:
                message = f"{item.step.id} is also the id of {self._posted.steps[first].pointer}"
                self._findings.add(
                    f"{item.pointer}/id", "duplicate-step-id", message, "give each step an id of its own"
                )

    def _check_action(self, item: PostedStep) -> ActionSpec[Any, Any] | None:
        step = item.step
        missing = [name for name in ("service", "action") if getattr(step, name) is None]
        if missing:
            for name in missing if item.runs_action else ():
                self._findings.add(f"{item.pointer}/{name}", "missing-field", f"the field {name!r} is missing")
            return None
        spec = self._spec(step)
        if spec is None and step.service in self._services:
            known = [one.name for one in self._catalogue.values() if one.service == step.service]
            self._unknown(item, "action", str(step.action), f"{step.service} has no action {step.action}", known)
        elif spec is None:
            self._unknown(
                item, "service", str(step.service), f"there is no service {step.service}", list(self._services)
            )
        return spec

    def _unknown(self, item: PostedStep, field: str, name: str, message: str, known: list[str]) -> None:
        suggestion = self._findings.did_you_mean(name, known)
        self._findings.add(f"{item.pointer}/{field}", f"unknown-{field}", message, suggestion)

    def _check_parents(self, item: PostedStep) -> list[int]:
        for index, name in enumerate(item.step.depends_on):
            if name not in self._ids:
                self._unknown_step(name, f"{item.pointer}/depends_on/{index}")
        self._check_sources(item.template, f"{item.pointer}/input")
        sources = [one.reference.source for one in item.template.references if one.reference.source != "input"]
        names = dict.fromkeys([*item.step.depends_on, *sources])
        return [self.number[name] for name in names if name in self.number]

    def _check_sources(self, template: ReadTemplate, pointer: str) -> None:
        for one in template.references:
            source = one.reference.source
            if source != "input" and source not in self._ids:
                self._unknown_step(source, pointer + to_pointer(one.at))

    def _unknown_step(self, name: str, pointer: str) -> None:
        suggestion = self._findings.did_you_mean(name, self._posted.step_ids)
        self._findings.add(pointer, "unknown-step", f"there is no step {name[:NAME_CHARACTERS]}", suggestion)

    def _check_input(self, item: PostedStep, spec: ActionSpec[Any, Any]) -> None:
        pointer = f"{item.pointer}/input"
        if item.template.references:
            known = self._known_values(item.template, pointer)
            self._findings.extend(check_template(item.template, known, self._schemas_of(spec)[0], pointer))
            return
        try:
            spec.input.model_validate_json(to_json(item.template.skeleton), strict=True)
        except ValidationError as error:
            add_errors(self._findings, error, item.template.skeleton, pointer, spec.input)

    def _known_values(self, template: ReadTemplate, pointer: str) -> dict[Path, Known | None]:
        return {one.at: self._known(one, pointer + to_pointer(one.at)) for one in template.references}

    def _known(self, placed: Placed, pointer: str) -> Known | None:
        """What is known of a reference's value; None, with a problem, when it can have none."""
        reference = placed.reference
        place = self._place(reference.source, reference.path)
        if place is None:
            return None
        if isinstance(place, DeadEnd):
            self._dead_end(placed, place, pointer)
            return None
        if reference.has_default:
            return Known((*without_null(place.shape), Schema.of({"const": reference.default})))
        if reference.source != "input" and self._step(reference.source).on_error == "continue":
            message = f"{reference.source} may fail and be passed over (on_error: continue); then it has no value"
            self._findings.add(pointer, "missing-field", message, "give a default: ?? …")
            return None
        return Known(place.shape, place.optional)

    def _place(self, source: str, path: Path) -> Place | DeadEnd | None:
        """Where a path into the input or into a step's result leads; None when the step itself is a problem."""
        spec = None
        if source != "input":
            spec = self._spec(self._step(source)) if source in self.number else None
            if spec is None:
                return None
        origin = "input" if spec is None else spec.type
        if (origin, path) not in self._places:
            shape = self._input if spec is None else (self._schemas_of(spec)[1],)
            self._places[origin, path] = follow(shape, path)
        return self._places[origin, path]

    def _dead_end(self, placed: Placed, end: DeadEnd, pointer: str) -> None:
        reference = placed.reference
        wrong = reference.path[end.depth]
        message = f"{reference.source}{format_path(reference.path[: end.depth])} has no {format_path((wrong,))}"
        self._findings.add(pointer, "unknown-path", message, self._findings.did_you_mean(str(wrong), end.names))

    def _check_cycles(self) -> None:
        self.order = graph.topological_order(self.parents)
        for cycle in graph.cycles(self.parents) if len(self.order) < len(self.parents) else ():
            names = [self._posted.steps[number].step.id for number in [*cycle, cycle[0]]]
            message = f"these steps wait for each other: {' → '.join(names)}"
            pointer = self._posted.steps[cycle[0]].pointer
            self._findings.add(pointer, "cycle", message, "take one of these dependencies out")

    def _step(self, step_id: str) -> StepDefinition:
        return self._posted.steps[self.number[step_id]].step

    def _spec(self, step: StepDefinition) -> ActionSpec[Any, Any] | None:
        return self._catalogue.get(f"{step.service}.{step.action}")

    def _schemas_of(self, spec: ActionSpec[Any, Any]) -> tuple[Schema, Schema]:
        """What is known of an action's input and of its result."""
        if spec.type not in self._schemas:
            self._schemas[spec.type] = Schema.of(spec.input_schema), Schema.of(spec.result_schema)
        return self._schemas[spec.type]
