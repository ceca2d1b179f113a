"""Symbols as the API shows them: what is defined, where a name is defined, and where it is used."""

from typing import Literal

from pydantic import Field

from models.contract import Contract


class Definition(Contract):
    """A definition. Local variables are none."""

    path: str = Field(examples=["src/retry.py"])
    name: str = Field(examples=["retry"])
    kind: str = Field(examples=["method"])
    line: int = Field(ge=1)
    """Of the name."""
    column: int = Field(ge=1, description="Of the name, in characters.")
    end_line: int = Field(ge=1)
    """The last line of the definition."""
    container: str = Field(examples=["Client"])
    """The names around it, outermost first; empty at the top level."""


class FoundDefinition(Definition):
    """A definition of the name that was asked about."""

    text: str = Field(examples=["    def retry(self, times):"])
    """The line, or what is around the name on a long one."""


class Occurrence(Contract):
    """A place where a name stands as an identifier."""

    path: str = Field(examples=["src/use.py"])
    line: int = Field(ge=1)
    column: int = Field(ge=1, description="In characters.")
    text: str = Field(examples=["client.retry(3)"])
    """The line, or what is around the name on a long one."""
    definition: str | None = Field(examples=[None])
    """The kind of symbol that is defined there; null where it is used."""


class AtCommit(Contract):
    """What is said of the files of one commit, as far as there was time to look."""

    commit: str = Field(examples=["0e322af87745eff34caffe4df68456ebc20d9068"])
    complete: bool = Field(examples=[True])
    """False: there may be more. The time was over, and a `next_cursor` goes on; or the parser gave up on the file."""


class Named(AtCommit):
    """What is said of a name."""

    name: str = Field(examples=["retry"])
    approximate: Literal[True] = True
    """Names are compared, not what they mean: two things of one name are one."""
