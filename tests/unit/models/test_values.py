from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import (
    HOLES,
    MISSING,
    Hole,
    Missing,
    MissingValueError,
    StoredValue,
    put,
    read,
    walk,
)
from tests.unit.dag.strategies import json_values, paths

Path = tuple[str | int, ...]


def places(value: Any, at: Path = ()) -> list[Path]:
    """Every place in a value."""
    below: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [at, *(place for part, item in below for place in places(item, (*at, part)))]


@given(json_values(), st.data())
def test_every_place_in_a_value_can_be_walked_to(value: Any, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(places(value)))
    found = value
    for part in at:
        found = found[part]
    assert walk(value, at) is found


@given(json_values(), paths)
def test_a_path_leads_to_a_place_or_nowhere(value: Any, path: Path) -> None:
    positive = all(isinstance(part, str) or part >= 0 for part in path)
    if positive:
        assert (walk(value, path) is MISSING) == (path not in places(value))
    else:
        walk(value, path)


def test_list_is_walked_from_its_end() -> None:
    assert walk({"a": [1, 2, 3]}, ("a", -1)) == 3
    assert walk([1, 2, 3], (-3,)) == 1
    assert walk([1, 2, 3], (-4,)) is MISSING


@pytest.mark.parametrize(
    ("value", "path"),
    [([1], ("0",)), ({"0": 1}, (0,)), ("text", (0,)), ("text", ("a",)), (None, ("a",)), (1, (0,)), ([], (0,))],
)
def test_names_do_not_lead_into_lists_nor_numbers_into_objects(value: Any, path: Path) -> None:
    assert isinstance(walk(value, path), Missing)


@given(json_values(), json_values(), st.data())
def test_what_is_put_somewhere_is_found_there_and_nothing_else_changes(
    document: Any, value: Any, data: st.DataObject
) -> None:
    before = deepcopy(document)
    at = data.draw(st.sampled_from(places(document)))
    changed = put(document, at, value)
    assert walk(changed, at) == value
    for other in places(before):
        apart = other[: len(at)] != at and at[: len(other)] != other
        if apart:
            assert walk(changed, other) == walk(before, other)


@given(json_values(), st.data())
def test_missing_value_takes_a_key_out_and_is_refused_elsewhere(document: Any, data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(places(document)))
    if at and isinstance(at[-1], str):
        assert walk(put(document, at, MISSING), at) is MISSING
    else:
        with pytest.raises(MissingValueError):
            put(document, at, MISSING)


@given(json_values(), paths, json_values())
def test_default_stands_in_for_what_is_missing_or_null(value: Any, path: Path, default: Any) -> None:
    found = walk(value, path)
    assert read(value, path, has_default=False, default=default) is found
    expected = default if found is None or found is MISSING else found
    assert read(value, path, has_default=True, default=default) is expected


@given(st.lists(st.builds(Hole, paths, st.builds(StoredValue, st.text("0123456789abcdef"), st.integers(0)),
                          paths, st.booleans(), json_values()), max_size=3).map(tuple))  # fmt: skip
def test_holes_survive_json(holes: tuple[Hole, ...]) -> None:
    assert HOLES.validate_json(HOLES.dump_json(holes)) == holes
