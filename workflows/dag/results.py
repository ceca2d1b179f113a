"""What is known of a step's result before it runs, and of what the names in a definition stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from models.actions import AnyAction
from models.values import Path, Read
from workflows.dag.publish import SchemaWriter
from workflows.dag.reading import ERROR_SOURCE, Kind, Posted, PostedStep
from workflows.dag.schemas import ANY, DeadEnd, Place, Schema, Shape, branches, follow, item_of, without_null
from workflows.dag.signature import Signatures
from workflows.dag.template_checks import Known
from workflows.dag.templates import Placed, ReadTemplate

Catalogue = Mapping[str, AnyAction]

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
WAITED = {
    "type": "object",
    "properties": {"until": _INSTANT},
    "required": ["until"],
    "additionalProperties": False,
}
"""What a wait for a duration or an instant gives."""
STARTED = {
    "type": "object",
    "properties": {"run_id": _TEXT, "workflow": _TEXT, "version": {"type": "integer"}},
    "required": ["run_id", "workflow", "version"],
    "additionalProperties": False,
}
"""What a workflow gives that is not waited for."""
FAILURE = {
    "type": "object",
    "properties": {
        "step": {"type": ["string", "null"]},
        "code": _TEXT,
        "message": _TEXT,
        "attempt": {"type": ["integer", "null"]},
    },
    "required": ["step", "code", "message", "attempt"],
    "additionalProperties": False,
}
"""What the steps of `on_failure` know as `error`."""


def answered(data: Any, *, timed_out: bool) -> dict[str, Any]:
    """What an approval gives: the answer, and the data that came with it."""
    decisions = ["approved", "timed_out"] if timed_out else ["approved"]
    nobody = {"type": ["string", "null"]} if timed_out else _TEXT
    fields: dict[str, Any] = {
        "decision": {"enum": decisions},
        "by": nobody,
        "at": _INSTANT,
        "comment": {"type": ["string", "null"]},
        "data": data,
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


class Own(StrEnum):
    """What a step's own name stands for in a part of it."""

    NOTHING = "nothing"
    LAST_TURN = "last turn"
    """What the turn before gave: in the input of a step with `while`."""
    RESULT = "result"
    """What the step has just given: in its `while` condition and in its compensation."""


@dataclass(frozen=True)
class Scope:
    """Who asks what a name stands for."""

    step: PostedStep | None = None
    """None: the definition's output."""
    item: str | None = None
    """The name that stands for the item of the step's map."""
    own: Own = Own.NOTHING
    """What the step's own name stands for."""
    handles_failure: bool = False


