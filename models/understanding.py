"""Contracts of what an analysis understands beyond counting: repetition, dependencies, people, differences."""

from typing import Annotated, Literal

from pydantic import Field

from models.contract import Contract

Count = Annotated[int, Field(ge=0, le=2**53)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class LineRange(Contract):
    """Lines of a file, both ends included."""

    path: str
    first_line: Count
    last_line: Count


class DuplicatedBlock(Contract):
    """Lines that stand at two or more places which do not overlap."""

    lines: Count
    """Lines of code of one copy: without blank lines and lines of comment."""
    copies: Count
    places: tuple[LineRange, ...]
    """At most 10 of the copies, in the order of their paths."""


class Duplication(Contract):
    """Blocks of at least 10 lines of code that stand elsewhere too.

    Compared are files of programming languages that are neither vendored nor generated. Blank lines and lines that hold
    nothing but a comment do not count, nor does white space within lines.
    """

    lines: Count = 0
    """Lines of code that belong to such a block, each counted once, the first copy included."""
    compared_lines: Count = 0
    """Lines of code that were compared."""
    ratio: Share = 0.0
    """`lines` / `compared_lines`."""
    blocks_total: Count = 0
    blocks: tuple[DuplicatedBlock, ...] = ()
    """The 20 with the most lines. Found greedily: a copy is held against the earliest place that starts as it does."""
    files_left_out: Count = 0
    """Files of code that were not compared, because the limit on lines was reached."""


Ecosystem = Literal["python", "npm", "go", "rust", "maven"]
Scope = Literal["runtime", "dev", "optional"]


class Dependency(Contract):
    """A dependency as a manifest declares it."""

    name: str
    constraint: str
    """As written: versions, extras, markers, sources. A Maven property is replaced where the same file defines it."""
    scope: Scope
    """`dev`: for building and testing. `optional`: only when asked for."""
    ecosystem: Ecosystem
    path: str
    line: Count | None = None
    """None where the format does not give it cheaply."""


class License(Contract):
    """A licence found in a repository."""

    spdx: str | None
    """The SPDX identifier; of a manifest: what it says. None for the text of a licence that is not recognized."""
    path: str
    source: Literal["text", "manifest"]
    similarity: Share = 1.0
    """Of a text: the share of words it has in common with the licence (1: the same words)."""


class HotSpot(Contract):
    """A file that changes often and is complex."""

    path: str
    commits: Count
    """That touched it, merges not counted; renames are not followed."""
    complexity: Count
    """Cyclomatic, of its most complex function."""
    function: str
    line: Count
    score: Count
    """commits x complexity: a rank, without a unit."""


class Owned(Contract):
    """A file or folder and the author of most of its changes."""

    path: str
    """A folder ends with `/`; the whole tree is `/`."""
    author: str
    share: Share
    """Of the changes. A change is one commit, not a merge, that touched one file."""
    changes: Count
    authors: Count


class Ownership(Contract):
    """Who knows the code, as far as commits tell. Files that no longer exist do not count, except for `bus_factor`."""

    bus_factor: Count
    """The fewest authors who together made more than half of all commits, merges included."""
    folders: tuple[Owned, ...] = ()
    """The 20 folders, at most two deep, with the most changes."""
    files: tuple[Owned, ...] = ()
    """The 20 files with the most changes."""
    files_of_one: Count = 0
    """Files changed at least three times, always by the same author."""
    files_changed_often: Count = 0
    """Files changed at least three times."""


class CodeAndTests(Contract):
    """Code in programming languages, vendored and generated files included, split by the conventions for tests."""

    code_files: Count = 0
    """Files of code that are not tests."""
    code_lines: Count = 0
    test_files: Count = 0
    test_lines: Count = 0


class UnreachableFile(Contract):
    """A tracked file that users of the code do not get to see, or that leads nowhere.

    `export-ignore` and `linguist-generated` come from `.gitattributes`; the target of a `dangling-symlink` is not
    in the tree.
    """

    path: str
    reason: Literal["export-ignore", "linguist-generated", "dangling-symlink"]


class HugeFile(Contract):
    """A file of more than 1 MiB."""

    path: str
    bytes: Count


ChangeKind = Literal["added", "removed", "modified", "renamed"]


class FileChange(Contract):
    """What became of one file."""

    path: str
    """In the newer commit; where it was, for a removed file."""
    change: ChangeKind
    old_path: str | None = None
    """Of a renamed file."""
    similarity: Share | None = None
    """Of a renamed file: the share of its bytes that is the same."""
    binary: bool = False
    lines_added: Count | None = None
    lines_removed: Count | None = None
    """Both None for binary files, and for files too large to compare."""
