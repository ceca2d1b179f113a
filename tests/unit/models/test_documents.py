import json
import re
from io import StringIO
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from models.documents import MAX_DEPTH, MAX_NODES, check_json, read_json, read_yaml
from models.errors import InvalidInputError
from tests.unit.dag.strategies import json_values


def refusal(read: Any, text: Any) -> str:
    with pytest.raises(InvalidInputError) as refused:
        read(text)
    assert [problem.pointer for problem in refused.value.problems] == [""]
    return refused.value.problems[0].message


@given(json_values())
def test_json_that_is_written_is_read_again(value: Any) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(json_values())
def test_json_is_yaml(value: Any) -> None:
    read = read_yaml(json.dumps(value).encode())
    assert read == value
    assert json.dumps(read) == json.dumps(value)


@given(json_values())
def test_yaml_that_another_library_writes_is_read_again(value: Any) -> None:
    assume(not re.search("[\x80-\x9f\u2028\u2029]", json.dumps(value, ensure_ascii=False)))  # it writes no escapes
    assume(not re.search('":[^ ]', json.dumps(value)))  # {:a: 1} is refused: our parser takes the colon for a key's end
    written = StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.dump(value, written)
    assert read_yaml(written.getvalue().encode()) == value


def test_name_that_starts_with_a_colon_is_quoted_in_braces() -> None:
    with pytest.raises(InvalidInputError, match="line 1, column 3: a key is no string; quote it"):
        read_yaml(b"{:0: null}")
    assert read_yaml(b'{":0": null}') == read_yaml(b":0: null") == {":0": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,\n "a": 2}', "'a' stands twice"),
        (b'{"x": {"a": 1, "b": 2, "a": 3}}', "'a' stands twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "inf is not JSON"),
        (b"[1,]", "line 1, column"),
        (b'{"a": 1}\n{', "line 2, column 1"),
        (b"\xff", "not UTF-8"),
        ('"é"'.encode("latin-1"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (rb'"\u0000"', "NUL"),
        (rb'{"\u0000": 1}', "NUL"),
        (rb'["\ud800"]', "surrogates"),
        (rb'{"\udfff": 1}', "surrogates"),
        (b"1" * 5_000, "more than 1,000 digits"),
        (b"[" * 102 + b"]" * 102, "nested deeper than 100"),
        (b"[" * 100_000, "nested deeper than 100"),
        (b'{"a":' * 50_000, "nested deeper than 100"),
        (b"[" + b"0," * MAX_NODES + b"0]", "more than 200,000 values"),
    ],
)
def test_json_without_sense_or_bounds_is_refused(text: bytes, message: str) -> None:
    assert message in refusal(read_json, text)


def test_duplicate_at_the_end_of_a_huge_object_is_found_at_once() -> None:
    keys = ",".join(f'"k{number}": 0' for number in range(150_000))
    assert "'k149999' stands twice" in refusal(read_json, f'{{{keys}, "k149999": 0}}'.encode())


def test_a_byte_order_mark_is_no_mistake() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == read_yaml(b"\xef\xbb\xbfa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"), ("Yes", "Yes"),
        ("10:30", "10:30"), ("190:20:30", "190:20:30"), ("1_000", "1_000"), ("0b1", "0b1"),
        ("2026-01-31", "2026-01-31"), ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z"), ("=", "="), ("1.2.3", "1.2.3"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("nULL", "nULL"),
        ("010", 10), ("+7", 7), ("-7", -7), ("0o17", 15), ("0x1F", 31), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0),
        ("'true'", "true"), ('"7"', "7"), ("|\n  text\n", "text\n"), (">\n  1\n", "1\n"),
        ("from:a ?? 0", "from:a ?? 0"),
    ],
)  # fmt: skip
def test_yaml_scalars_are_those_of_version_1_2(text: str, value: Any) -> None:
    read = read_yaml(f"key: {text}".encode())
    assert read == {"key": value}
    assert type(read["key"]) is type(value)


def test_yaml_keys_are_text_when_they_look_so() -> None:
    assert read_yaml(b"{on: 1, 10:30: 2, 2026-01-01: 3}") == {"on": 1, "10:30": 2, "2026-01-01": 3}


def test_yaml_alias_stands_for_its_value() -> None:
    assert read_yaml(b"a: &x {n: &y [1]}\nb: *x\nc: *y\nd: &y 2\ne: *y") == {
        "a": {"n": [1]}, "b": {"n": [1]}, "c": [1], "d": 2, "e": 2,
    }  # fmt: skip


