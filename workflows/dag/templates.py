"""Templates: JSON with references in it. Read once at creation, filled at run time."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from models.values import MISSING, Hole, Missing, Path, Value, put, select
from workflows.dag.findings import Findings
from workflows.dag.plan import Slot, Template
from workflows.dag.pointers import to_pointer
from workflows.dag.references import BadReferenceError, Reference, parse_template_string


@dataclass(frozen=True)
class Placed:
    """A reference and where it stands in its template."""

    at: Path
    reference: Reference


@dataclass(frozen=True)
class ReadTemplate:
    """A template with its references taken out."""

    skeleton: Any
    references: tuple[Placed, ...]

    def resolve(self, source_number: Callable[[str], int]) -> Template:
        """The compiled form, sources as numbers."""
        return Template(
            self.skeleton,
            tuple(Slot(one.at, source_number(one.reference.source), one.reference.read) for one in self.references),
        )


def read_template(template: Any, pointer: str, findings: Findings) -> ReadTemplate:
    """Take the references out of a template; those that can not be read become problems."""
    references: list[Placed] = []

    def take(value: Any, at: Path) -> Any:
        match value:
            case str():
                try:
                    parsed = parse_template_string(value)
                except BadReferenceError as error:
                    findings.add(pointer + to_pointer(at), "bad-expression", f"{error} in {value[:200]!r}")
                    return None
                if isinstance(parsed, str):
                    return parsed
                references.append(Placed(at, parsed))
                return None
            case dict():
                return {name: take(item, (*at, name)) for name, item in value.items()}
            case list():
                return [take(item, (*at, index)) for index, item in enumerate(value)]
            case _:
                return value

    skeleton = take(template, ())
    return ReadTemplate(skeleton, tuple(references))


def fill_template(template: Template, value_of: Callable[[int], Value | Missing]) -> Value:
    """Fill a template with the run's values. Raises MissingValueError where one is needed and missing."""
    if not template.slots:
        return Value(template.skeleton)
    document = deepcopy(template.skeleton)
    holes: list[Hole] = []
    for slot in template.slots:
        source = value_of(slot.source)
        found = _default(slot) if isinstance(source, Missing) else select(source, slot.read)
        if isinstance(found, Missing):
            document = put(document, slot.at, MISSING)
        else:
            document = put(document, slot.at, found.json)
            holes.extend(Hole((*slot.at, *hole.at), hole.stored, hole.reads) for hole in found.holes)
    return Value(document, tuple(holes))


def _default(slot: Slot) -> Value | Missing:
    return Value(slot.read.default) if slot.read.has_default else MISSING
