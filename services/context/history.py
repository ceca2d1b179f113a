"""What a repository's history says: who worked when, and which files change most."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dulwich.objects import ObjectID

from models.context import Contributor, MonthActivity
from services.context.objects import FORMAT_MASK, MODE_TREE, Objects, TreeEntries, is_file
from services.context.ownership import Changes
from services.context.packs import damaged
from services.context.supervision import Supervision
from services.context.trees import MAX_DEPTH, joined

MAX_CHANGES = 500_000
"""Files one commit may change: a tree that names the same subtree over and over grows without end."""
_REPORT_EVERY = 500
_MAX_MONTHS = 1_200
"""A century of activity: invented author dates are spread over millennia."""
_MAX_NAME = 200
_ABSENT = (0, ObjectID(b""))


@dataclass
class _Author:
    commits: int
    first: int
    last: int


@dataclass
class History:
    """Counts over every commit that was added."""

    changes: Changes
    """Who touched the files that are asked about, merges not counted."""
    commits: int = 0
    _authors: dict[str, _Author] = field(default_factory=dict[str, _Author])
    _months: Counter[str] = field(default_factory=Counter[str])

    def add(self, author: str, at: int) -> None:
        """Count a commit: its author's name and time (Unix seconds)."""
        self.commits += 1
        self._months[_instant(at).strftime("%Y-%m")] += 1
        known = self._authors.setdefault(author[:_MAX_NAME], _Author(0, at, at))
        known.commits += 1
        known.first = min(known.first, at)
        known.last = max(known.last, at)

    @property
    def first_at(self) -> datetime | None:
        """The earliest author time."""
        return _instant(min(who.first for who in self._authors.values())) if self._authors else None

    @property
    def last_at(self) -> datetime | None:
        """The latest author time."""
        return _instant(max(who.last for who in self._authors.values())) if self._authors else None

    @property
    def contributor_count(self) -> int:
        """Names that authored a commit."""
        return len(self._authors)

    def commits_by_author(self) -> tuple[int, ...]:
        """Of each author, in no particular order."""
        return tuple(who.commits for who in self._authors.values())

    def contributors(self, count: int) -> tuple[Contributor, ...]:
        """The authors of the most commits."""
        ranked = sorted(self._authors.items(), key=lambda item: (-item[1].commits, item[0]))
        return tuple(
            Contributor(name=name, commits=who.commits, first_at=_instant(who.first), last_at=_instant(who.last))
            for name, who in ranked[:count]
        )

    def activity(self) -> tuple[MonthActivity, ...]:
        """Commits per month, in order; months without any are left out."""
        months = sorted(self._months.items())[-_MAX_MONTHS:]
        return tuple(MonthActivity(month=month, commits=commits) for month, commits in months)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def read_history(objects: Objects, tip: str, total: int, supervision: Supervision, paths: Iterable[bytes]) -> History:
    """Walk all commits reachable from `tip`; `total` is how many to expect, for progress.

    `paths`: of the files whose authors are asked for.
    """
    history = History(changes=Changes.of(paths))
    for _, header in objects.history_of(tip):
        history.add(header.author, header.authored_at)
        if len(header.parents) <= 1:
            before = objects.commit(header.parents[0]).tree if header.parents else None
            history.changes.add(header.author[:_MAX_NAME], changed_paths(objects, before, header.tree))
        if history.commits % _REPORT_EVERY == 0:
            supervision.progress("history", done=history.commits, total=total)
        else:
            supervision.check()
    return history


def changed_paths(objects: Objects, before: ObjectID | None, after: ObjectID) -> Iterator[bytes]:
    """Paths of the files that differ between two trees, as `git diff --name-only --no-renames` lists them."""
    for path, (old_mode, _), (new_mode, _) in changed_entries(objects, before, after):
        if is_file(old_mode) or is_file(new_mode):
            yield path


def changed_entries(
    objects: Objects, before: ObjectID | None, after: ObjectID | None
) -> Iterator[tuple[bytes, tuple[int, ObjectID], tuple[int, ObjectID]]]:
    """Path, old and new entry of all that differs between two trees, folders too; what is not there has the mode 0."""
    todo: list[tuple[bytes, int, ObjectID | None, ObjectID | None]] = [(b"", 0, before, after)]
    changes = 0
    while todo:
        prefix, depth, old_id, new_id = todo.pop()
        if depth > MAX_DEPTH or changes > MAX_CHANGES:
            raise damaged("a commit's tree is too deep, or too different from the one before, to be a real one")
        old: TreeEntries = objects.tree(old_id) if old_id else {}
        new: TreeEntries = objects.tree(new_id) if new_id else {}
        for name in {name for name, _ in old.items() ^ new.items()}:
            changes += 1
            was, is_now = old.get(name, _ABSENT), new.get(name, _ABSENT)
            old_tree, new_tree = (sha if mode & FORMAT_MASK == MODE_TREE else None for mode, sha in (was, is_now))
            path = joined(prefix, name)
            if old_tree != new_tree:
                todo.append((path + b"/", depth + 1, old_tree, new_tree))
            yield path, was, is_now
