"""Holding a template against the schema of what it is to become, before any of its references has a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import Problem
from models.values import Path
from workflows.dag.compatibility import mismatch
from workflows.dag.findings import NAME_CHARACTERS
from workflows.dag.pointers import to_pointer
from workflows.dag.schemas import Schema, Shape, accepted_by, describe, item_of, shown
from workflows.dag.templates import ReadTemplate


@dataclass(frozen=True)
class Known:
    """What is known of the value a reference stands for."""

    shape: Shape
    optional: bool = False


def check_template(
    template: ReadTemplate, known: Mapping[Path, Known | None], wanted: Schema, pointer: str
) -> list[Problem]:
    """Problems of a template that is to become a value of `wanted`.

    `known` says for each place of a reference what it stands for: None where the reference is itself a problem.
    """
    return _TemplateCheck(template, known, pointer).check(template.skeleton, (), wanted, needed=True)


class _TemplateCheck:
    def __init__(self, template: ReadTemplate, known: Mapping[Path, Known | None], pointer: str) -> None:
        self._known = known
        self._pointer = pointer
        self._above = dict.fromkeys(one.at[:end] for one in template.references for end in range(len(one.at)))

    def check(self, value: Any, at: Path, wanted: Schema, *, needed: bool) -> list[Problem]:
        """Problems of one value of the template; `needed`: its place can not be left out."""
        if at in self._known:
            known = self._known[at]
            return [] if known is None else self._reference(known, at, wanted, needed=needed)
        if at in self._above:
            return self._container(value, at, wanted)
        if wanted.validates(value):
            return []
        return [self._problem(at, "type-mismatch", f"{shown(value)} is not {describe((wanted,))}")]

    def _reference(self, known: Known, at: Path, wanted: Schema, *, needed: bool) -> list[Problem]:
        problems: list[Problem] = []
        if known.optional and needed:
            message = "the value may be missing and this place needs one"
            problems.append(self._problem(at, "missing-field", message, "give a default: ?? …"))
        if reason := mismatch(known.shape, wanted):
            problems.append(self._problem(at, "type-mismatch", reason))
        return problems

    def _container(self, value: Any, at: Path, wanted: Schema) -> list[Problem]:
        """The problems under the alternative that has the fewest."""
        kind = "object" if isinstance(value, dict) else "array"
        fitting = [one for one in wanted.branches() if not one.impossible and (not one.types or kind in one.types)]
        if not fitting:
            return [self._problem(at, "type-mismatch", f"{kind} is not {describe((wanted,))}")]
        check = self._object if kind == "object" else self._array
        return min((check(value, at, branch) for branch in fitting), key=len)

    def _object(self, value: Any, at: Path, wanted: Schema) -> list[Problem]:
        required = wanted.get("required", ())
        problems = [
            self._problem((*at, name), "missing-field", f"the field {name!r} is missing")
            for name in required
            if name not in value
        ]
        for name, item in value.items():
            place = (*at, name)
            if (target := accepted_by(wanted, name)) is not None:
                problems.extend(self.check(item, place, target, needed=name in required))
            else:
                names = ", ".join(wanted.get("properties", {}))
                suggestion = f"there is {names}" if names else None
                message = f"the field {name[:NAME_CHARACTERS]!r} is not known here"
                problems.append(self._problem(place, "unknown-field", message, suggestion))
        return problems

    def _array(self, value: Any, at: Path, wanted: Schema) -> list[Problem]:
        return [
            problem
            for index, item in enumerate(value)
            for problem in self.check(item, (*at, index), item_of(wanted, index), needed=True)
        ]

    def _problem(self, at: Path, code: str, message: str, suggestion: str | None = None) -> Problem:
        return Problem(pointer=self._pointer + to_pointer(at), code=code, message=message, suggestion=suggestion)
