"""Repositories as the API shows them (CONTRACT 6)."""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from models.contract import Contract
from models.runs import StepState
from models.understanding import Count

RepositoryStatus = Literal["loading", "indexing", "ready", "failed"]


class LoadProblem(Contract):
    """Why the last load failed, or why there is nothing to read."""

    code: str = Field(examples=["unknown-ref"])
    message: str


class Repository(Contract):
    """A repository as its caller sees it: how their last load went, and the commit that is read and searched."""

    id: str = Field(examples=["0f3d8a4c5e6b7a8990a1b2c3d4e5f607"])
    name: str = Field(examples=["psf/requests"])
    """`owner/repo`, or the folder's name; `.` is the checkout that the platform runs from."""
    source: str = Field(examples=["https://github.com/psf/requests.git"])
    ref: str | None = Field(examples=["main"])
    """What the caller asked for; null for the default branch."""
    credential: str | None = Field(examples=["github"])
    """The name of the secret that the caller asked for it with."""
    commit: str | None = Field(examples=["0e322af87745eff34caffe4df68456ebc20d9068"])
    """What is served; it stays while a new load is under way, and when that fails. Null: nothing to read yet."""
    commits: Count = Field(examples=[6_300])
    bytes: Count = Field(examples=[12_582_912])
    """In the object store, with the index."""
    status: RepositoryStatus
    error: LoadProblem | None = None
    shared: bool
    """Loaded by an admin without a credential: everybody may read it."""
    run_id: str | None
    """The caller's last load; for admins, anybody's."""
    created_at: datetime
    loaded_at: datetime | None
    links: dict[str, str]
    steps: tuple[StepState, ...] = ()
    """How far the load is. Not in lists."""
    progress: JsonValue = Field(default=None, examples=[{"phase": "indexed 1,500 files"}])
    """Where the step that runs stands, some seconds old; null when none runs. Not in lists."""


class LoadAccepted(Contract):
    """The answer to `POST /context/repos`."""

    id: str = Field(examples=["0f3d8a4c5e6b7a8990a1b2c3d4e5f607"])
    run_id: str = Field(examples=["0b1f5b0e-6a3e-4f0c-9a52-0d7c6f4f2a11"])


EntryType = Literal["file", "folder", "symlink", "submodule"]


class TreeEntry(Contract):
    """An entry of a folder."""

    name: str = Field(examples=["README.md"])
    path: str = Field(examples=["docs/README.md"])
    """From the top. Bytes that are not UTF-8 are replacement characters."""
    type: EntryType
    size: Count | None = Field(examples=[1_204])
    """Bytes of a file; of a symbolic link, of what it says. Null for folders and submodules."""


class FileContents(Contract):
    """A file at one commit."""

    path: str = Field(examples=["README.md"])
    commit: str
    type: EntryType
    size: Count
    """Bytes of the whole file."""
    encoding: Literal["utf-8", "base64"]
    """`base64`: the file is binary, or its text is not UTF-8."""
    content: str
    lines: Count | None
    """Of the whole file; null when it is binary."""
    first_line: Count | None
    """Of `content`, counted from 1; null when there is none."""
    last_line: Count | None


class CommitInfo(Contract):
    """A commit that changed something at a path."""

    commit: str
    author: str
    authored_at: datetime
    subject: str
    """The first line of the message."""
