import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import Finding, FunctionComplexity, Severity
from models.errors import InvalidInputError
from services.context.analysis import count_lines
from services.context.complexity import measurable
from services.context.conventions import is_foreign, is_manifest, is_test
from services.context.findings import GravestFindings, findings_about, findings_in
from services.context.languages import Language, language_of
from services.context.objects import parse_commit

PYTHON = Language("Python", code=True)


def rules_found(text: bytes, path: str = "a.py") -> list[tuple[str, str, int]]:
    return [(each.severity, each.rule, each.line) for each in findings_in(path, text, PYTHON, count_lines(text))]


@pytest.mark.parametrize(
    ("name", "start", "language"),
    [
        ("a.py", b"", "Python"),
        ("a.pyi", b"", "Python"),
        ("a.tsx", b"", "TypeScript"),
        ("a.cjs", b"", "JavaScript"),
        ("a.h", b"", "C"),
        ("a.hpp", b"", "C++"),
        ("a.cs", b"", "C#"),
        ("go.mod", b"", "Go module"),
        ("CMakeLists.txt", b"", "CMake"),
        ("Dockerfile.dev", b"", "Dockerfile"),
        ("a.svg", b"", "SVG"),
        ("a.ipynb", b"", "Jupyter Notebook"),
        ("README", b"", "Plain text"),
        ("run", b"#!/usr/bin/env python3\n", "Python"),
        ("run", b"#!/bin/bash -e\n", "Shell"),
        ("run", b"#!/usr/bin/env -S node --x\n", "JavaScript"),
        ("run", b"#!'\xff\n", "Other"),
        ("unknown.zzz", b"text", "Other"),
    ],
)
def test_a_language_is_known_by_name_or_interpreter(name: str, start: bytes, language: str) -> None:
    assert language_of(name, start).name == language


@pytest.mark.parametrize(
    "path",
    [
        "tests/unit/helper.py", "test_a.py", "pkg/conftest.py", "a/b_test.go", "src/a.test.ts", "src/a.spec.tsx",
        "src/test/java/AppTest.java", "OrderTests.cs", "spec/models/user.rb", "user_spec.rb", "__tests__/a.js",
        "x.bats",
    ],
)  # fmt: skip
def test_paths_of_tests_are_recognized(path: str) -> None:
    assert is_test(path)


@pytest.mark.parametrize("path", ["contest.py", "latest.go", "src/attest.ts", "testing.md", "Latest.java", "src/a.ts"])
def test_other_paths_are_not_taken_for_tests(path: str) -> None:
    assert not is_test(path)


def test_manifests_are_recognized_and_locks_are_not() -> None:
    manifests = ["pyproject.toml", "web/package.json", "requirements-dev.txt", "a/App.csproj", "x.gemspec", "go.mod"]
    assert all(is_manifest(path) for path in manifests)
    assert not any(is_manifest(path) for path in ["package-lock.json", "uv.lock", "my-package.json", "requirements.md"])
    assert is_foreign("web/node_modules/x/index.js")
    assert is_foreign("static/app.min.js")
    assert not is_foreign("src/vendors.py")


@given(st.binary(max_size=300))
def test_lines_are_those_python_sees_between_newlines(text: bytes) -> None:
    assert count_lines(text) == len(re.findall(rb"[^\n]*\n|[^\n]+$", text))


def test_markers_conflicts_long_lines_and_files_are_found_where_they_are() -> None:
    assert rules_found(b"a = 1\n# FIXME now\n") == [("info", "todo", 2)]
    assert rules_found(b"TODOS = 1\n") == []
    assert rules_found(b"x\n<<<<<<< a\n1\n=======\n2\n>>>>>>> b\n") == [("error", "merge-conflict", 2)]
    assert rules_found(b"Heading\n=======\n") == []
    assert rules_found(b"a\n" + b"x" * 400 + b"\n") == [("info", "long-line", 2)]
    assert rules_found(b"a\n" * 1_001) == [("warning", "long-file", 1)]
    assert rules_found(b"# TODO\n" * 3, path="node_modules/a.js") == []


def test_secrets_are_found_and_never_repeated() -> None:
    secrets = {
        "private-key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\n" + "b3BlbnNzaC1rZXktdjE" * 4,
        "secret": "token = 'ghp_" + "a1B2" * 9 + "'",
    }
    for rule, text in secrets.items():
        found = list(findings_in("x.env", b"\n" + text.encode(), Language("Other", code=False), 3))
        assert [(each.severity, each.rule, each.line) for each in found] == [("error", rule, 2)]
        assert text[-20:] not in found[0].message
    assert rules_found(b"AKIAIOSFODNN7EXAMPLE\n") == []
    assert rules_found(b"-----BEGIN " + b"PRIVATE KEY-----\n...\n") == []


@pytest.mark.parametrize(("complexity", "severity"), [(15, None), (16, "warning"), (30, "warning"), (31, "error")])
def test_complexity_is_judged_by_its_thresholds(complexity: int, severity: str | None) -> None:
    function = FunctionComplexity(path="a.py", line=3, name="f", complexity=complexity, lines=100)
    assert [each.severity for each in findings_about([function])] == ([severity] if severity else [])


@given(st.permutations([("info", 1), ("error", 2), ("warning", 3), ("error", 1)]), st.integers(1, 4))
def test_the_gravest_findings_do_not_depend_on_the_order(order: list[tuple[Severity, int]], size: int) -> None:
    gravest = GravestFindings()
    for start in range(0, len(order), size):
        gravest.add(
            Finding(severity=severity, rule="r", path="p", line=line, message="m")
            for severity, line in order[start : start + size]
        )
    ranked = [("error", 1), ("error", 2), ("warning", 3), ("info", 1)]
    assert [(each.severity, each.line) for each in gravest.gravest] == ranked
    assert gravest.total == 4


def test_minified_and_huge_files_are_not_measured() -> None:
    assert measurable(b"a = 1\n")
    assert not measurable(b"x" * 30_000)
    assert not measurable(b"a\n" * 300_000)


@pytest.mark.parametrize(
    ("author", "name", "at"),
    [
        (b"Ada <a@x> 100 +0000", "Ada", 100),
        (b"  Ada   B  <a@x> 100 +051800", "Ada   B", 100),
        (b"<a@x> 100 +0000", "", 100),
        (b"Ada <a <b> c> 7 +0000", "Ada", 7),
        (b"Ada", "Ada", 0),
        (b"Ada <a@x> 99999999999999999 +0000", "Ada", 253_402_300_799),
        (b"Ada <a@x> -5 +0000", "Ada", 0),
        (b"\xff <a@x> 1 +0000", "\ufffd", 1),
    ],
)
def test_odd_authors_are_read_leniently(author: bytes, name: str, at: int) -> None:
    header = parse_commit(b"tree " + b"a" * 40 + b"\nauthor " + author + b"\n\nmessage")
    assert (header.author, header.authored_at) == (name, at)


@pytest.mark.parametrize(
    "raw", [b"", b"tree zz\n\nx", b"author A <a> 1 +0\n\n", b"tree " + b"a" * 40 + b"\nparent x\n\n"]
)
def test_a_commit_that_names_no_objects_is_damage(raw: bytes) -> None:
    with pytest.raises(InvalidInputError):
        parse_commit(raw)
