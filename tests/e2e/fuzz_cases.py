"""Definitions nobody wrote: right ones whose runs an oracle foretells, and each kind of damage to them.

The oracle knows the rules of the language (CONTRACT 3) and nothing of the engine: it goes through the steps once, in
the order in which they were made, and says how each must end and what it must give.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

FAILS = {
    "service": "flow",
    "action": "fail",
    "input": {"message": "no", "code": "unlucky"},
    "retry": {"max_attempts": 1},
}


@dataclass(frozen=True)
class End:
    """How a step must end."""

    status: str
    reason: str | None = None
    value: Any = None

    @property
    def is_success(self) -> bool:
        return self.status == "succeeded"


@dataclass(frozen=True)
class Case:
    """A document to post and what has to come of it."""

    name: str
    document: Any
    refused_for: str | None = None
    """The code that must be among its problems. None: it must be taken, and its run must end as foretold."""
    run: Mapping[str, End] | None = None
    """How each step must end; None: however, as long as the run ends."""
    run_status: str | None = None
    input: Any = field(default_factory=dict[str, Any])
    may_be_either: bool = False
    """Whether the document may be refused or taken: chance made it."""


class Writer:
    """Writes one right definition, step by step, and foretells each step's end on the way."""

    def __init__(self, chance: random.Random, name: str) -> None:
        self._chance = chance
        self._name = name
        self.steps: list[dict[str, Any]] = []
        self.ends: dict[str, End] = {}
        self._continues: dict[str, bool] = {}
        self.handlers: list[dict[str, Any]] = []

    def definition(self) -> dict[str, Any]:
        """The whole."""
        for _ in range(self._chance.randint(1, 12)):
            self._add()
        raw: dict[str, Any] = {"id": self._name, "steps": self._chance.sample(self.steps, len(self.steps))}
        raw["input"] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        readable = [step for step in self.steps if "when" not in step and not self._continues[step["id"]]]
        raw["output"] = {step["id"]: f"from:{step['id']}" for step in readable[:3]}
        if self._chance.random() < 0.3:
            raw["limits"] = {"max_parallel": self._chance.randint(1, 3)}
        if self._chance.random() < 0.2:
            raw["on_failure"] = [
                {"id": "told", "service": "flow", "action": "echo", "input": {"value": "from:error.code"}}
            ]
        return raw

    @property
    def status(self) -> str:
        """How the run must end."""
        failed = any(end.status == "failed" and not self._continues[name] for name, end in self.ends.items())
        return "failed" if failed else "completed"

    def _add(self) -> None:
        name = f"{self._chance.choice('abcxyz')}{len(self.steps)}"
        parents = self._chance.sample([*self.ends], min(len(self.ends), self._chance.randint(0, 3)))
        join = self._chance.choice(["all", "all", "all", "any", "none_failed", "all_done"])
        step: dict[str, Any] = {"id": name, "depends_on": parents}
        if join != "all":
            step["join"] = join
        body, value = self._body(parents if join == "all" else [])
        step.update(body)
        wanted = True
        if self._chance.random() < 0.3 and "map" not in step:
            wanted = self._chance.random() < 0.5
            step["when"] = f"input.n {'==' if wanted else '!='} 7"
        if self._chance.random() < 0.2:
            step["on_error"] = "continue"
        self._continues[name] = step.get("on_error") == "continue"
        self.steps.append(step)
        self.ends[name] = self._end(join, parents, wanted=wanted, value=value)

    def _body(self, readable: list[str]) -> tuple[dict[str, Any], Any]:  # noqa: PLR0911 - a table of kinds
        """What a step does, and what it gives; a failure has no value."""
        sources = [name for name in readable if self.ends[name].is_success and self._is_sure(name)]
        kind = self._chance.choice(["echo", "echo", "read", "read", "map", "switch", "fail", "while", "items"])
        if kind == "read" and sources:
            source = self._chance.choice(sources)
            return _echo(f"from:{source}"), {"value": self.ends[source].value}
        if kind == "map":
            items = [self._scalar() for _ in range(self._chance.randint(0, 4))]
            return {**_echo("from:item"), "map": {"items": items}}, [{"value": item} for item in items]
        if kind == "items":
            count = self._chance.randint(0, 5)
            text = f"[{', '.join(map(str, range(count)))}].filter(n, n % 2 == 0)" if count else "[]"
            return {**_echo(["from:one"]), "map": {"items": text, "as": "one"}}, [
                {"value": [n]} for n in range(0, count, 2)
            ]
        if kind == "switch":
            limit, value = self._chance.randint(0, 14), self._scalar()
            cases = [{"when": f"input.n > {limit}", "value": value}, {"value": "otherwise"}]
            return {"switch": cases}, value if limit < 7 else "otherwise"
        if kind == "fail":
            return deepcopy(FAILS), FAILS
        if kind == "while":
            return {**_echo(5), "while": {"condition": "input.n == 8", "max": 3}}, {"value": 5}
        value = self._json(2)
        return _echo(value), {"value": _literal(value)}

    def _is_sure(self, name: str) -> bool:
        """Whether a step may be read without a default."""
        step = next(one for one in self.steps if one["id"] == name)
        return not self._continues[name] and "when" not in step

    def _end(self, join: str, parents: list[str], *, wanted: bool, value: Any) -> End:
        passed = [self._passed(one) for one in parents]
        blocked = [self._blocked(one) for one in parents]
        starts = {
            "all": all(passed),
            "any": not parents or any(passed),
            "none_failed": not any(blocked),
            "all_done": True,
        }[join]
        if not starts:
            return End("skipped", "upstream")
        if not wanted:
            return End("skipped", "condition")
        return End("failed") if value is FAILS else End("succeeded", None, value)

    def _passed(self, name: str) -> bool:
        return self.ends[name].is_success or (self.ends[name].status == "failed" and self._continues[name])

    def _blocked(self, name: str) -> bool:
        return not self._passed(name) and self.ends[name].reason != "condition"

    def _scalar(self) -> Any:
        return self._chance.choice([0, 1, -5, 2**53, 1.5, "", "text", "é\u2028", "__proto__", True, False, None])

    def _json(self, depth: int) -> Any:
        match self._chance.randint(0, 3 if depth else 0):
            case 1:
                return [self._json(depth - 1) for _ in range(self._chance.randint(0, 3))]
            case 2:
                names = self._chance.sample(["a", "odd key", "__proto__", "~/", ""], self._chance.randint(0, 3))
                return {name: self._json(depth - 1) for name in names}
            case 3:
                return "from::" + str(self._scalar())
            case _:
                return self._scalar()


