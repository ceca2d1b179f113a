"""A plan: the compiled form of a definition. Immutable, JSON-able, and all the engine needs to run."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from models.actions import Retry, Timeout
from models.values import WHOLE, Path, Read

INPUT = -1
"""Source that is the run's input; sources from 0 are node numbers."""
ITEM = -2
"""Source that is the item of a map's turn."""
ERROR = -3
"""Source that is the failure of the run, for the steps of `on_failure`."""


@dataclass(frozen=True)
class Slot:
    """A place in a template that a value of the run fills."""

    at: Path
    """Where in the template; empty: the whole."""
    source: int
    read: Read = WHOLE


@dataclass(frozen=True)
class Template:
    """JSON with null where slots are filled."""

    skeleton: Any = None
    slots: tuple[Slot, ...] = ()

    @cached_property
    def weight(self) -> int:
        """How long it takes to fill, as a multiple of what it takes to evaluate a condition."""
        return 1 + len(to_json(self.skeleton)) // 4_096 + len(self.slots) // 16


@dataclass(frozen=True)
class Use:
    """What an expression reads of one source."""

    source: int
    variable: Path
    """Under which name the expression knows the source: `("input",)`, `("steps", "load")`, `("item",)`."""
    path: Path
    """Names only: what stands in a list is read with the whole list."""


@dataclass(frozen=True)
class Expression:
    """A CEL expression and what of the run it reads."""

    text: str
    uses: tuple[Use, ...] = ()
    item: str = "item"
    """The name that the item of a map has in it."""


class Join(StrEnum):
    """When a step may start, by how its parents ended."""

    ALL = "all"
    ANY = "any"
    NONE_FAILED = "none_failed"
    ALL_DONE = "all_done"


@dataclass(frozen=True)
class Action:
    """The action a step calls."""

    type: str
    queue: str
    retry: Retry
    timeout: Timeout
    touches_nothing: bool = False
    """It runs in a dry run too."""
    result: Any = None
    """JSON Schema its result is held against; of foreign actions, whose workers nobody here has written."""
    foreign: bool = False


@dataclass(frozen=True)
class Case:
    """One case of a switch; without a condition it always holds."""

    value: Template
    when: Expression | None = None


@dataclass(frozen=True)
class SubRun:
    """A run of another definition as a step."""

    workflow: str
    version: int
    wait: bool


@dataclass(frozen=True)
class Pause:
    """A wait: for a duration in seconds, until an instant, or for a signal."""

    seconds: float | None = None
    until: Template | None = None
    signal: str | None = None
    schema: Any = None
    timeout: float | None = None


@dataclass(frozen=True)
class Question:
    """An approval."""

    roles: tuple[str, ...]
    schema: Any = None
    allow_requester: bool = False
    timeout: float | None = None
    goes_on: bool = False
    """A time-out is an answer, and no failure."""


@dataclass(frozen=True)
class Each:
    """One turn of a step per item."""

    items: Template | Expression
    max_parallel: int | None = None
    goes_on: bool = False
    """A failed item is null, and no failure of the step."""
    when: Expression | None = None
    """Decides per item."""


@dataclass(frozen=True)
class Loop:
    """Turns of a step as long as the condition holds, which is evaluated after each."""

    condition: Expression
    max: int


@dataclass(frozen=True)
class Compensation:
    """What undoes a step that has succeeded."""

    action: Action
    template: Template


@dataclass(frozen=True)
class Cache:
    """A result used again for the same key, by the same user, for `ttl` seconds."""

    key: Template
    ttl: float


@dataclass(frozen=True)
class Node:
    """One step. Its number is its place in topological order.

    It has exactly one of `action`, `cases`, `run`, `pause` and `question`.
    """

    id: str
    parents: tuple[int, ...]
    children: tuple[int, ...]
    template: Template = Template()
    action: Action | None = None
    cases: tuple[Case, ...] | None = None
    run: SubRun | None = None
    pause: Pause | None = None
    question: Question | None = None
    join: Join = Join.ALL
    when: Expression | None = None
    each: Each | None = None
    loop: Loop | None = None
    continue_on_error: bool = False
    compensation: Compensation | None = None
    cache: Cache | None = None
    priority: int | None = None
    mock: Template | None = None
    """Its result in a dry run."""
    summary: str = ""

    @property
    def is_mocked(self) -> bool:
        """Whether a dry run only plays it: it touches more than the run itself."""
        if self.action is not None:
            return not self.action.touches_nothing
        return self.run is not None or self.question is not None or (self.pause is not None and bool(self.pause.signal))

    @property
    def sources(self) -> tuple[int, ...]:
        """Numbers of the nodes whose values it reads."""
        read: list[Slot | Use] = []
        for template in (self.template, *(case.value for case in self.cases or ()), self.pause and self.pause.until):
            read.extend(template.slots if template else ())
        for expression in (self.when, *(case.when for case in self.cases or ()), self.loop and self.loop.condition):
            read.extend(expression.uses if expression else ())
        if self.each is not None:
            read.extend(self.each.items.slots if isinstance(self.each.items, Template) else self.each.items.uses)
            read.extend(self.each.when.uses if self.each.when else ())
        if self.cache is not None:
            read.extend(self.cache.key.slots)
        return tuple(dict.fromkeys(one.source for one in read if one.source >= 0))

    @property
    def is_plain_action(self) -> bool:
        """Whether a worker of ours records its end: one call of an action, by one of our own workers."""
        return self.action is not None and not self.action.foreign and self.each is None and self.loop is None


@dataclass(frozen=True)
class Concurrency:
    """How many runs of the definition with the same key at once."""

    max: int
    policy: str
    key: Template = Template()


@dataclass(frozen=True)
class Plan:
    """A definition, checked and resolved: nodes in topological order, ready to run."""

    workflow: str
    version: int
    hash: str
    nodes: tuple[Node, ...]
    """Steps first, then those of `on_failure`."""
    steps: int
    """How many of the nodes are steps."""
    output: Template = Template()
    max_parallel: int = 250
    timeout: float | None = None
    fail_fast: bool = False
    concurrency: Concurrency | None = None
    labels: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def json(self) -> bytes:
        """The plan as the workflow gets it; `load_plan` reads it."""
        return PLAN.dump_json(self, exclude_defaults=True)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Numbers of the nodes by their ids."""
        return {node.id: number for number, node in enumerate(self.nodes)}


PLAN = TypeAdapter(Plan)


@lru_cache(maxsize=64)
def load_plan(data: bytes) -> Plan:
    """The plan in its JSON form. Cached: every run of a version brings the same bytes."""
    return PLAN.validate_json(data)
