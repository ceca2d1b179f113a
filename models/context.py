"""Contracts of the context service: repositories and what they contain."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from models.actions import ActionSpec, Retry, Timeout
from models.contract import Contract
from models.identity import Role
from models.secrets import SecretName
from models.understanding import (
    CodeAndTests,
    Count,
    Dependency,
    Duplication,
    FileChange,
    HotSpot,
    HugeFile,
    License,
    Ownership,
    UnreachableFile,
)

ForgeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


RepositoryId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
CommitName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class LoadRepo(Contract):
    """Exactly one source: `owner` with `repo` (on the configured forge), an https `url`, or a local `path`."""

    owner: ForgeName | None = Field(default=None, examples=["psf"])
    repo: ForgeName | None = Field(default=None, examples=["requests"])
    url: str | None = Field(default=None, max_length=2_000, examples=["https://github.com/psf/requests"])
    path: str | None = Field(default=None, max_length=4_000, description="Local repository under an allowed root.")
    ref: str | None = Field(default=None, max_length=300, description="Branch, tag or commit; default: HEAD.")
    credential: SecretName | None = Field(
        default=None,
        description="For a private repository: name of a secret of the caller's, `user:password` or a token.",
        examples=["github"],
    )

    @field_validator("credential")
    @classmethod
    def _is_shown_to_a_server(cls, credential: str | None, info: ValidationInfo) -> str | None:
        if credential is not None and info.data.get("path") is not None:
            msg = "a credential goes with url, or with owner and repo; path needs none"
            raise ValueError(msg)
        return credential

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


class LoadedRepo(Contract):
    """A repository in the object store, at one commit. Small: contents stay in the store."""

    id: RepositoryId
    """Opaque: names the repository in the store."""
    name: str
    """`owner/repo`, or the folder's name for a local path."""
    source: str
    """Where it came from, without credentials, so that a worker that misses the commit loads it again."""
    commit: CommitName
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
    duplication: Duplication = Duplication()
    dependencies: tuple[Dependency, ...] = ()
    """At most 500, by manifest, in its order."""
    dependencies_total: Count = 0
    licenses: tuple[License, ...] = ()
    """At most 50, those nearest to the root first."""
    hot_spots: tuple[HotSpot, ...] = ()
    """The 20 with the highest score, of the files that hold functions and were changed more than once."""
    ownership: Ownership | None = None
    """None where an analysis was stored before it was measured."""
    code_and_tests: CodeAndTests = CodeAndTests()
    unreachable_files: tuple[UnreachableFile, ...] = ()
    """At most 50. That nothing imports a file cannot be known for certain, and is not said."""
    unreachable_total: Count = 0
    huge_files: tuple[HugeFile, ...] = ()
    """The 20 largest files of more than 1 MiB."""


class RemoveRepo(Contract):
    """A repository of the store."""

    id: RepositoryId


class RemovedRepo(Contract):
    """What became of it."""

    id: str
    removed: bool
    """False when somebody asked for it in the meantime."""


LOAD_REPOSITORY = "tooloo-load-repository"
"""The definition whose runs load what `POST /context/repos` asks for."""


class Index(Contract):
    """The repository to make searchable, as `load-repo` returned it."""

    repo: LoadedRepo


class Indexed(Contract):
    """A commit that can be searched."""

    repo_id: str
    commit: str
    files: Count
    """Whose content is searched."""
    skipped: dict[str, int]
    """Files whose content is not searched, by reason."""
    new_blobs: Count
    """Contents that no commit indexed before had."""
    without_symbols: Count = 0
    """Of these, sources whose symbols could not be read: too large or deeply nested, or the parser gave up on them."""
    bytes: Count
    """Of the index of the repository on the disk."""


