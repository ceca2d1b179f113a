"""The examples of docs/workflows.md: YAML blocks whose first comments say what a test does with them and finds.

A block that begins with `# refused` lists `#   code  /pointer` of all its problems. In any other, each of these starts
a run:

    # run {"n": 7}                      with that input
    # dry run {"n": 7}                  the same, touching nothing

and what follows is done and found, in this order:

    # again queued                      one more with the same input: how it stands, or `refused CODE`
    # signal NAME {"payload": 1}        sent to the run
    # answer STEP approve {"data": 1}   by another admin, or `as requester` by the one who has started the run
    # gives {"size": "small"}           it completed with this output
    # ends STATUS CODE                  it ended so; the code is that of its error, none when there is no error
    # refused CODE, CODE                it did not start, for these reasons
    # step ID STATUS REASON             how a step stands then
    # undone ID, ID                     what was undone, in this order
    # counter KEY VALUE                 what a counter stands at afterwards
"""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from models.catalogue import CATALOGUE
from models.documents import read_yaml
from models.errors import InvalidInputError
from models.settings import CHECKOUT
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.signature import Signature, WorkflowKey

PAGE = (CHECKOUT / "docs" / "workflows.md").read_text()
BLOCKS: list[str] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
RIGHT = [block for block in BLOCKS if not block.startswith("# refused\n")]
WRONG = [block for block in BLOCKS if block.startswith("# refused\n")]

_DIRECTIVE = re.compile(r"# (dry run|run|again|signal|answer|gives|ends|refused|step|undone|counter) ?(.*)")


@dataclass
class Example:
    """One run of a block: what is done on the way, and what is found."""

    input: Any
    dry_run: bool
    acts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """`again`, `signal` and `answer`."""
    finds: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def name_of(block: str) -> str:
    """The id of the definition in a block."""
    return re.findall(r"^id: (.*)$", block, re.MULTILINE)[0]


def head_of(block: str) -> list[str]:
    """The comments a block begins with."""
    lines = block.split("\n")
    return lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]


def examples_of(block: str) -> list[Example]:
    """The runs of a block, in their order."""
    examples: list[Example] = []
    for line in head_of(block):
        found = _DIRECTIVE.fullmatch(line)
        assert found, f"{name_of(block)}: {line!r} is no directive"
        word, rest = found.groups()
        if word in {"run", "dry run"}:
            examples.append(Example(from_json(rest), word == "dry run"))
        else:
            (examples[-1].acts if word in {"again", "signal", "answer"} else examples[-1].finds).append((word, rest))
    return examples


def compile_block(text: str, known: dict[WorkflowKey, Signature]) -> Compiled | list[tuple[str, str]]:
    """The compiled block, or code and pointer of each of its problems."""
    try:
        compiled = compile_definition(read_yaml(text.encode()), CATALOGUE, known, version=1)
    except InvalidInputError as error:
        return [(problem.code, problem.pointer) for problem in error.problems]
    return compiled if isinstance(compiled, Compiled) else [(problem.code, problem.pointer) for problem in compiled]


def signatures() -> dict[WorkflowKey, Signature]:
    """What the blocks of the page are to each other, each seeing those before it."""
    known: dict[WorkflowKey, Signature] = {}
    for block in RIGHT:
        compiled = compile_block(block, known)
        if isinstance(compiled, Compiled):
            known[name_of(block), None] = known[name_of(block), 1] = compiled.signature
    return known
