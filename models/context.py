"""Contracts of the context service: repositories and what they contain."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from models.actions import ActionSpec, Retry, Timeout
from models.contract import Contract

ForgeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


class LoadRepo(Contract):
    """Exactly one source: `owner` with `repo` (on the configured forge), an https `url`, or a local `path`."""

    owner: ForgeName | None = Field(default=None, examples=["psf"])
    repo: ForgeName | None = Field(default=None, examples=["requests"])
    url: str | None = Field(default=None, max_length=2_000, examples=["https://github.com/psf/requests"])
    path: str | None = Field(default=None, max_length=4_000, description="Local repository under an allowed root.")
    ref: str | None = Field(default=None, max_length=300, description="Branch, tag or commit; default: HEAD.")

    @model_validator(mode="after")
    def _one_source(self) -> "LoadRepo":
        sources = [self.owner is not None or self.repo is not None, self.url is not None, self.path is not None]
        if sum(sources) != 1:
            msg = "name exactly one source: owner and repo, url, or path"
            raise ValueError(msg)
        if (self.owner is None) != (self.repo is None):
            msg = "owner and repo go together"
            raise ValueError(msg)
        return self


Count = Annotated[int, Field(ge=0, le=2**53)]


class LoadedRepo(Contract):
    """A repository in the object store, at one commit. Small: contents stay in the store."""

    id: str
    """Opaque: names the repository in the store."""
    name: str
    """`owner/repo`, or the folder's name for a local path."""
    source: str
    """Where it came from, without credentials, so that a worker that misses the commit loads it again."""
    commit: str
    ref: str | None
    commits: Count
    """Commits reachable from `commit`."""
    bytes_fetched: Count


class Analyze(Contract):
    """The repository to analyze, as `load-repo` returned it."""

    repo: LoadedRepo


class LanguageStats(Contract):
    """Files and lines of one language, most lines first."""

    language: str
    files: Count
    lines: Count
    """Newline-terminated lines, as `wc -l` counts, plus one for an unterminated last line."""
    bytes: Count


class FileChurn(Contract):
    """A file and the commits that touched it."""

    path: str
    commits: Count
    lines: Count


class Contributor(Contract):
    """An author, by the name written in the commits (merges included), and their commits. No e-mail addresses."""

    name: str
    commits: Count
    first_at: datetime
    last_at: datetime


class FunctionComplexity(Contract):
    """A function and its cyclomatic complexity, most complex first."""

    path: str
    line: Count
    name: str
    complexity: Count
    lines: Count


Severity = Literal["info", "warning", "error"]


class Finding(Contract):
    """Something worth a reviewer's look, with its place."""

    severity: Severity
    rule: str
    path: str
    line: Count
    message: str


class MonthActivity(Contract):
    """Commits in one calendar month (UTC of the author's time)."""

    month: Annotated[str, StringConstraints(pattern=r"^\d{4,6}-\d{2}$")]
    commits: Count


class Analysis(Contract):
    """What a repository contains at one commit and how it came to be."""

    repo: LoadedRepo
    files: Count
    """Files in the commit's tree (blobs, symbolic links included, submodules not)."""
    binary_files: Count
    bytes: Count
    lines: Count
    languages: tuple[LanguageStats, ...]
    functions: Count
    average_complexity: float = Field(ge=0, allow_inf_nan=False)
    complex_functions: tuple[FunctionComplexity, ...]
    """The 20 most complex."""
    largest_files: tuple[FileChurn, ...]
    """The 10 with the most lines."""
    commits: Count
    first_commit_at: datetime | None
    last_commit_at: datetime | None
    hot_files: tuple[FileChurn, ...]
    """The 20 touched by the most commits (merges not counted)."""
    contributors: tuple[Contributor, ...]
    """The 20 with the most commits."""
    contributor_count: Count
    activity: Annotated[tuple[MonthActivity, ...], Field(max_length=1_200)]
    test_files: Count
    manifests: tuple[str, ...]
    """Paths of dependency manifests found."""
    findings: tuple[Finding, ...]
    """At most 100, the gravest first."""
    findings_total: Count
    skipped: dict[str, int]
    """Files not analyzed, by reason (`binary`, `too-large`, `unreadable`)."""


LOAD_REPO = ActionSpec(
    service="context",
    name="load-repo",
    summary="Load a Git repository into the object store",
    input=LoadRepo,
    result=LoadedRepo,
    retry=Retry(max_attempts=4, initial=2.0),
    timeout=Timeout(start_to_close=900.0, heartbeat=30.0),
)
ANALYZE = ActionSpec(
    service="context",
    name="analyze",
    summary="Measure a repository: languages, complexity, history, findings",
    input=Analyze,
    result=Analysis,
    retry=Retry(max_attempts=3),
    timeout=Timeout(start_to_close=1_800.0, heartbeat=30.0),
)

ACTIONS = (LOAD_REPO, ANALYZE)
