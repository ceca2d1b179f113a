"""What a report makes of its figures: rules with stated thresholds, which the report prints beside what they found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

FactsT = TypeVar("FactsT")
FiguresT = TypeVar("FiguresT")


@dataclass(frozen=True)
class Observation:
    """One strength or risk. `place` is a path, with `:line` where it has one."""

    kind: Literal["strength", "risk"]
    rule: str
    title: str
    text: str
    place: str | None = None


@dataclass(frozen=True)
class Rule(Generic[FactsT, FiguresT]):
    """A rule as the report states it, and as it is applied to what is known and what was derived from it."""

    words: str
    apply: Callable[[FactsT, FiguresT], Observation | None]


def apply_rules(rules: Sequence[Rule[FactsT, FiguresT]], facts: FactsT, figures: FiguresT) -> tuple[Observation, ...]:
    """All observations, risks first, each kind in the order of the rules."""
    found = [observation for rule in rules if (observation := rule.apply(facts, figures)) is not None]
    return tuple(sorted(found, key=lambda observation: observation.kind))


@dataclass(frozen=True)
class Voice:
    """What a report calls its observations."""

    heading: str
    strength: str
    risk: str
