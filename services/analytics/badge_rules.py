"""Evaluating badge rules over a learner's events in their order. Pure.

What a rule has seen so far is a small JSON value, so that the next event continues where the last one ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from models.badges import Aggregate, Badge, Filter, Operator
from services.analytics.activities import SECOND, Activity, day_of

Seen = Any
"""What a rule has seen of a learner: JSON."""
Predicate = Callable[[Activity], bool]
_ZONES_APART = 2
"""Local days that the next event may lie before the last one: learners travel."""


@dataclass(frozen=True, slots=True)
class BadgeRule:
    """A badge's rule, ready to be evaluated."""

    badge: Badge
    id: str
    target: float
    """What `current` has to reach."""
    repeatable: bool
    kinds: frozenset[str]
    predicates: tuple[Predicate, ...]
    step: Callable[[Seen, Activity], tuple[Seen, float]]
    """What has been seen with one more event, and how far that is; the same object when the event changes nothing."""

    def matches(self, event: Activity) -> bool:
        """Whether the event counts."""
        if self.kinds and event.kind not in self.kinds:
            return False
        for counts in self.predicates:  # noqa: SIM110 - `all` with a generator takes three times as long
            if not counts(event):
                return False
        return True


class Rules:
    """All badges, with those that an event of a kind may count for."""

    def __init__(self, badges: Iterable[Badge]) -> None:
        self.all: Sequence[BadgeRule] = tuple(compile_rule(badge) for badge in badges)
        self.version = max((rule.badge.version for rule in self.all), default=0)
        self.by_id: Mapping[str, BadgeRule] = {rule.id: rule for rule in self.all}
        self._by_kind: dict[str, tuple[BadgeRule, ...]] = {}

    def of_kind(self, kind: str) -> tuple[BadgeRule, ...]:
        """Rules that events of this kind may count for."""
        known = self._by_kind.get(kind)
        if known is None:
            known = tuple(rule for rule in self.all if not rule.kinds or kind in rule.kinds)
            if len(self._by_kind) < 1_000:  # noqa: PLR2004 - kinds are what people send: remembered, but not for ever
                self._by_kind[kind] = known
        return known


def compile_rule(badge: Badge) -> BadgeRule:
    """A badge's rule, ready to be evaluated."""
    rule = badge.rule
    value = None if rule.field is None else _reader(rule.field)
    match rule.aggregate:
        case Aggregate.COUNT | Aggregate.FIRST:
            step = _count
        case Aggregate.DISTINCT:
            assert value is not None  # noqa: S101 - the model asks for it
            step = _distinct(value)
        case Aggregate.MAX:
            assert value is not None  # noqa: S101 - the same
            step = _largest(value)
        case Aggregate.STREAK:
            step = _streak
        case Aggregate.SLIDING:
            step = _sliding(round((rule.window_seconds or 0) * SECOND), int(rule.threshold))
    return BadgeRule(
        badge=badge,
        id=badge.id,
        target=rule.threshold,
        repeatable=badge.repeatable,
        kinds=frozenset(rule.kinds),
        predicates=tuple(map(_predicate, rule.where)),
        step=step,
    )


def current(rule: BadgeRule, seen: Seen) -> float:
    """How far a rule has come, given what it has seen; None is nothing."""
    if seen is None:
        return 0
    match rule.badge.rule.aggregate:
        case Aggregate.DISTINCT:
            return len(seen)
        case Aggregate.STREAK | Aggregate.SLIDING:
            return seen["best"]
        case _:
            return seen


def _count(seen: Seen, _: Activity) -> tuple[Seen, float]:
    count = (seen or 0) + 1
    return count, count


def _distinct(value: Callable[[Activity], Any]) -> Callable[[Seen, Activity], tuple[Seen, float]]:
    def step(seen: Seen, event: Activity) -> tuple[Seen, float]:
        values: list[Any] = seen or []
        found = value(event)
        if found is None or any(found == one and isinstance(found, bool) == isinstance(one, bool) for one in values):
            return seen, len(values)
        return [*values, found], len(values) + 1

    return step


