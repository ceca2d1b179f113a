"""The files of a commit, by walking its folders."""

from collections.abc import Iterator

from dulwich.objects import ObjectID

from models.errors import TooLargeError
from services.context.objects import FORMAT_MASK, MODE_SUBMODULE, MODE_TREE, Objects, TreeFile
from services.context.packs import damaged
from services.context.supervision import Supervision

MAX_DEPTH = 200
"""Folders within folders; Git itself gives up on deeper trees at 2,048."""
MAX_PATH = 4_096
"""Bytes from the top to a file; Linux takes no longer ones. Without it, a few long names take all memory."""
MAX_FILES = 300_000
"""In one tree; the largest monorepos that people publish have about a third of it."""


def tree_entries(objects: Objects, tree: ObjectID) -> Iterator[TreeFile]:
    """Every file below a tree, symbolic links and submodules included."""
    todo = [(b"", 0, tree)]
    count = 0
    while todo:
        prefix, depth, sha = todo.pop()
        if depth > MAX_DEPTH:
            raise damaged(f"folders are nested deeper than {MAX_DEPTH}")
        for name, (mode, entry) in objects.tree(sha).items():
            count += 1
            if count > MAX_FILES:
                raise TooLargeError(f"the commit has more than the {MAX_FILES} files that can be taken")
            path = joined(prefix, name)
            kind = mode & FORMAT_MASK
            if kind == MODE_TREE:
                todo.append((path + b"/", depth + 1, entry))
            else:
                yield TreeFile(path, mode, entry)


def check_files(objects: Objects, commit: str, supervision: Supervision) -> None:
    """Raise InvalidInputError (`damaged-repository`) when a folder or file of a commit is not in the store."""
    todo = [objects.commit(ObjectID(commit.encode("ascii"))).tree]
    seen = set(todo)
    while todo:
        supervision.check()
        for mode, entry in objects.tree(todo.pop()).values():
            kind = mode & FORMAT_MASK
            if entry in seen or kind == MODE_SUBMODULE:
                continue
            seen.add(entry)
            if kind == MODE_TREE:
                todo.append(entry)
            elif not objects.holds(entry):
                raise damaged(f"the source lacks object {entry.decode('ascii')}, a file of the commit")


def joined(prefix: bytes, name: bytes) -> bytes:
    """The path of an entry; raises InvalidInputError (`damaged-repository`) for one that is no path of a real file."""
    if len(prefix) + len(name) > MAX_PATH:
        raise damaged(f"a path is longer than {MAX_PATH} bytes")
    return prefix + name