def _echo(value: Any) -> dict[str, Any]:
    return {"service": "flow", "action": "echo", "input": {"value": value}}


def _literal(value: Any) -> Any:
    """What a template without references stands for."""
    match value:
        case str() if value.startswith("from::"):
            return value.replace("from::", "from:", 1)
        case list():
            return [_literal(item) for item in value]
        case dict():
            return {name: _literal(item) for name, item in value.items()}
        case _:
            return value


Damage = Callable[[random.Random, dict[str, Any]], str | None]


def _some(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    return chance.choice(raw["steps"])


def duplicate_id(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": _some(chance, raw)["id"], **_echo(1)})
    return "duplicate-step-id"


def unknown_action(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "lost", "service": "flow", "action": "ecco"})
    return "unknown-action"


def unknown_service(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "lost", "service": chance.choice(["flo", "constructor"]), "action": "echo"})
    return "unknown-service"


def unknown_step(chance: random.Random, raw: dict[str, Any]) -> str:
    _some(chance, raw).setdefault("depends_on", []).append("nobody")
    return "unknown-step"


def unknown_path(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "lost", **_echo("from:input.n.x")})
    return "unknown-path"


def wrong_type(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "lost", "service": "flow", "action": "sleep", "input": {"seconds": "from:input"}})
    return "type-mismatch"


def cycle(chance: random.Random, raw: dict[str, Any]) -> str:
    first = raw["steps"][0]
    raw["steps"].append({"id": "back", **_echo(1), "depends_on": [first["id"]]})
    first.setdefault("depends_on", []).append("back")
    return "cycle"


def self_reference(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "self", **_echo("from:self.value")})
    return "cycle"


def cycle_through_a_map(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "m1", **_echo("from:item"), "map": {"items": "from:m2"}})
    raw["steps"].append({"id": "m2", **_echo("from:item"), "map": {"items": "from:m1"}})
    return "cycle"


def cycle_through_a_condition(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "self", **_echo(1), "when": 'steps["self"].value == 1'})
    return "cycle"


def runs_itself(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "again", "workflow": {"id": raw["id"]}})
    return "cycle"


def unknown_workflow(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "again", "workflow": {"id": "nobody-knows"}})
    return "unknown-workflow"


def strange_id(chance: random.Random, raw: dict[str, Any]) -> str:
    strange = chance.choice(["__proto__", "a" * 4_000, "", "Übung", "a b", "../x", "a\u0000b", 7, None, ["a"]])
    raw["steps"].append({"id": strange, **_echo(1)})
    return "unreadable" if strange == "a\u0000b" else "type-mismatch"


def reads_what_may_be_skipped(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "maybe", **_echo(1), "when": "input.n == 1"})
    raw["steps"].append({"id": "reads", **_echo("from:maybe.value"), "join": "all_done"})
    return "missing-field"


def bad_expression(chance: random.Random, raw: dict[str, Any]) -> str:
    text = chance.choice(
        ["input.n ==", "1 + ", "nobody(1)", "input.n", '"a" + 1 == 2', "(" * 2_000, "x.all(x, x)", "input.n > 'a'",
         "input.map(k, k) == []", "__import__('os') == 1", "a" * 3_999, "\\", "input.n == 1; input.n == 2",
         '"' + "é" * 500]
    )  # fmt: skip
    raw["steps"].append({"id": "lost", **_echo(1), "when": text})
    return "bad-expression"


