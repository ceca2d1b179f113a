"""Templates: JSON with references in it. Read once at creation, filled at run time."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from models.values import Hole, Path, StoredValue, put, read
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
        return Template(self.skeleton, tuple(_slot(one, source_number) for one in self.references))


def _slot(placed: Placed, source_number: Callable[[str], int]) -> Slot:
    one = placed.reference
    return Slot(placed.at, source_number(one.source), one.path, one.has_default, one.default)


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


@dataclass(frozen=True)
class Filled:
    """A template's value, but for the holes only a worker can fill."""

    value: Any
    holes: tuple[Hole, ...]


def fill_template(template: Template, value_of: Callable[[int], Any]) -> Filled:
    """Fill a template with the run's values. Raises MissingValueError where one is needed and missing."""
    if not template.slots:
        return Filled(template.skeleton, ())
    document = deepcopy(template.skeleton)
    holes: list[Hole] = []
    for slot in template.slots:
        value = value_of(slot.source)
        if isinstance(value, StoredValue):
            holes.append(Hole(slot.at, value, slot.path, slot.has_default, slot.default))
            continue
        found = read(value, slot.path, has_default=slot.has_default, default=slot.default)
        document = put(document, slot.at, found)
    return Filled(document, tuple(holes))