class Results:
    """Results of the steps of one definition, each worked out once."""

    def __init__(self, posted: Posted, catalogue: Catalogue, signatures: Signatures) -> None:
        self._posted = posted
        self._catalogue = catalogue
        self._signatures = signatures
        self._steps: dict[str, PostedStep] = {}
        for item in posted.steps:
            self._steps.setdefault(item.step.id, item)
        self._shapes: dict[str, Shape | None] = {}
        self._places: dict[tuple[str, Path], Place | DeadEnd] = {}
        self._actions: dict[str, Schema] = {}
        self._has_conditions = any(item.when is not None for item in posted.steps)
        self.input: Shape = (ANY,)

    def spec(self, service: str | None, action: str | None) -> AnyAction | None:
        """An action of the catalogue."""
        return self._catalogue.get(f"{service}.{action}")

    def of_step(self, step_id: str) -> Shape | None:
        """What a step gives; None when the step itself is a problem."""
        if step_id not in self._shapes:
            self._shapes[step_id] = None  # whoever asks on the way there is in a cycle, which is a problem of its own
            item = self._steps.get(step_id)
            self._shapes[step_id] = None if item is None else self._result(item)
        return self._shapes[step_id]

    def turn(self, item: PostedStep) -> Shape | None:
        """What one turn of a step gives: an item of its map, or the whole of a step without."""
        match item.kind:
            case Kind.ACTION:
                spec = self.spec(item.step.service, item.step.action)
                return None if spec is None else (self._action(spec),)
            case Kind.SWITCH:
                return self._switch(item)
            case Kind.WORKFLOW:
                return self._workflow(item)
            case Kind.WAIT:
                return self._wait(item)
            case Kind.APPROVAL:
                return self._approval(item)
            case None:
                return None

    def item(self, item: PostedStep) -> Shape | None:
        """What one item of a step's map is; None when its list is a problem."""
        if not isinstance(item.items, ReadTemplate):
            return (ANY,)
        if item.items.references:
            (placed, *others) = item.items.references
            if others or placed.at:
                return (ANY,)
            known = self.known(placed.reference.source, placed.reference.read, Scope(item))
            if known is None or isinstance(known, DeadEnd):
                return None
            lists = [one for one in branches(known.shape) if "array" in one.types or not one.types]
            return tuple(item_of(one, None) if one.types else ANY for one in lists) or None
        skeleton = item.items.skeleton
        return (Schema.of({"enum": skeleton}),) if isinstance(skeleton, list) and skeleton else (ANY,)

    def known(self, source: str, read: Read, scope: Scope) -> Known | DeadEnd | None:
        """What is known of a reference's value; None when its source is a problem."""
        place = self.place(source, read.path, scope)
        if place is None or isinstance(place, DeadEnd):
            return place
        if read.has_default:
            return Known((*without_null(place.shape), Schema.of({"const": read.default})))
        return Known(place.shape, place.optional)

    def place(self, source: str, path: Path, scope: Scope) -> Place | DeadEnd | None:
        """Where a path behind a name leads; None when the name is a problem."""
        if source == scope.item and scope.step is not None:
            shape = self.item(scope.step)
            return None if shape is None else follow(shape, path)
        origin = source
        if source == "input":
            shape = self.input
        elif source == ERROR_SOURCE and scope.handles_failure:
            shape = (Schema.of(FAILURE),)
        elif scope.own is not Own.NOTHING and scope.step is not None and source == scope.step.step.id:
            origin, shape = f"{source}\0", self.turn(scope.step)
        else:
            shape = self.of_step(source)
        if shape is None:
            return None
        if (origin, path) not in self._places:
            self._places[origin, path] = follow(shape, path)
        return self._places[origin, path]

    def may_be_missing(self, source: str, scope: Scope) -> str | None:
        """Why a step may have no value when another reads it, or None."""
        item = self._steps.get(source)
        reader = scope.step
        if item is None:
            return None
        if reader is not None and source == reader.step.id:
            return f"{source} has no value in its first turn" if scope.own is Own.LAST_TURN else None
        if item.step.on_error == "continue":
            return f"{source} may fail and be passed over (on_error: continue); then it has no value"
        if scope.handles_failure and not item.handles_failure:
            return f"{source} may not have been reached when the run failed"
        return None if reader is None else self._missing_by_join(reader, item)

    def _missing_by_join(self, reader: PostedStep, item: PostedStep) -> str | None:
        """Why a step may start while another has no value, by how it joins, or None."""
        join = reader.step.join
        if join in {"any", "all_done"}:
            return f"with join: {join} this step may start while {item.step.id} has no value"
        if join == "none_failed" and item.when is not None and not self.decides_per_item(item):
            return f"{item.step.id} may be skipped by its condition; then it has no value"
        return None

    @staticmethod
    def decides_per_item(item: PostedStep) -> bool:
        """Whether the condition of a step with a map speaks of the item: then it decides for each."""
        return (
            item.item is not None
            and item.when is not None
            and any(chain.root == item.item for chain in item.when.chains)
        )

    def of_template(self, template: ReadTemplate, scope: Scope, writer: SchemaWriter) -> Any:
        """The schema of what a template becomes."""
        return writer.of_template(template, self.known_in(template, scope))

    def known_in(self, template: ReadTemplate, scope: Scope) -> dict[Path, Known | None]:
        """What is known of each reference of a template."""
        return {one.at: self._known_there(one, scope) for one in template.references}

    def _known_there(self, placed: Placed, scope: Scope) -> Known | None:
        reference = placed.reference
        found = self.known(reference.source, reference.read, scope)
        if found is None or isinstance(found, DeadEnd):
            return None
        skipped = scope.step is None and self._has_conditions and reference.source in self._steps
        return Known(found.shape, optional=True) if skipped and not reference.read.has_default else found

    def _result(self, item: PostedStep) -> Shape | None:
        shape = self.turn(item)
        if shape is None or item.item is None:
            return shape
        writer = SchemaWriter()
        node = writer.of_shape(shape)
        options = item.step.map
        if (options is not None and options.on_error == "continue") or self.decides_per_item(item):
            node = {"anyOf": [node, {"type": "null"}]}
        return (Schema.of(writer.document({"type": "array", "items": node})),)

    def _action(self, spec: AnyAction) -> Schema:
        if spec.type not in self._actions:
            self._actions[spec.type] = Schema.of(spec.result_schema)
        return self._actions[spec.type]

    def _switch(self, item: PostedStep) -> Shape | None:
        writer = SchemaWriter()
        scope = Scope(item, item.item)
        nodes = [self.of_template(case.value, scope, writer) for case in item.cases]
        if all(case.when is not None for case in item.cases):
            nodes.append({"type": "null"})
        return (Schema.of(writer.document({"anyOf": nodes})),)

    def _workflow(self, item: PostedStep) -> Shape | None:
        called = item.step.workflow
        if called is None:
            return None
        signature = self._signatures.get((called.id, called.version))
        if signature is None:
            return None
        return (Schema.of(signature.output_schema if called.wait else STARTED),)

    @staticmethod
    def _wait(item: PostedStep) -> Shape:
        wait = item.step.wait
        if wait is None or wait.signal is None:
            return (Schema.of(WAITED),)
        return (ANY if wait.schema_ is None else Schema.of(wait.schema_),)

    def _approval(self, item: PostedStep) -> Shape:
        approval = item.step.approval
        assert approval is not None  # noqa: S101 - the step is of this kind
        writer = SchemaWriter()
        goes_on = approval.on_timeout == "continue" and approval.timeout is not None
        data: Any = {} if approval.schema_ is None else writer.of_document(approval.schema_)
        if goes_on:
            data = {"anyOf": [data, {"type": "null"}]}
        return (Schema.of(writer.document(answered(data, timed_out=goes_on))),)