def test_empty_yaml_is_null() -> None:
    assert read_yaml(b"") is read_yaml(b"# nothing\n") is read_yaml(b"---\n...\n") is None


BILLION_LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 10)) for level in range(1, 40)
)
MERGE_BOMB = b"a0: &a0 {k: 1, l: 2}\n" + b"".join(
    b"a%d: &a%d {<<: [%s]}\n" % (level, level, b",".join([b"*a%d" % (level - 1)] * 10)) for level in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\na: 2", "line 2, column 1: the key 'a' stands twice"),
        (b"x: {a: 1, b: 2, a: 3}", "the key 'a' stands twice"),
        (b"1: a", "line 1, column 1: a key is no string"),
        (b"true: a", "a key is no string"),
        (b"~: a", "a key is no string"),
        (b"? [a]\n: 1", "a key is no string"),
        (b"? {a: 1}\n: 1", "a key is no string"),
        (b"x: &x {a: 1}\ny: {<<: *x}", "line 2, column 5: merge keys"),
        (b".nan", ".nan is not JSON"),
        (b"[-.inf]", "-.inf is not JSON"),
        (b"1e999", "inf is not JSON"),
        (b"1" * 5_000, "more than 1,000 digits"),
        (b"%YAML 1.1\n---\na: on", "only YAML 1.2"),
        (b"%YAML 9.9\n---\na", "incompatible"),
        (b"a: 1\n---\nb: 2", "line 2, column 1: a second document"),
        (b"&a [*a]", "no finished value with the anchor a"),
        (b"&a {b: {c: *a}}", "no finished value with the anchor a"),
        (b"*a", "no finished value with the anchor a"),
        (b"!!python/object/apply:os.system [ls]", "tags are not read"),
        (b"!!bool foo", "tags are not read"),
        (b'!!int ""', "tags are not read"),
        (b"!!set {a}", "tags are not read"),
        (b"a: !env HOME", "line 1, column 4: tags are not read"),
        (b"a:\n\t- b", "line 2, column 1"),
        (b"{a: 1", "line 1, column"),
        (b'"\\UFFFFFFFF"', ""),
        (b'"\\0"', "NUL"),
        (b'"\\ud800"', "surrogates"),
        (b"a: \x01", "special characters"),
        (b"\xff\xfea", "not UTF-8"),
        (b"[" * 102 + b"]" * 102, "nested deeper than 100"),
        (b"- " * 102 + b"a", "nested deeper than 100"),
        (BILLION_LAUGHS, "more than 200,000 values"),
        (MERGE_BOMB, "merge keys"),
    ],
)
def test_yaml_without_sense_or_bounds_is_refused(text: bytes, message: str) -> None:
    assert message in refusal(read_yaml, text)


YAML_PARTS = st.sampled_from(
    ["a", "1", ":", " ", "\n", "-", "?", "[", "]", "{", "}", ",", "&x ", "*x", "!!int ", "!", "'", '"', "|", ">",
     "%YAML 1.2", "---", "...", "#", "\t", "\\", "~", "<<", "é", "\u2028"]
)  # fmt: skip


@given(st.lists(YAML_PARTS, max_size=25))
def test_any_text_is_yaml_or_refused(parts: list[str]) -> None:
    try:
        value = read_yaml("".join(parts).encode())
    except InvalidInputError as error:
        assert error.problems  # noqa: PT017 - most texts raise nothing
    else:
        json.dumps(value, allow_nan=False)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (read_json, read_yaml):
        try:
            json.dumps(read(data), allow_nan=False)
        except InvalidInputError as error:
            assert error.problems  # noqa: PT017 - some bytes are documents


def nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


def test_depth_is_bounded_exactly() -> None:
    text = json.dumps(nested(MAX_DEPTH)).encode()
    assert read_json(text) == read_yaml(text) == nested(MAX_DEPTH)
    for read in (read_json, read_yaml):
        assert "deeper" in refusal(read, json.dumps(nested(MAX_DEPTH + 1)).encode())


@pytest.mark.parametrize("value", [(1,), {1: 2}, {"a": object()}, b"x", {"a": {1}}, float("nan"), ["\ud800"]])
def test_what_is_no_json_value_is_refused(value: Any) -> None:
    refusal(check_json, value)


def test_a_number_of_any_size_is_json() -> None:
    check_json([10**400, -(10**400), 1e308])
