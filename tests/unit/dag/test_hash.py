from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.dag.definitions import compiled
from tests.unit.dag.test_compile_robustness import VALID


def hash_of(raw: Any) -> str:
    return compiled(raw).plan.hash


@given(st.data())
def test_order_of_keys_does_not_count(data: st.DataObject) -> None:
    def shuffled(value: Any) -> Any:
        match value:
            case dict():
                return {name: shuffled(value[name]) for name in data.draw(st.permutations(list(value)))}
            case list():
                return [shuffled(item) for item in value]
            case _:
                return value

    assert hash_of(shuffled(VALID)) == hash_of(VALID)


def changed(*path: Any, value: Any) -> dict[str, Any]:
    raw = deepcopy(VALID)
    parent: Any = raw
    for part in path[:-1]:
        parent = parent[part]
    parent[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    "same",
    [
        changed("steps", 0, "timeout", value={"start_to_close": 300}),
        changed("steps", 0, "timeout", value={"start_to_close": 300.0, "heartbeat": None}),
        changed("steps", 0, "timeout", value={"start_to_close": "300s"}),
        changed("steps", 0, "retry", value={"max_attempts": 2, "initial": 5, "backoff": None}),
        changed("steps", 0, "on_error", value="fail"),
        changed("steps", 0, "join", value="all"),
        changed("steps", 0, "depends_on", value=[]),
        changed("steps", 0, "input", value={}),
        changed("limits", value={"max_parallel": 5, "timeout": "1m", "fail_fast": False}),
        changed("access", value={"execute": ["admin", "author"]}),
        changed("description", value=""),
        changed("input", "$defs", "age", "minimum", value=0.0),
    ],
)
def test_edit_that_changes_nothing_keeps_the_hash(same: Any) -> None:
    assert hash_of(same) == hash_of(VALID)


CHANGES = [
    changed("id", value="other"),
    changed("name", value="Other"),
    changed("description", value="x"),
    changed("input", "$defs", "age", "minimum", value=1),
    changed("input", "required", value=["age", "list"]),
    changed("output", value={"other": "from:echo.value"}),
    changed("limits", "max_parallel", value=6),
    changed("limits", "timeout", value=61),
    changed("limits", "fail_fast", value=True),
    changed("access", value={"execute": ["admin"]}),
    changed("labels", "team", value="y"),
    changed("steps", 0, "description", value="x"),
    changed("steps", 0, "retry", "max_attempts", value=3),
    changed("steps", 0, "retry", "initial", value="6s"),
    changed("steps", 0, "timeout", "start_to_close", value="6m"),
    changed("steps", 1, "depends_on", value=[]),
    changed("steps", 1, "on_error", value="fail"),
    changed("steps", 1, "input", "tags", value=["x", "from:load.tags[1]"]),
    changed("steps", 1, "input", "name", value='from:load.nickname ?? "me"'),
    changed("steps", 2, "input", "value", "a", 1, "b", value="from::y"),
    changed(
        "steps", value=[VALID["steps"][0], VALID["steps"][2], VALID["steps"][1]]
    ),  # reports and pages show the order
]


def test_every_edit_that_means_something_has_a_hash_of_its_own() -> None:
    hashes = [hash_of(VALID), *map(hash_of, CHANGES)]
    assert len(dict.fromkeys(hashes)) == len(hashes)


def test_hash_does_not_change_with_the_code() -> None:
    """Stored versions carry it: another hash for the same definition makes new versions of all of them."""
    assert hash_of(VALID) == "3cceed3b85ea8aab70f14ac889123ae092a077fca5ac76e7338e76d165271aad"
