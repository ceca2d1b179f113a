"""Files people write, and where in them the parts that JSON Pointers name stand."""

import re
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cli.client.refusals import PlacedProblem, placed_by
from models.documents import read_json, read_yaml
from models.errors import Problem

_READING_PLACE = re.compile(r"line (\d+), column (\d+): ")
"""How reading says where it stopped; there is no pointer into what could not be read."""
_ABOUT_KEYS = frozenset({"unknown-field"})
"""Codes of problems whose place is the key; that of the others is its value."""


@dataclass(frozen=True)
class Position:
    """A place in a text; both begin with 1."""

    line: int
    column: int


_BEGINNING = Position(1, 1)


@dataclass(frozen=True)
class Source:
    """The text of a JSON or YAML file. Pointers of problems begin with `prefix` where it was posted inside of more."""

    name: str
    text: str
    prefix: str = ""

    def place(self, problem: Problem) -> Problem:
        """The problem with its place in this file; as it is when it is about something else."""
        if problem.code == "unreadable" and (found := _READING_PLACE.match(problem.message)):
            message = problem.message[found.end() :]
            return self._placed(problem, Position(int(found[1]), int(found[2])), message)
        inside = problem.pointer.removeprefix(self.prefix)
        if not problem.pointer.startswith(self.prefix) or inside[:1] not in {"", "/"}:
            return problem
        position = find_position(self._tree, inside, at_key=problem.code in _ABOUT_KEYS)
        return self._placed(problem, position, problem.message)

    @cached_property
    def _tree(self) -> Node | None:
        return parse(self.text)

    def _placed(self, problem: Problem, position: Position, message: str) -> PlacedProblem:
        fields = problem.model_dump() | {"message": message}
        return PlacedProblem(**fields, file=self.name, line=position.line, column=position.column)


def read_file(file: Path, prefix: str = "") -> tuple[Any, Source]:
    """The JSON value in a file and its source. JSON is told by the name's end `.json`; the rest is YAML 1.2.

    Raises InvalidInputError, placed in the file.
    """
    content = file.read_bytes()
    source = Source(str(file), content.decode(errors="replace"), prefix)
    with placed_by(source):
        value = read_json(content) if file.suffix == ".json" else read_yaml(content)
    return value, source


def parse(text: str) -> Node | None:
    """A JSON or YAML text as a tree that knows its places; None when it cannot be read."""
    try:
        # Tabs indent JSON as well; YAML wants none there. Inside strings JSON has none.
        return YAML(pure=True).compose(StringIO(text.replace("\t", " ")))
    except (YAMLError, ValueError):
        return None


def find_position(tree: Node | None, pointer: str, *, at_key: bool) -> Position:
    """Where the part that a pointer names stands, or the innermost part around it that is there.

    `at_key`: where its name stands, rather than its value.
    """
    if tree is None:
        return _BEGINNING
    name = node = tree
    for part in pointer.split("/")[1:]:
        step = _descend(node, part.replace("~1", "/").replace("~0", "~"))
        if step is None:
            return _start_of(name)
        name, node = step
    return _start_of(name if at_key else node)


def _descend(node: Node, part: str) -> tuple[Node, Node] | None:
    """The nodes of a part's name and value; items of a list are their own name."""
    match node:
        case MappingNode(value=pairs):
            for key, value in pairs:
                if isinstance(key, ScalarNode) and key.value == part:
                    return key, value
        case SequenceNode(value=items) if part.isdecimal() and int(part) < len(items):
            return items[int(part)], items[int(part)]
        case _:
            pass
    return None


def _start_of(node: Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
