"""Differences of two commits against `git diff --numstat -M`."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import Difference, LoadRepo
from models.errors import NotFoundError
from services.context import differences, line_changes, renames
from services.context.differences import difference
from services.context.line_changes import TooManyLinesError, changed_lines
from services.context.loading import Loader
from services.context.supervision import Supervision

Git = Callable[..., str]
Compare = Callable[..., Difference]
Change = tuple[str | None, str, int | None, int | None]


def numstat(git: Git, repository: Path, base: str, head: str) -> list[Change]:
    """Old path of a rename, path, lines added and removed (None: binary), as Git says."""
    arguments = ("diff", "--numstat", "-M", "--minimal", "--ignore-submodules", "-z", base, head)
    words = iter(git(repository, *arguments).split("\0")[:-1])
    found: list[Change] = []
    for word in words:
        added, removed, path = word.split("\t", 2)
        old = None if path else next(words)
        path = path or next(words)
        found.append((old, path, None if added == "-" else int(added), None if removed == "-" else int(removed)))
    return sorted(found, key=lambda each: each[1].encode("utf-8", "surrogateescape"))


def changes(found: Difference) -> list[Change]:
    return [(each.old_path, each.path, each.lines_added, each.lines_removed) for each in found.files]


@pytest.fixture
def project(roots: Path, git: Git) -> Path:
    path = roots / "changing"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "core.autocrlf", "false")
    return path


def commit(git: Git, path: Path, message: str) -> str:
    git(path, "add", "-A")
    git(path, "commit", "-q", "--allow-empty", "-m", message)
    return git(path, "rev-parse", "HEAD").strip()


@pytest.fixture
def compare(loader_for: Callable[..., Loader], project: Path, supervision: Supervision) -> Compare:
    """Load `head` and compare it with `base`, as the action does."""

    def run(base: str, head: str = "main") -> Difference:
        loader = loader_for()
        repo = loader.load(LoadRepo(path=str(project), ref=head), supervision)
        older = loader.commit_of(repo, base, supervision)
        with loader.opened(repo, supervision).objects() as objects:
            return difference(objects, repo, older, supervision)

    return run


def text(start: int, count: int) -> str:
    return "".join(f"line number {number}\n" for number in range(start, start + count))


def write_first(project: Path) -> None:
    first = {
        "same.txt": text(0, 5), "changed.txt": text(0, 20), "gone.txt": text(100, 9), "moved.txt": text(200, 30),
        "src/moved and changed.py": text(300, 40), "src/__init__.py": text(400, 40), "lib/__init__.py": text(500, 40),
        "one.txt": text(600, 10), "two.txt": text(600, 10), "rewritten.txt": text(700, 20), "end.txt": "a\nb",
        "crlf.txt": "a\r\nb\r\n", "mode.sh": "x\n", "becomes a link": text(800, 3), "folder/file": text(900, 4),
        "ünïcode ☃.txt": text(1_000, 4), "empty.txt": "", "was empty.txt": "", "half.txt": text(1_100, 20),
        "unlike.txt": text(1_200, 20),
    }  # fmt: skip
    for name, content in first.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_bytes(content.encode())
    (project / "picture.png").write_bytes(b"\x89PNG\0" * 50)
    (project / "moved.bin").write_bytes(b"\0\1\n" * 50)
    (project / "becomes text").write_bytes(b"\0")
    (project / "link").symlink_to("same.txt")


def change_lines(project: Path) -> None:
    (project / "changed.txt").write_text(text(0, 7) + "new\n" + text(8, 12) + "end\n")
    (project / "rewritten.txt").write_text(text(7_000, 25))
    (project / "end.txt").write_text("a\nb\n")
    (project / "crlf.txt").write_bytes(b"a\nb\r\n")
    (project / "ünïcode ☃.txt").write_text(text(1_000, 5))
    (project / "was empty.txt").write_text("x")
    (project / "picture.png").write_bytes(b"\x89PNG\0" * 51)
    (project / "new.txt").write_text(text(0, 3) + "without newline")


def move_files(project: Path) -> None:
    (project / "gone.txt").unlink()
    (project / "moved.txt").rename(project / "elsewhere.txt")
    (project / "src" / "moved and changed.py").rename(project / "lib" / "moved and changed.py")
    (project / "lib" / "moved and changed.py").write_text(text(300, 35) + text(0, 6))
    shutil.move(project / "src" / "__init__.py", project / "new_init.py")
    (project / "new_init.py").write_text(text(402, 38))
    (project / "one.txt").rename(project / "three.txt")
    (project / "two.txt").rename(project / "four.txt")
    (project / "empty.txt").rename(project / "still empty.txt")
    (project / "half.txt").unlink()
    (project / "half as long.txt").write_text(text(1_100, 11) + text(5_000, 9))
    (project / "unlike.txt").unlink()
    (project / "not alike.txt").write_text(text(1_200, 6) + "".join(f"quite another {n}!\n" for n in range(14)))
    (project / "moved.bin").rename(project / "other.bin")


def change_kinds(project: Path) -> None:
    (project / "mode.sh").chmod(0o755)
    (project / "becomes a link").unlink()
    (project / "becomes a link").symlink_to("same.txt")
    (project / "folder" / "file").unlink()
    (project / "folder").rmdir()
    (project / "folder").write_text("no folder\n")
    (project / "becomes text").write_text("text\n")
    (project / "link").unlink()
    (project / "link").symlink_to("changed.txt")


def test_awkward_changes_agree_with_git(project: Path, git: Git, compare: Compare) -> None:
    write_first(project)
    base = commit(git, project, "first")
    change_lines(project)
    move_files(project)
    change_kinds(project)
    commit(git, project, "second")
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{base},submodule")
    git(project, "commit", "-q", "--allow-empty", "-m", "a submodule")
    head = git(project, "rev-parse", "HEAD").strip()
    for older, newer in ((base, head), (head, base)):
        git(project, "branch", "-f", "asked", newer)
        found = compare(older, "asked")
        expected = numstat(git, project, older, newer)
        assert changes(found) == expected
        status = [
            line[0]
            for line in git(project, "diff", "--name-status", "-M", "--ignore-submodules", older, newer).splitlines()
        ]
        counts = (found.files_added, found.files_removed, found.files_modified, found.files_renamed)
        assert counts == (
            status.count("A"),
            status.count("D"),
            status.count("M") + status.count("T"),
            status.count("R"),
        )
        assert found.lines_added == sum(each[2] or 0 for each in expected)
        assert found.lines_removed == sum(each[3] or 0 for each in expected)
        assert found.binary_files == sum(each[2] is None for each in expected)
        assert found.left_out == {"submodule": 1}
        raw = git(project, "diff", "--raw", "-M", "--ignore-submodules", older, newer).splitlines()
        scores = sorted(int(line.split()[4][1:]) for line in raw if line.split()[4][0] == "R")
        assert sorted(int((each.similarity or 0) * 100) for each in found.files if each.change == "renamed") == scores


def test_random_edits_agree_with_git(project: Path, git: Git, compare: Compare) -> None:
    chance = random.Random(7)
    names = [f"{folder}/f{number}.txt" for folder in ("a", "b", "c") for number in range(12)]
    for name in names:
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text(chance.randrange(10_000), chance.randrange(1, 60)))
    base = commit(git, project, "first")
    for number, name in enumerate(names):
        path = project / name
        lines = path.read_text().splitlines(keepends=True)
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(lines) + 1)
            lines[at : at + chance.randrange(3)] = [f"edit {chance.random()}\n"] * chance.randrange(3)
        path.write_text("".join(lines))
        if number % 3 == 0:
            path.rename(project / f"moved{number}.txt")
    commit(git, project, "second")
    assert changes(compare(base)) == numstat(git, project, base, "main")


def test_a_renamed_file_that_is_the_same_but_for_a_rounding_has_changed_lines(
    project: Path, git: Git, compare: Compare
) -> None:
    (project / "old.txt").write_text(f"{'x' * 62}\n" * 30_000 + "old\n")
    base = commit(git, project, "first")
    (project / "old.txt").rename(project / "new.txt")
    (project / "new.txt").write_text(f"{'x' * 62}\n" * 30_000 + "new\n")
    commit(git, project, "second")
    assert changes(compare(base)) == numstat(git, project, base, "main") == [("old.txt", "new.txt", 1, 1)]


@given(*[st.lists(st.sampled_from([b"a", b"b", b"c", b""]), max_size=25)] * 2, st.booleans(), st.integers(1, 30))
def test_changed_lines_are_the_fewest(old: list[bytes], new: list[bytes], ends: bool, block: int) -> None:
    before, after = b"\n".join(old), b"\n".join(new) + b"\n" * ends
    one, other = (each.splitlines(keepends=True) for each in (before, after))
    row = [0] * (len(other) + 1)
    for line in one:
        above, row = row, [0]
        for place, mate in enumerate(other):
            row.append(above[place] + 1 if line == mate else max(above[place + 1], row[place]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_changes, "_BLOCK", block)
        assert changed_lines(before, after) == (len(other) - row[-1], len(one) - row[-1])


def test_the_base_may_be_a_branch_a_tag_or_an_abbreviation(project: Path, git: Git, compare: Compare) -> None:
    (project / "a").write_text("1\n")
    base = commit(git, project, "first")
    git(project, "tag", "-a", "v1", "-m", "one")
    git(project, "checkout", "-qb", "side")
    (project / "b").write_text("1\n")
    side = commit(git, project, "on the side")
    git(project, "checkout", "-q", "main")
    (project / "a").write_text("1\n2\n")
    commit(git, project, "second")
    for name in ("v1", base, base[:8], base.upper()):
        assert compare(name).base_commit == base
    assert compare("side").base_commit == side
    assert compare(side).files_removed == 1
    with pytest.raises(NotFoundError):
        compare("no-such-branch")
    with pytest.raises(NotFoundError):
        compare("0" * 40)
    nothing = compare("main")
    assert (nothing.files, nothing.left_out) == ((), {})


def test_what_is_too_much_is_left_out_and_counted(
    project: Path, git: Git, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (project / f"f{number}.txt").write_text(text(100 * number, 20))
    base = commit(git, project, "first")
    for number in range(4):
        (project / f"f{number}.txt").unlink()
        (project / f"g{number}.txt").write_text(text(100 * number, 19))
    (project / "f4.txt").write_text(text(1, 300))
    (project / "large.txt").write_text(text(0, 1_000))
    commit(git, project, "second")
    monkeypatch.setattr(differences, "MAX_LISTED", 3)
    monkeypatch.setattr(differences, "MAX_TEXT", 8_000)
    monkeypatch.setattr(renames, "MAX_PAIRS", 10)
    found = compare(base)
    assert (found.files_added, found.files_removed, found.files_modified, found.files_renamed) == (5, 4, 1, 0)
    assert found.left_out == {"not-listed": 7, "rename-pairs": 20, "too-large": 1}
    assert (found.lines_added, found.lines_removed) == (4 * 19 + 300, 4 * 20 + 20)


def test_texts_with_too_many_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_changes, "MAX_CELLS", 10)
    assert changed_lines(b"a\nb\n" * 50, b"a\nb\n" * 50) == (0, 0)
    with pytest.raises(TooManyLinesError):
        changed_lines(b"a\nb\nc\nd\n", b"d\nc\nb\na\n")
