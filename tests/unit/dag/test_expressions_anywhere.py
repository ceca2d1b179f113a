"""Expressions give the same in every process: on another worker, after a restart, on every replay."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflows.dag.expressions import ExpressionFailedError, evaluate

ROOT = Path(__file__).parents[3]
KEYS = [f"key-{(number * 7919) % 1_000}" for number in range(200)]
VARIABLES = {
    "input": {
        "n": 7,
        "f": 0.1,
        "s": "naïve 😀 text",
        "t": "2024-02-29T23:59:59.5+02:00",
        "nil": None,
        "map": {key: number for number, key in enumerate(KEYS)},
        "nested": {"b": {"y": 1, "x": [1, {"q": 1, "p": 2}]}, "a": {"é": None, "z": 1.5}},
        "list": [3, 1, 2, 3],
        "people": [{"name": name, "age": age} for name, age in (("Ada", 36), ("Bob", 7), ("Cleo", 81))],
    },
    "steps": {"load": {"commit": "abc123", "files": {key: {"size": len(key)} for key in KEYS[:50]}}},
    "item": {"id": 12, "tags": ["x", "y"]},
}
EXPRESSIONS = (
    "input",
    "input.map",
    "input.nested",
    "sortedKeys(input.map)",
    "sortedKeys(input.map).map(k, input.map[k])",
    "sortedKeys(input.map).filter(k, input.map[k] > 190)",
    "sortedKeys(input.map).map(k, {k: input.map[k]})",
    "sortedKeys(steps.load.files).map(k, steps.load.files[k].size)",
    "sortedKeys(input.nested).map(k, sortedKeys(input.nested[k]))",
    "sortedKeys(input.map).exists_one(k, k == 'key-919')",
    "size(input.map)",
    "'key-7' in input.map",
    "input.map == input.map",
    "input.nested.b == {'x': [1, {'p': 2, 'q': 1}], 'y': 1}",
    "{'z': 1, 'a': {'y': 2, 'b': 3}, 'm': [{'d': 1, 'c': 2}]}",
    "[input.map, input.nested]",
    "input.list",
    "input.list + [4.5, 1]",
    "input.list.map(x, x * x)",
    "input.list.map(x, x > 1, [x, x])",
    "input.list.filter(x, x != 3)",
    "input.list.all(x, x > 0)",
    "input.list.exists(x, x / 0 == 1)",
    "input.people.filter(p, p.age > 30).map(p, p.name)",
    "input.people.map(p, {'n': p.name, 'old': p.age > 80})",
    "input.people.exists_one(p, p.name.startsWith('B'))",
    "items(input.list)[2]",
    "[[1, 2], [3]].map(row, row.map(x, x + 1))",
    "input.s",
    "size(input.s)",
    "input.s + '!'",
    "input.s.matches('^na.ve')",
    "input.s.contains('😀')",
    "'straße' < 'strasse'",
    "['b', 'a'] == ['a', 'b']",
    "string(input.f)",
    "string(1e21) + string(1e-7) + string(2.0)",
    "double('0.1') + 0.2",
    "0.1 + 0.2 == 0.3",
    "1.0 / 3.0",
    "int(2.9) - int(-2.9)",
    "uint(7) % 4u",
    "-7 / 2",
    "-7 % 3",
    "9223372036854775807",
    "9223372036854775807 + 1",
    "1 / 0",
    "input.nope",
    "input.nil.x",
    "input.n == 7.0",
    "input.nil == null",
    "string(timestamp(input.t))",
    "timestamp(input.t).getHours()",
    "timestamp(input.t).getHours('America/New_York')",
    "timestamp(input.t).getDayOfYear()",
    "timestamp(input.t).getMilliseconds()",
    "timestamp(input.t) + duration('90m') > timestamp('2024-03-01T00:00:00Z')",
    "string(duration('3723.5s'))",
    "duration('1h') == duration('3600s')",
    "item.tags.exists(t, t == 'y') ? item.id : 0",
    "has(item.id) && !has(item.nope)",
    "type(input.n) == int",
    "dyn(1) in [1.0, 2.0]",
    "{'k': dyn(1)} == {'k': dyn(1.0)}",
    "steps['load'].commit + '/' + string(item.id)",
)


def everything() -> str:
    """The results of all of them as JSON, failures with their reasons, twice: what a program keeps must not show."""
    return json.dumps([[_result(text) for text in EXPRESSIONS] for _ in range(2)])


def _result(text: str) -> object:
    try:
        return {"value": evaluate(text, "item", VARIABLES)}
    except ExpressionFailedError as error:
        return {"error": str(error)}


@pytest.fixture(scope="module")
def elsewhere() -> list[str]:
    """What each of several processes finds, no two of which hash text alike."""
    program = f"from {__name__} import everything; print(everything())"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("2", "America/New_York"), ("12345", "UTC"))
    ]
    return [process.communicate(timeout=120)[0].strip() for process in processes]


def test_results_are_the_same_in_every_process(elsewhere: list[str]) -> None:
    assert len(elsewhere) == 4
    assert set(elsewhere) == {everything()}


def test_keys_are_in_order_and_nothing_fails_that_should_not(elsewhere: list[str]) -> None:
    first, second = json.loads(elsewhere[0])
    assert first == second
    results = dict(zip(EXPRESSIONS, first, strict=True))
    assert list(results["input.map"]["value"]) == sorted(KEYS)
    assert results["sortedKeys(input.map)"]["value"] == sorted(KEYS)
    failed = [text for text, result in results.items() if "error" in result]
    assert failed == [
        "input.list.exists(x, x / 0 == 1)",
        "9223372036854775807 + 1",
        "1 / 0",
        "input.nope",
        "input.nil.x",
    ]
