"""Whether a value of one schema can be used where another asks for one. The relation has three answers.

**It fits**: every value that is valid under the given schema is valid under the wanted one. That is proven keyword by
keyword (`inclusion`): types, listed values, bounds and lengths that are at least as narrow, the same pattern, the same
format, required fields, fields and items part by part, alternatives each on its own.

**It does not fit**, and a definition that wants it is refused. Said is why. It does not fit when

- the type is another (an integer is a number; a number is an integer only where all are whole; null fits only where
  null is allowed; a schema that speaks of properties or items and names no type means an object or a list),
- a listed value (`enum`, `const`) of the given side is not valid under the wanted one,
- a required field is missing or may be, a field has a value that does not fit, or is not known where only known fields
  are allowed, or the values of a map do not fit,
- an item of a list does not fit, by its place or as one of the rest,
- one of several given alternatives fits none of the wanted ones.

That is more than "no value fits": one that may be null is refused where null is not allowed, for it fails sooner or
later. What is proven to fit is never refused.

**It is not known**, and the step's own validation decides in the run: bounds, lengths, patterns and formats that the
given side does not promise, any text where the wanted side lists texts, fields that an open object does not declare,
whatever stands under a keyword nobody looks at here, and everything one side says nothing about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import Any

from workflows.dag.inclusion import always_fits
from workflows.dag.schemas import (
    MAX_DEPTH,
    Schema,
    Shape,
    accepted_by,
    branches,
    describe,
    is_whole,
    item_of,
    property_of,
    shown,
)


class Answer(StrEnum):
    """Whether values of a schema can be used somewhere."""

    FITS = "fits"
    MISMATCH = "mismatch"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fit:
    """An answer; of a mismatch with its reason."""

    answer: Answer
    reason: str | None = None


def fits(given: Shape, wanted: Schema) -> Fit:
    """Whether a value of shape `given` can be used where `wanted` is asked for."""
    if always_fits(given, wanted):
        return Fit(Answer.FITS)
    reason = _Comparison().mismatch(given, wanted, 0)
    return Fit(Answer.UNKNOWN) if reason is None else Fit(Answer.MISMATCH, reason)


def mismatch(given: Shape, wanted: Schema) -> str | None:
    """Why a value of shape `given` cannot be used where `wanted` is asked for; None when it fits or nobody knows."""
    reason = _Comparison().mismatch(given, wanted, 0)
    return None if reason is None or always_fits(given, wanted) else reason


class _Comparison:
    """One comparison. Recursive schemas meet again in it: a pair that is being compared, or was, counts as fitting."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[int, int], str | None] = {}

    def mismatch(self, given: Shape, wanted: Schema, depth: int) -> str | None:
        if depth > MAX_DEPTH:
            return None
        return next((reason for one in branches(given) if (reason := self._branch(one, given, wanted, depth))), None)

    def _branch(self, given: Schema, whole: Shape, wanted: Schema, depth: int) -> str | None:
        """Why one alternative of a whole fits none of the wanted ones."""
        if given.impossible:
            return None
        if (known := given.known_values()) is not None:
            there = [value for value in known if given.validates(value) and any(one.validates(value) for one in whole)]
            wrong = [value for value in there if not wanted.validates(value)]
            return f"{shown(wrong[0])} is not {describe((wanted,))}" if wrong else None
        pair = (id(given.node), id(wanted.node))
        if pair not in self._reasons:
            self._reasons[pair] = None
            self._reasons[pair] = self._fits_none(given, wanted, depth)
        return self._reasons[pair]

    def _fits_none(self, given: Schema, wanted: Schema, depth: int) -> str | None:
        reasons = [self._pair(given, other, depth) for other in wanted.branches()]
        if any(reason is None for reason in reasons):
            return None
        return reasons[0] if len(reasons) == 1 else f"{describe((given,))} is not {describe((wanted,))}"

    def _pair(self, given: Schema, wanted: Schema, depth: int) -> str | None:
        if wanted.impossible:
            return "nothing is allowed here"
        if not given.types or not wanted.types:
            return None
        kind = "integer" if given.types[0] == "number" and is_whole(given) else given.types[0]
        if not any(_may_be(kind, other, listed=wanted.known_values() is not None) for other in wanted.types):
            return f"{describe((given,))} is not {describe((wanted,))}"
        reasons: Iterator[str | None] = iter(())
        if given.types == ("object",):
            reasons = self._object(given, wanted, depth)
        elif given.types == ("array",):
            reasons = self._array(given, wanted, depth)
        return next((reason for reason in reasons if reason), None)

    def _object(self, given: Schema, wanted: Schema, depth: int) -> Iterator[str | None]:
        for name in wanted.get("required", ()):
            place = property_of(given, name)
            if place is None:
                yield f"its field {name} is missing"
            elif place.optional:
                yield f"its field {name} may be missing"
        properties: dict[str, Any] = given.get("properties", {})
        for name, node in properties.items():
            yield self._field(f"its field {name}", given.within(node), wanted, name, depth)
        extra = given.get("additionalProperties")
        if isinstance(extra, dict):
            for name in wanted.get("properties", {}):
                if name not in properties:
                    yield self._field(f"its field {name}", given.within(extra), wanted, name, depth)
            yield self._field("other fields", given.within(extra), wanted, None, depth)

    def _field(self, what: str, given: Schema, wanted: Schema, name: str | None, depth: int) -> str | None:
        """A field of a known name, or any other field of a map."""
        target = accepted_by(wanted, name)
        if target is None:
            return None if given.impossible else f"{what} would not be known there"
        reason = self.mismatch((given,), target, depth + 1)
        return reason and f"{what}: {reason}"

    def _array(self, given: Schema, wanted: Schema, depth: int) -> Iterator[str | None]:
        longest = given.get("maxItems", inf)
        described = max(len(given.get("prefixItems", ())), len(wanted.get("prefixItems", ())))
        for index in range(described):
            if index < longest:
                reason = self.mismatch((item_of(given, index),), item_of(wanted, index), depth + 1)
                yield reason and f"its item {index}: {reason}"
        if described < longest:
            reason = self.mismatch((item_of(given, None),), item_of(wanted, None), depth + 1)
            yield reason and f"its items: {reason}"


def _may_be(given: str, wanted: str, *, listed: bool) -> bool:
    """Whether a value of one type counts as one of another; against listed values, whether any can."""
    return (
        given == wanted
        or (given, wanted) == ("integer", "number")
        or (listed and given == "number" and wanted == "integer")
    )
