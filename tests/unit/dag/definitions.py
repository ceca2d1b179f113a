"""Definitions, and actions to write them with."""

from typing import Any, Literal

from pydantic import Field

from models.actions import ActionSpec
from models.catalogue import CATALOGUE
from models.contract import Contract
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.plan import Plan


class Address(Contract):
    """A part that is used twice."""

    city: str
    zip: str | None = None


class Person(Contract):
    """Everything a schema can say, as a result."""

    name: str
    age: int
    height: float
    nickname: str | None
    role: Literal["admin", "guest"] = "guest"
    address: Address
    tags: tuple[str, ...] = ()
    friends: tuple["Person", ...] = ()
    scores: dict[str, int] = Field(default_factory=dict[str, int])
    anything: Any = None


class Greet(Contract):
    """Everything a schema can ask for, as an input."""

    name: str
    age: int = 0
    height: float = 0.0
    nickname: str | None = None
    role: Literal["admin", "guest"] = "guest"
    address: Address | None = None
    tags: tuple[str, ...] = ()
    friends: tuple[Person, ...] = ()
    scores: dict[str, int] = Field(default_factory=dict[str, int])
    anything: Any = None


FIND = ActionSpec(service="people", name="find", summary="Find a person", input=Contract, result=Person)
GREET = ActionSpec(service="people", name="greet", summary="Greet a person", input=Greet, result=Person)
ACTIONS = {**CATALOGUE, FIND.type: FIND, GREET.type: GREET}


def step(step_id: str, action: str = "flow.echo", **rest: Any) -> dict[str, Any]:
    """A step as it is posted."""
    service, name = action.split(".")
    return {"id": step_id, "service": service, "action": name, **rest}


def definition(*steps: Any, **rest: Any) -> dict[str, Any]:
    """A definition as it is posted."""
    return {"id": "test", "steps": list(steps), **rest}


def problems(raw: Any) -> list[tuple[str, str]]:
    """Code and pointer of everything that is wrong."""
    compiled = compile_definition(raw, ACTIONS)
    assert isinstance(compiled, list), "this definition has no problems"
    return [(problem.code, problem.pointer) for problem in compiled]


def compiled(raw: Any) -> Compiled:
    """What a good definition compiles to."""
    result = compile_definition(raw, ACTIONS, version=3)
    assert isinstance(result, Compiled), result
    return result


def plan_of(parents: list[list[int]], **rest: Any) -> Plan:
    """The plan of a graph; nodes must come after their parents."""
    options: list[dict[str, Any]] = rest.pop("options", [{}] * len(parents))
    steps = [
        step(f"s{number}", depends_on=[f"s{parent}" for parent in above], **option)
        for number, (above, option) in enumerate(zip(parents, options, strict=True))
    ]
    return compiled(definition(*steps, **rest)).plan