def too_long_expression(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "lost", **_echo(1), "when": "true || " * 1_000 + "true"})
    return "too-large"


def growing_expression(chance: random.Random, raw: dict[str, Any]) -> str:
    """A few names that would take gigabytes."""
    nested, pieces = "true", "+".join("x" * chance.randint(8, 12))
    for _ in range(chance.randint(9, 12)):
        nested = f"[{pieces}].all(x, {nested})"
    first = chance.choice(['"aaaaaaaaaaaaaaaa"', "input.n", 'b"aaaaaaaaaaaaaaaa"'])
    raw["steps"].append({"id": "lost", **_echo(1), "when": f"[{first}].all(x, {nested})"})
    return "bad-expression"


def nested_macros(chance: random.Random, raw: dict[str, Any]) -> str:
    nested, macro = "true", chance.choice(["all", "exists", "exists_one"])
    for _ in range(chance.randint(26, 40)):
        nested = f"[1].{macro}(x, {nested})"
    raw["steps"].append({"id": "lost", **_echo(1), "when": nested})
    return "bad-expression"


def nul(chance: random.Random, raw: dict[str, Any]) -> str:
    _some(chance, raw)["description"] = "a\u0000b"
    return "unreadable"


def unknown_field(chance: random.Random, raw: dict[str, Any]) -> str:
    _some(chance, raw)[chance.choice(["wehn", "constructor", "", "inputs"])] = 1
    return "unknown-field"


def two_kinds(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "both", **_echo(1), "approval": {}})
    return "type-mismatch"


def field_of_another_kind(chance: random.Random, raw: dict[str, Any]) -> str:
    raw["steps"].append({"id": "w", "wait": {"for": 1}, "retry": {"max_attempts": 2}})
    return "unknown-field"


DAMAGES: tuple[Damage, ...] = (
    duplicate_id, unknown_action, unknown_service, unknown_step, unknown_path, wrong_type, cycle, self_reference,
    cycle_through_a_map, cycle_through_a_condition, runs_itself, unknown_workflow, strange_id,
    reads_what_may_be_skipped, bad_expression, too_long_expression, growing_expression, nested_macros, nul,
    unknown_field, two_kinds, field_of_another_kind,
)  # fmt: skip


def cel_bomb(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    """Taken, and stopped when it runs."""
    hundred = f"[{', '.join(map(str, range(100)))}]"
    nested = "true"
    for depth in range(chance.randint(3, 6)):
        nested = f"{hundred}.all(v{depth}, {nested})" if len(nested) < 2_000 else nested
    return {**raw, "steps": [{"id": "bomb", **_echo(1), "when": nested[:4_000]}], "output": None}


def schema_of_itself(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    """A schema that asks itself, in one of the ways there are."""
    node: Any = chance.choice(
        [
            {"$ref": "#"},
            {"allOf": [{"$ref": "#"}]},
            {"anyOf": [{"$ref": "#"}, {"type": "object"}]},
            {"properties": {"n": {"$ref": "#"}}},
            {"not": {"$ref": "#"}},
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        ]
    )
    return {"id": raw["id"], "input": node, "steps": [{"id": "a", **_echo("from:input")}]}


def deep(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    """Lists in lists."""
    value: Any = 1
    for _ in range(chance.choice([50, 90, 300])):
        value = [value]
    return {**raw, "steps": [{"id": "a", **_echo(value)}], "output": None}


def chance_change(chance: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    """One value somewhere becomes another."""
    places: list[tuple[Any, Any]] = []

    def collect(value: Any) -> None:
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in pairs:
            places.append((value, key))
            collect(item)

    collect(raw)
    container, key = chance.choice(places)
    container[key] = chance.choice(
        [None, 0, -1, 1e300, "", "from:", "from:input", "from:item", "x" * 5_000, [], {}, [[]], {"a": {"$ref": "#"}},
         True, "steps", "input.n", "0s", "99999999d", ["a", "a"], "\ud800"]
    )  # fmt: skip
    return raw


CHANGES = (cel_bomb, schema_of_itself, deep, chance_change, chance_change, chance_change)


def cases(seed: int, count: int) -> Iterator[Case]:
    """So many cases, the same for the same seed: two in five are right, one in five may be either."""
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        name = f"fuzz-{seed}-{number}"
        writer = Writer(chance, name)
        raw = writer.definition()
        kind = number % 5
        if kind < 2:
            run_input = {"n": 7, "text": "x" * 1_000_000} if number % 50 == 0 else {"n": 7}
            yield Case("right", raw, run=writer.ends, run_status=writer.status, input=run_input)
        elif kind < 4:
            damage = chance.choice(DAMAGES)
            code = damage(chance, raw)
            yield Case(damage.__name__, raw, refused_for=code)
        else:
            change = chance.choice(CHANGES)
            yield Case(change.__name__, change(chance, raw), may_be_either=True, input={"n": 7})
