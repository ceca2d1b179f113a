"""Patterns as RE2 runs them over bytes, and the trigrams that whatever they match must have. Pure.

RE2 takes time linear in the text whatever the pattern is. `never_nl` keeps a match on its line, as grep does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import re2

from services.context.search.query import Pattern, refuse

GRAM = 3
Grams = tuple[frozenset[str], ...]
"""Alternatives: a text that matches has all trigrams of one of them. An empty alternative excludes nothing."""
ANYTHING: Grams = (frozenset(),)
_MOST_MEMORY = 8 * 2**20
_MOST_ALTERNATIVES = 20


@dataclass(frozen=True)
class Matcher:
    """A pattern, ready."""

    regexp: Any
    grams: Grams
    literal: str = ""
    """What it looks for, without its case; empty for a regular expression."""

    def spans(self, text: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
        """Where it matches, from left to right; empty matches are none."""
        for match in self.regexp.finditer(text, start):
            start, end = match.span()
            if end > start:
                yield start, end

    def may_be_in(self, folded: str) -> bool:
        """Whether it may match in a text of which the case is taken away; much faster than to look."""
        return self.literal in folded and any(all(gram in folded for gram in grams) for grams in self.grams)

    def is_in(self, text: bytes) -> bool:
        """Whether it matches anywhere."""
        return self.regexp.search(text) is not None


def matcher(pattern: Pattern, *, case_sensitive: bool) -> Matcher:
    """The pattern for the lines of a file. Raises InvalidInputError that names the place in the query."""
    if not pattern.regex:
        compiled = _compile(pattern, literal=True, case_sensitive=case_sensitive)
        return Matcher(compiled, literal_grams(pattern.text), pattern.text.casefold())
    compiled = _compile(pattern, literal=False, case_sensitive=case_sensitive)
    return Matcher(compiled, regex_grams(pattern.text))


def name_matcher(pattern: Pattern, *, case_sensitive: bool = False) -> Matcher:
    """The same for paths and names: a text that has `*` or `?` is a glob for all of it."""
    if pattern.regex or not re.search(r"[*?]", pattern.text):
        return matcher(pattern, case_sensitive=case_sensitive)
    glob = Pattern(_glob(pattern.text), regex=True, column=pattern.column)
    return Matcher(_compile(glob, literal=False, case_sensitive=case_sensitive), ANYTHING)


def literal_grams(text: str) -> Grams:
    """The trigrams of a text."""
    return (grams_of(text),)


def grams_of(text: str) -> frozenset[str]:
    """The trigrams of a text without its case, as they are indexed."""
    folded = text.casefold()
    return frozenset(folded[place : place + GRAM] for place in range(len(folded) - GRAM + 1))


def regex_grams(pattern: str) -> Grams:
    """What is sure about a regular expression: the literal runs outside of groups, classes and repetitions."""
    if "\\Q" in pattern or "(?" in pattern.replace("(?:", "").replace("(?i)", ""):
        return ANYTHING
    alternatives = tuple(_runs(part) for part in _alternatives(pattern))
    if len(alternatives) > _MOST_ALTERNATIVES or not all(alternatives):
        return ANYTHING
    return alternatives


def _compile(pattern: Pattern, *, literal: bool, case_sensitive: bool) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.UTF8
    options.never_nl = True
    options.never_capture = True
    options.log_errors = False
    options.max_mem = _MOST_MEMORY
    options.case_sensitive = case_sensitive
    options.literal = literal
    text = pattern.text if literal else f"(?m){pattern.text}"
    try:
        return re2.compile(text.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else "it cannot be read"
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        refuse(pattern.column, f"not a regular expression of RE2: {told}")


def _glob(text: str) -> str:
    """A glob as a regular expression: `**` crosses folders, `*` and `?` do not. Anchored when it begins with `/`."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", text.removeprefix("/"))
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(known.get(part, re.escape(part)) for part in parts)
    return f"^{body}$" if text.startswith("/") else f"(?:^|/){body}$"


def _alternatives(pattern: str) -> list[str]:
    """The parts between `|` outside of groups and classes."""
    parts, start = list[str](), 0
    for place, char, depth in _outline(pattern):
        if char == "|" and depth == 0:
            parts.append(pattern[start:place])
            start = place + 1
    return [*parts, pattern[start:]]


def _outline(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Each character that is neither escaped nor in a class, with the number of groups around it."""
    place, depth = 0, 0
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            place += 2
            continue
        if char == "[":
            place = _after_class(pattern, place)
            continue
        depth += (char == "(") - (char == ")")
        yield place, char, depth
        place += 1


def _after_class(pattern: str, place: int) -> int:
    place += 1
    place += pattern.startswith("^", place)
    place += pattern.startswith("]", place)
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
        if pattern.startswith("[:", place):
            place = max(pattern.find(":]", place) + 2, place + 1)
    return place + 1


def _runs(pattern: str) -> frozenset[str]:
    """The trigrams of the literal runs of a concatenation."""
    found, run, place = set[str](), list[str](), 0
    while place < len(pattern):
        char, literal = pattern[place], ""
        if char == "\\":
            escaped = pattern[place + 1 : place + 2]
            literal, after = ("" if escaped.isalnum() else escaped), place + 2
            if escaped in "xpP":
                return frozenset(found)  # what follows belongs to the escape: enough is known
        elif char == "[":
            after = _after_class(pattern, place)
        elif char == "(":
            after = _after_group(pattern, place)
        else:
            literal, after = ("" if char in ".^$*+?{}|)" else char), place + 1
        repetition = re.compile(r"[*?]|\+|\{[0-9,]*\}").match(pattern, after)
        if literal and (repetition is None or repetition[0] == "+"):
            run.append(literal)
        if not literal or repetition is not None:
            found |= grams_of("".join(run))
            run = [literal] if literal and repetition is not None and repetition[0] == "+" else []
        place = repetition.end() if repetition is not None else after
    return frozenset(found | grams_of("".join(run)))


def _after_group(pattern: str, place: int) -> int:
    for at, char, depth in _outline(pattern[place:]):
        if char == ")" and depth == 0:
            return place + at + 1
    return len(pattern)