def _largest(value: Callable[[Activity], Any]) -> Callable[[Seen, Activity], tuple[Seen, float]]:
    def step(seen: Seen, event: Activity) -> tuple[Seen, float]:
        found = value(event)
        if not isinstance(found, (int, float)) or isinstance(found, bool):
            return seen, seen or 0
        largest = found if seen is None else max(seen, found)
        return largest, largest

    return step


def _streak(seen: Seen, event: Activity) -> tuple[Seen, float]:
    """Runs of days that a later event may still join, and the longest of all."""
    day = event.day
    runs: list[list[int]] = seen["runs"] if seen else []
    if runs and runs[-1][0] <= day <= runs[-1][1]:
        return seen, seen["best"]
    runs = _with_day(runs, day)
    latest = max(end for _, end in runs)
    best = max([seen["best"] if seen else 0, *(end - start + 1 for start, end in runs)])
    return {"runs": [run for run in runs if run[1] >= latest - _ZONES_APART - 1], "best": best}, best


def _with_day(runs: Sequence[Sequence[int]], day: int) -> list[list[int]]:
    start = end = day
    apart: list[list[int]] = []
    for first, last in runs:
        if last < start - 1 or first > end + 1:
            apart.append([first, last])
        else:
            start, end = min(start, first), max(end, last)
    return sorted([*apart, [start, end]])


def _sliding(window: int, most: int) -> Callable[[Seen, Activity], tuple[Seen, float]]:
    def step(seen: Seen, event: Activity) -> tuple[Seen, float]:
        times = [at for at in (seen["times"] if seen else ()) if at >= event.at - window]
        times = [*times, event.at][-most:]
        best = max(seen["best"] if seen else 0, len(times))
        return {"times": times, "best": best}, best

    return step


def _predicate(where: Filter) -> Predicate:
    read = _reader(where.field)
    compare = _COMPARISONS[where.op]
    value = where.value
    return lambda event: compare(read(event), value)


def _reader(field: str) -> Callable[[Activity], Any]:
    if field.startswith("data."):
        name = field.removeprefix("data.")
        return lambda event: _plain(event.data.get(name))
    return _DERIVED[field]


def _plain(value: Any) -> Any:
    return None if isinstance(value, (list, dict)) else value


def _elapsed_seconds(event: Activity) -> float | None:
    """From `data.started_at`, which is kept in microseconds."""
    started = event.data.get("started_at")
    return (event.at - started) / SECOND if isinstance(started, int) else None


def _local_time(event: Activity) -> str:
    return str(timedelta(seconds=event.local_second)).rjust(8, "0")


_DERIVED: dict[str, Callable[[Activity], Any]] = {
    "elapsed_seconds": _elapsed_seconds,
    "local_time": _local_time,
    "local_date": lambda event: day_of(event.day).isoformat(),
    "weekday": lambda event: day_of(event.day).isoweekday(),
}


def _comparable(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    return any(isinstance(left, kind) and isinstance(right, kind) for kind in ((int, float), str))


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def _between(value: Any, bounds: Any) -> bool:
    first, before = bounds
    if not (_comparable(value, first) and _comparable(value, before)):
        return False
    return first <= value < before if first <= before else value >= first or value < before


_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: _equal,
    Operator.NE: lambda left, right: left is not None and not _equal(left, right),
    Operator.LT: lambda left, right: _comparable(left, right) and left < right,
    Operator.LE: lambda left, right: _comparable(left, right) and left <= right,
    Operator.GT: lambda left, right: _comparable(left, right) and left > right,
    Operator.GE: lambda left, right: _comparable(left, right) and left >= right,
    Operator.IN: lambda left, right: any(_equal(left, one) for one in right),
    Operator.BETWEEN: _between,
}
