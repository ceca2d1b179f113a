"""The input of a run, put together from a file and from the command line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client.inputs import parse_inputs, typed_values
from cli.client.positions import Source, read_file
from models.errors import Problem

InputOptions = Annotated[
    list[str] | None,
    typer.Option("--input", "-i", metavar="NAME=TEXT|NAME:=JSON", help="One field of the input; repeatable."),
]
InputFileOption = Annotated[
    Path | None,
    typer.Option("--input-file", exists=True, dir_okay=False, help="The input, YAML or JSON; --input goes before it."),
]
_POINTER = "/input"


@dataclass(frozen=True)
class InputPlaces:
    """Where problems of an input stand: in its file, unless the field came from the command line."""

    source: Source | None
    assigned: frozenset[str]

    def place(self, problem: Problem) -> Problem:
        """The problem with its place, where it has one."""
        field = problem.pointer.removeprefix(f"{_POINTER}/").partition("/")[0]
        if self.source is None or field in self.assigned:
            return problem
        return self.source.place(problem)


def read_input(texts: Sequence[str], file: Path | None, schema: Callable[[], Any]) -> tuple[Any, InputPlaces]:
    """The input, and where its parts came from. `schema` is asked only when there is text whose type it decides.

    Raises typer.BadParameter for a command line that makes no sense, InvalidInputError for a file that cannot be read.
    """
    assignments = parse_inputs(texts)
    value, source = ({}, None) if file is None else read_file(file, _POINTER)
    places = InputPlaces(source, frozenset(assignments))
    if not assignments:
        return value, places
    if not isinstance(value, dict):
        raise typer.BadParameter("this file holds no fields that --input could add to", param_hint="--input-file")
    known = schema() if any(assignment.plain for assignment in assignments.values()) else None
    return {**value, **typed_values(assignments, known)}, places
