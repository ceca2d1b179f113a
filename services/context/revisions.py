"""What a ref means: branch, tag or commit, as `git rev-parse` would say."""

import re
from collections.abc import Mapping

from dulwich.objects import ObjectID

from models.errors import InvalidInputError, NotFoundError
from services.context.objects import Objects

_FULL = re.compile(r"[0-9a-f]{40}")
LEAST_DIGITS = 4
_ABBREVIATED = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},39}}")


def candidates(ref: str | None) -> tuple[bytes, ...]:
    """The full names a ref may stand for, in Git's order of preference."""
    if ref is None:
        return (b"HEAD",)
    name = ref.encode("utf-8", "surrogatepass")
    full = (name,) if name == b"HEAD" or name.startswith(b"refs/") else ()
    return (*full, b"refs/tags/" + name, b"refs/heads/" + name, b"refs/remotes/" + name)


def named(ref: str | None, refs: Mapping[bytes, bytes]) -> bytes | None:
    """The object a ref names among `refs` (full name → object), or None."""
    return next((refs[name] for name in candidates(ref) if name in refs), None)


def as_commit(ref: str | None) -> bytes | None:
    """The ref as a full commit name, when it is one; Git prefers that to any branch of the same name."""
    return ref.lower().encode("ascii") if ref and _FULL.fullmatch(ref.lower()) else None


def as_abbreviation(ref: str | None) -> bytes | None:
    """The ref as the start of a commit name, when it can be one."""
    return ref.lower().encode("ascii") if ref and _ABBREVIATED.fullmatch(ref.lower()) else None


def resolve(ref: str | None, refs: Mapping[bytes, bytes], objects: Objects) -> str:
    """The full name of the commit a ref names, among the source's `refs` and the `objects` that were loaded.

    Raises NotFoundError (`unknown-ref`, `empty-repository`) or InvalidInputError (`ambiguous-ref`).
    """
    prefix = as_abbreviation(ref)
    target = as_commit(ref) or named(ref, refs)
    if target is None and prefix is not None:
        found = objects.commits_with_prefix(prefix)
        if len(found) > 1:
            raise InvalidInputError(f"{ref!r} abbreviates several commits: give more digits", code="ambiguous-ref")
        target = found[0] if found else None
    commit = None if target is None else objects.peel(ObjectID(target))
    if commit is None:
        raise _unknown_ref(ref, empty=not refs)
    return commit.decode("ascii")


def _unknown_ref(ref: str | None, *, empty: bool) -> NotFoundError:
    """The error for a ref that names nothing; `empty`: the repository has no refs at all."""
    if empty:
        return NotFoundError("the repository is empty: it has no commits yet", code="empty-repository")
    if ref is None:
        return NotFoundError(
            "the repository's HEAD names no commit: name a branch, tag or commit as ref", code="unknown-ref"
        )
    return NotFoundError(f"the repository has no branch, tag or commit {ref!r}", code="unknown-ref")
