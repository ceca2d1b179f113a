"""Whether a value of one schema can be used where another asks for one. The relation is gradual.

`mismatch` compares what can be compared by looking:

- types (an integer is a number; null fits only where null is allowed),
- listed values (`enum`, `const`) of the given side against everything the wanted side says,
- objects: required fields, the fields both know, fields the wanted side does not allow, values of maps,
- lists: item by item, then the rest,
- alternatives: each given one must fit one of the wanted ones.

It leaves to run time what takes the value: bounds, lengths, patterns and formats, a type where the wanted side lists
values, fields an open object does not declare, and everything one side says nothing about.
"""

from collections.abc import Iterator
from typing import Any

from workflows.dag.schemas import MAX_DEPTH, Schema, Shape, accepted_by, branches, describe, item_of, property_of, shown


def mismatch(given: Shape, wanted: Schema) -> str | None:
    """Why a value of shape `given` cannot be used where `wanted` is asked for; None when it can."""
    return _Comparison().mismatch(given, wanted, 0)


class _Comparison:
    """One comparison. Recursive schemas meet again in it: a pair that is being compared, or was, counts as fitting."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[int, int], str | None] = {}

    def mismatch(self, given: Shape, wanted: Schema, depth: int) -> str | None:
        if depth > MAX_DEPTH:
            return None
        return next((reason for one in branches(given) if (reason := self._branch(one, wanted, depth))), None)

    def _branch(self, given: Schema, wanted: Schema, depth: int) -> str | None:
        """Why one alternative fits none of the wanted ones."""
        if given.impossible:
            return None
        if (known := given.known_values()) is not None:
            wrong = [value for value in known if not wanted.validates(value) and given.validates(value)]
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
        if not any(_may_be(given.types[0], kind, listed=wanted.known_values() is not None) for kind in wanted.types):
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
        for index in range(max(len(given.get("prefixItems", ())), len(wanted.get("prefixItems", ())))):
            reason = self.mismatch((item_of(given, index),), item_of(wanted, index), depth + 1)
            yield reason and f"its item {index}: {reason}"
        reason = self.mismatch((item_of(given, None),), item_of(wanted, None), depth + 1)
        yield reason and f"its items: {reason}"


def _may_be(given: str, wanted: str, *, listed: bool) -> bool:
    """Whether a value of one type counts as one of another; against listed values, whether any can."""
    return (
        given == wanted
        or (given, wanted) == ("integer", "number")
        or (listed and given == "number" and wanted == "integer")
    )
