import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.values import Read
from tests.unit.dag.strategies import json_values, paths
from workflows.dag.references import (
    BadReferenceError,
    Reference,
    format_path,
    parse_reference,
    parse_template_string,
)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("from:load", Reference("load", Read(()))),
        ("from:input", Reference("input", Read(()))),
        ("from:item[0]", Reference("item", Read((0,)))),
        ("from:load.stars", Reference("load", Read(("stars",)))),
        ("from:a-1_b.x-y._z", Reference("a-1_b", Read(("x-y", "_z")))),
        ("from:load.files[0].name", Reference("load", Read(("files", 0, "name")))),
        ("from:load.files[-1]", Reference("load", Read(("files", -1)))),
        ('from:load["odd key"]["a.b"]', Reference("load", Read(("odd key", "a.b")))),
        (r'from:load["\"quoted\" \u00e9 [0]"]', Reference("load", Read(('"quoted" é [0]',)))),
        ('from:load["0"]', Reference("load", Read(("0",)))),
        ("from:load.stars ?? 0", Reference("load", Read(("stars",), has_default=True, default=0))),
        ("from:load??null", Reference("load", Read((), has_default=True, default=None))),
        ('from:load.x  ??  "a ?? b"', Reference("load", Read(("x",), has_default=True, default="a ?? b"))),
        ('from:load ?? {"a": [1, true]}', Reference("load", Read((), has_default=True, default={"a": [1, True]}))),
    ],
)
def test_reference_is_read(text: str, reference: Reference) -> None:
    assert parse_template_string(text) == reference


@pytest.mark.parametrize(
    ("text", "literal"),
    [("", ""), ("from", "from"), (" from:a", " from:a"), ("FROM:a", "FROM:a"), ("from::a", "from:a"),
     ("from::", "from:"), ("from:::", "from::"), ("see from:a", "see from:a")],
)  # fmt: skip
def test_other_text_is_a_literal(text: str, literal: str) -> None:
    assert parse_template_string(text) == literal


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("from:", 6, "a step's id"),
        ("from: a", 6, "a step's id"),
        ("from:.a", 6, "a step's id"),
        ("from:é", 6, "a step's id"),
        ("from:a b", 7, "expected"),
        ("from:a.", 7, "expected"),
        ("from:a.0", 7, "expected"),
        ("from:a.b c", 9, "expected"),
        ("from:a[", 7, "expected"),
        ("from:a[x]", 7, "expected"),
        ("from:a[ 0]", 7, "expected"),
        ("from:a[٣]", 7, "expected"),
        ("from:a[9999999999]", 7, "expected"),
        ("from:a['x']", 7, "expected"),
        ('from:a["x]', 7, "expected"),
        (r'from:a["\q"]', 8, "no JSON string"),
        (r'from:a["\ud800"]', 8, "no JSON string"),
        (r'from:a["\u0000"]', 8, "no JSON string"),
        ("from:a ?", 7, "expected"),
        ("from:a ??", 10, "no JSON value"),
        ("from:a ?? b", 11, "no JSON value"),
        ("from:a ?? 'b'", 11, "no JSON value"),
        ("from:a ?? 1 2", 11, "no JSON value"),
        ("from:a ?? NaN", 11, "no JSON value"),
        ("from:a ?? 1e999", 11, "no JSON value"),
        (r'from:a ?? "\ud800"', 11, "no JSON value"),
        (r'from:a ?? "\u0000"', 11, "no JSON value"),
        ('from:a ?? {"x": 1, "x": 2}', 11, "no JSON value"),
        ("from:a ?? " + "[" * 100_000, 11, "no JSON value"),
        ("from:a\n", 7, "expected"),
    ],
)
def test_mistake_is_refused_with_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(BadReferenceError, match=message) as refused:
        parse_template_string(text)
    assert refused.value.column == column
    assert f"column {column}:" in str(refused.value)


@given(paths)
def test_path_that_is_written_is_read_again(path: tuple[str | int, ...]) -> None:
    assert parse_reference(f"from:step{format_path(path)}") == Reference("step", Read(path))


@given(paths, json_values())
def test_default_that_is_written_is_read_again(path: tuple[str | int, ...], default: Any) -> None:
    text = f"from:input{format_path(path)} ?? {json.dumps(default)}"
    assert parse_reference(text) == Reference("input", Read(path, has_default=True, default=default))


@given(st.text())
def test_any_text_is_a_literal_a_reference_or_a_mistake_in_it(text: str) -> None:
    try:
        parsed = parse_template_string("from:" + text)
    except BadReferenceError as error:
        assert 6 <= error.column <= len(text) + 6  # noqa: PT017 - most texts raise nothing
    else:
        assert isinstance(parsed, (str, Reference))
