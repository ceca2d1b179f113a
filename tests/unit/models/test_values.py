from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import (
    HOLES,
    MISSING,
    VALUE,
    Hole,
    Missing,
    MissingValueError,
    Read,
    StoredValue,
    Value,
    put,
    select,
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
    assert Read(path, has_default=False, default=default).of(value) is found
    expected = default if found is None or found is MISSING else found
    assert Read(path, has_default=True, default=default).of(value) is expected


reads = st.builds(Read, paths, st.booleans(), json_values())
stored_values = st.builds(StoredValue, st.text("0123456789abcdef", min_size=1), st.integers(0))


@given(st.lists(st.builds(Hole, paths, stored_values, st.lists(reads, max_size=2).map(tuple)), max_size=3).map(tuple))
def test_holes_survive_json(holes: tuple[Hole, ...]) -> None:
    assert HOLES.validate_json(HOLES.dump_json(holes)) == holes


@st.composite
def partly_stored(draw: st.DrawFn) -> tuple[Any, Value, dict[StoredValue, Any]]:
    """A JSON value, the same with parts of it taken out into holes, and what is stored for those."""
    whole = draw(json_values())
    document, holes, store = deepcopy(whole), list[Hole](), dict[StoredValue, Any]()
    for number, at in enumerate(draw(st.lists(st.sampled_from(places(whole)), max_size=2, unique=True))):
        if any(hole.at == at[: len(hole.at)] or at == hole.at[: len(at)] for hole in holes):
            continue
        stored = StoredValue(str(number), 5_000)
        part = walk(document, at)
        below: Path = draw(st.sampled_from([(), ("kept",), ("kept", 1)]))
        store[stored] = {(): part, ("kept",): {"kept": part}, ("kept", 1): {"kept": [0, part]}}[below]
        holes.append(Hole(at, stored, tuple(Read((step,)) for step in below)))
        document = put(document, at, None)
    return whole, Value(document, tuple(holes)), store


def filled(value: Value | Missing, store: dict[StoredValue, Any]) -> Any:
    """What a worker makes of a value: holes filled, what is missing left out."""
    if isinstance(value, Missing):
        return MISSING
    document = deepcopy(value.json)
    for hole in value.holes:
        found = store[hole.stored]
        for read in hole.reads:
            found = read.of(found)
        if hole.at == () and found is MISSING:
            return MISSING
        document = put(document, hole.at, found)
    return document


@given(partly_stored(), paths, st.booleans(), json_values(), st.data())
def test_reading_is_the_same_wherever_a_value_lies(
    parts: tuple[Any, Value, dict[StoredValue, Any]], path: Path, has_default: bool, default: Any, data: st.DataObject
) -> None:
    whole, value, store = parts
    read = Read(data.draw(st.sampled_from([path, *places(whole)])), has_default, default)
    assert filled(select(value, read), store) == read.of(whole)


@given(partly_stored(), st.data())
def test_places_counted_from_a_lists_end_lead_into_its_holes(
    parts: tuple[Any, Value, dict[StoredValue, Any]], data: st.DataObject
) -> None:
    whole, value, store = parts
    at = data.draw(st.sampled_from(places(whole)))
    backwards = tuple(
        part if isinstance(part, str) else part - len(walk(whole, at[:depth])) for depth, part in enumerate(at)
    )
    assert filled(select(value, Read(backwards)), store) == walk(whole, at)


@given(partly_stored())
def test_value_survives_json(parts: tuple[Any, Value, dict[StoredValue, Any]]) -> None:
    assert VALUE.validate_json(VALUE.dump_json(parts[1])) == parts[1]
