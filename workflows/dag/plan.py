"""A plan: the compiled form of a definition. Immutable, JSON-able, and all the engine needs to run."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from pydantic import TypeAdapter

from models.actions import Retry, Timeout
from models.values import Path

INPUT = -1
"""Source of a slot that reads the run's input; other sources are node numbers."""


@dataclass(frozen=True)
class Slot:
    """A place in a template that a value of the run fills."""

    at: Path
    """Where in the template; empty: the whole."""
    source: int
    path: Path
    has_default: bool = False
    default: Any = None


@dataclass(frozen=True)
class Template:
    """JSON with null where slots are filled."""

    skeleton: Any = None
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Node:
    """One step. Its number is its place in topological order."""

    id: str
    action: str
    queue: str
    template: Template
    parents: tuple[int, ...]
    children: tuple[int, ...]
    retry: Retry
    timeout: Timeout
    continue_on_error: bool = False
    summary: str = ""


@dataclass(frozen=True)
class Plan:
    """A definition, checked and resolved: nodes in topological order, ready to run."""

    workflow: str
    version: int
    hash: str
    nodes: tuple[Node, ...]
    output: Template = Template()
    max_parallel: int = 250
    timeout: float | None = None
    fail_fast: bool = False
    labels: dict[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def json(self) -> bytes:
        """The plan as the workflow gets it; `load_plan` reads it."""
        return PLAN.dump_json(self, exclude_defaults=True)


PLAN = TypeAdapter(Plan)


@lru_cache(maxsize=64)
def load_plan(data: bytes) -> Plan:
    """The plan in its JSON form. Cached: every run of a version brings the same bytes."""
    return PLAN.validate_json(data)