class Search(Contract):
    """A query, in the language of docs/context.md."""

    query: Annotated[str, StringConstraints(max_length=2_000)] = Field(examples=["symbol:compile lang:python"])
    repo: LoadedRepo | None = Field(default=None, description="Only in this one, as `load-repo` returned it.")
    cursor: str | None = Field(default=None, max_length=4_000, description="`next_cursor` of the page before.")


class LineMatch(Contract):
    """Where a pattern is found."""

    line: int = Field(ge=1)
    column: int = Field(ge=1, description="In characters.")
    length: Count
    text: str
    """The line, or what is around the match on a long one."""
    before: tuple[str, ...] = ()
    """The line before it."""
    after: tuple[str, ...] = ()
    symbol: str | None = None
    """The kind of symbol that is defined there."""


class FileMatch(Contract):
    """A file that a query matches; without `matches` only by its path."""

    repo: str
    commit: str
    path: str
    lang: str | None
    matches: tuple[LineMatch, ...]


class SkippedFile(Contract):
    """A file whose content was not searched."""

    repo: str
    path: str
    reason: str


class SearchEnd(Contract):
    """How a search went."""

    query: str
    total: Count
    """Files that match. At least so many when `is_complete` is false: a search has a time limit."""
    is_complete: bool = True
    next_cursor: str | None = None
    not_indexed: tuple[str, ...] = ()
    """Repositories that were left out, since they cannot be searched yet."""
    skipped: tuple[SkippedFile, ...] | None = None
    """When asked for; at most a thousand."""


class SearchResults(SearchEnd):
    """Files that match, in a stable order: definitions and whole words first, tests and what is generated last."""

    items: tuple[FileMatch, ...]


class Diff(Contract):
    """The newer commit, as `load-repo` returned it, and the older one it is compared with."""

    repo: LoadedRepo
    base: str = Field(
        min_length=1,
        max_length=300,
        description="Commit (4 hexadecimal digits or more), branch or tag of the same repository.",
        examples=["v1.0"],
    )


class Difference(Contract):
    """What changed from one commit to another, files compared directly (as `git diff base head`)."""

    repo: LoadedRepo
    base_commit: str
    files_added: Count
    files_removed: Count
    files_modified: Count
    files_renamed: Count
    """Same contents, or at least half of the bytes the same."""
    binary_files: Count
    lines_added: Count
    lines_removed: Count
    """The fewest that lead from one to the other, over all files whose lines were compared, listed or not."""
    files: tuple[FileChange, ...]
    """The first 1,000 by path."""
    left_out: dict[str, int]
    """What is not in the figures, by reason: `not-listed` (files counted only), `too-large` (lines not compared),
    `unreadable`, `submodule`, `rename-pairs` (candidates for renames that were not compared)."""


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
REMOVE_REPO = ActionSpec(
    service="context",
    name="remove-repo",
    summary="Remove a repository that nobody has asked for from the object store",
    input=RemoveRepo,
    result=RemovedRepo,
    retry=Retry(max_attempts=30),
    roles=frozenset({Role.ADMIN}),
)
DIFF = ActionSpec(
    service="context",
    name="diff",
    summary="Compare two commits of a repository: files added, removed, modified and renamed, lines changed",
    input=Diff,
    result=Difference,
    retry=Retry(max_attempts=3),
    timeout=Timeout(start_to_close=900.0, heartbeat=30.0),
)
INDEX = ActionSpec(
    service="context",
    name="index",
    summary="Make a loaded repository searchable: contents, paths and symbols",
    input=Index,
    result=Indexed,
    retry=Retry(max_attempts=3),
    timeout=Timeout(start_to_close=1_800.0, heartbeat=30.0),
)
SEARCH = ActionSpec(
    service="context",
    name="search",
    summary="Search in contents, paths and symbols of all repositories that the caller may read",
    input=Search,
    result=SearchResults,
    retry=Retry(max_attempts=3),
    timeout=Timeout(start_to_close=60.0),
)

ACTIONS = (LOAD_REPO, INDEX, SEARCH, ANALYZE, DIFF, REMOVE_REPO)
