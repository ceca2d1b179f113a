"""Activity events out of a Git repository's log: real times, offsets, pauses and habits of people.

Each commit becomes a completed challenge at its author's local time, every third one a heartbeat as well. What a log
does not have (scores, topics, providers) follows from the commit's hash, so that the same log gives the same events.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

Json = dict[str, Any]
SOURCE = "git"
_LANGUAGES = ("c", "go", "java", "python", "ruby", "rust", "zig")
_DIFFICULTIES = ("easy", "medium", "hard", "expert")
_TOPICS = ("arrays", "graphs", "hashing", "loops", "recursion", "sorting", "strings", "trees")
_PROVIDERS = ("local", "north", "south", None)
_EXTENSION = re.compile(r"\.([a-z][a-z0-9+]{0,9})")
_LONGEST_ATTEMPT = 900
_HEARTBEAT_EVERY = 3


class Commit(NamedTuple):
    """What the log says of a commit."""

    hash: str
    email: str
    at: datetime
    first_file: str


def activity_of(repository: Path, now: datetime) -> list[Json]:
    """Events as a grader posts them, the oldest first. Commits of the future or of no real time are left out."""
    commits = sorted(commits_of(repository, now), key=lambda commit: (commit.at, commit.hash))
    events: list[Json] = []
    for place, commit in enumerate(commits):
        events.append(_completed(commit))
        if place % _HEARTBEAT_EVERY == 0:
            events.append(_heartbeat(commit))
    return events


def commits_of(repository: Path, now: datetime) -> Iterator[Commit]:
    """The commits that can be reached from anywhere, with times that are possible."""
    git = shutil.which("git")
    if git is None:
        raise FileNotFoundError("there is no git")
    command = [git, "-C", str(repository), "log", "--all", "--no-renames", "--name-only"]
    with subprocess.Popen(  # noqa: S603 - no shell, and nothing of it comes from outside
        [*command, "--format=%x01%H%x00%ae%x00%aI%x00"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as log:
        assert log.stdout is not None  # noqa: S101 - it is a pipe
        head, file = "", ""
        for raw in log.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            if line.startswith("\x01"):
                yield from _commit(head, file, now)
                head, file = line[1:], ""
            elif line and not file:
                file = line.strip('"')
        yield from _commit(head, file, now)
    if log.returncode:
        raise ValueError(f"git log ended with status {log.returncode}")


def _commit(head: str, file: str, now: datetime) -> Iterator[Commit]:
    parts = head.split("\x00")
    if len(parts) < 3:  # noqa: PLR2004 - hash, address and time
        return
    try:
        at = datetime.fromisoformat(parts[2])
        at.astimezone(UTC)
    except (ValueError, OverflowError):
        return
    if at.tzinfo is not None and at <= now:
        yield Commit(parts[0], parts[1], at, file)


def _completed(commit: Commit) -> Json:
    part = _Parts(commit.hash)
    data = {
        "challenge_id": commit.hash[:3],
        "language": _language(commit.first_file) or _LANGUAGES[part.number(3, 5) % len(_LANGUAGES)],
        "difficulty": _DIFFICULTIES[part.number(5, 7) % len(_DIFFICULTIES)],
        "topics": sorted({_TOPICS[part.number(7, 9) % len(_TOPICS)], _TOPICS[part.number(9, 11) % len(_TOPICS)]}),
        "score": part.number(11, 15) % 401 / 4,
        "started_at": (commit.at - timedelta(seconds=part.number(15, 19) % _LONGEST_ATTEMPT)).isoformat(),
    }
    provider = _PROVIDERS[part.number(19, 21) % len(_PROVIDERS)]
    return _event(
        commit, commit.hash, "challenge.completed", commit.at, data | ({"provider": provider} if provider else {})
    )


def _heartbeat(commit: Commit) -> Json:
    part = _Parts(commit.hash)
    at = commit.at - timedelta(seconds=part.number(21, 25) % 7_200)
    data = {"activity": "coding", "duration_seconds": part.number(25, 29) % 5_400}
    return _event(commit, f"{commit.hash}-heartbeat", "session.heartbeat", at, data)


def _event(commit: Commit, name: str, kind: str, at: datetime, data: Json) -> Json:
    user = f"git-{blake2b(commit.email.encode(), digest_size=6).hexdigest()}"
    return {"id": name, "source": SOURCE, "user_id": user, "kind": kind, "at": at.isoformat(), "data": data}


def _language(file: str) -> str | None:
    match = _EXTENSION.fullmatch(PurePosixPath(file).suffix.lower())
    return match[1] if match else None


class _Parts:
    """Numbers out of a hash."""

    def __init__(self, commit_hash: str) -> None:
        self._hash = commit_hash

    def number(self, start: int, end: int) -> int:
        return int(self._hash[start:end], 16)
