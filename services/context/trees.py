"""The files of a commit, by walking its folders."""

from collections.abc import Iterator

from dulwich.objects import ObjectID

from models.errors import TooLargeError
from services.context.objects import FORMAT_MASK, MODE_TREE, Objects, TreeFile
from services.context.packs import damaged

MAX_DEPTH = 200
"""Folders within folders; Git itself gives up on deeper trees at 2,048."""
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
            kind = mode & FORMAT_MASK
            if kind == MODE_TREE:
                todo.append((prefix + name + b"/", depth + 1, entry))
            else:
                yield TreeFile(prefix + name, mode, entry)
