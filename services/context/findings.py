"""What in a file is worth a reviewer's look. Pure rules over one file's text; secrets found are never repeated."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from models.context import Finding, FunctionComplexity, Severity
from services.context.conventions import is_foreign
from services.context.languages import Language

COMPLEX, VERY_COMPLEX = 15, 30
"""Cyclomatic complexity above which a function is hard to test, and hard to understand at all."""
LONG_FUNCTION = 100
LONG_FILE = 1_000
LONG_LINE = 300
KEPT = 100
_RANK = {"error": 0, "warning": 1, "info": 2}

_MARKER = re.compile(rb"\b(TODO|FIXME|XXX|HACK)\b")
_CONFLICT_START = re.compile(rb"^<{7} ", re.MULTILINE)
_CONFLICT_END = re.compile(rb"^>{7} ", re.MULTILINE)
_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\r?\n|\\n)[^-]{0,400}?[A-Za-z0-9+/=]{32}"
)
_TOKENS = (
    ("an AWS access key", re.compile(rb"\b(?:AKIA|ASIA)(?![A-Z0-9]{0,16}EXAMPLE)[A-Z0-9]{16}\b")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b")),
    ("a Slack token", re.compile(rb"\bxox[abprs]-[0-9]{8,}-[A-Za-z0-9-]{16,}\b")),
)

Add = Callable[[Severity, str, int, str], Finding]


def findings_in(path: str, text: bytes, language: Language, lines: int) -> Iterator[Finding]:
    """What stands out in one text file."""

    def add(severity: Severity, rule: str, line: int, message: str) -> Finding:
        return Finding(severity=severity, rule=rule, path=path, line=line, message=message)

    yield from _secrets(text, add)
    if (start := _CONFLICT_START.search(text)) and _CONFLICT_END.search(text, start.end()):
        yield add("error", "merge-conflict", _line(text, start.start()), "merge conflict markers were committed")
    if language.code and not is_foreign(path):
        yield from _style(text, lines, add)


def _secrets(text: bytes, add: Add) -> Iterator[Finding]:
    for match in _PRIVATE_KEY.finditer(text):
        line = _line(text, match.start())
        yield add("error", "private-key", line, "a private key was committed: replace it, and take it out of history")
    for what, pattern in _TOKENS:
        for match in pattern.finditer(text):
            line = _line(text, match.start())
            yield add("error", "secret", line, f"what looks like {what} was committed: revoke it")


def _style(text: bytes, lines: int, add: Add) -> Iterator[Finding]:
    if lines > LONG_FILE:
        yield add(
            "warning", "long-file", 1, f"{lines} lines in one file: more than {LONG_FILE} is hard to find one's way in"
        )
    long_lines = 0
    for number, line in enumerate(text.split(b"\n"), start=1):
        if len(line) > LONG_LINE:
            long_lines += 1
            if long_lines == 1:
                first = add(
                    "info", "long-line", number, f"a line of {len(line)} bytes; more than {LONG_LINE} hide changes"
                )
                yield first
        if marker := _MARKER.search(line):
            yield add("info", "todo", number, f"a {marker[1].decode('ascii')} was left in the code")


def _line(text: bytes, offset: int) -> int:
    return text.count(b"\n", 0, offset) + 1


def findings_about(functions: Iterable[FunctionComplexity]) -> Iterator[Finding]:
    """Functions too complex or too long, outside of foreign code."""
    for function in functions:
        if is_foreign(function.path):
            continue
        add = partial(Finding, path=function.path, line=function.line)
        if function.complexity > COMPLEX:
            yield add(
                severity="error" if function.complexity > VERY_COMPLEX else "warning",
                rule="complex-function",
                message=f"{function.name} has a cyclomatic complexity of {function.complexity}; {COMPLEX} is plenty",
            )
        if function.lines > LONG_FUNCTION:
            yield add(
                severity="warning",
                rule="long-function",
                message=f"{function.name} is {function.lines} lines long; {LONG_FUNCTION} is plenty",
            )


@dataclass
class GravestFindings:
    """Counts all findings and keeps the gravest, so that memory stays bounded."""

    total: int = 0
    _kept: list[Finding] = field(default_factory=list[Finding])

    def add(self, findings: Iterable[Finding]) -> None:
        """Count these and keep those that matter."""
        new = list(findings)
        if new:
            self.total += len(new)
            self._kept = sorted((*self._kept, *new), key=_gravity)[:KEPT]

    @property
    def gravest(self) -> tuple[Finding, ...]:
        """The gravest first, then by place."""
        return tuple(self._kept)


def _gravity(finding: Finding) -> tuple[int, str, int, str, str]:
    return _RANK[finding.severity], finding.path, finding.line, finding.rule, finding.message
