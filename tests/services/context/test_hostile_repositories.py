"""Repositories that mean harm: loaded over HTTP, indexed, searched, analyzed, read and compared.

What cannot be taken is a clear problem or a counted skip, memory is bounded, and what was there is still served.
"""

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dulwich.objects import Commit, ObjectID, Tree
from hostile import (
    FILE,
    FOUND,
    LINK,
    TREE_MODE,
    Served,
    during,
    pack,
    plain,
    sending,
)  # fmt: skip

from models.context import LoadedRepo
from models.errors import InvalidInputError, NotFoundError, TooLooError
from services.context.reading import list_folder, parse_path, read_file

CHECKOUT = Path(__file__).resolve().parents[3]
MOST_MEMORY = 300 * 2**20
"""Bytes above idle that a worker may take."""


def read(served: Served, repo: LoadedRepo, path: str) -> tuple[str, str]:
    """Type and contents of what a path leads to."""
    with served.opened(repo).objects() as objects:
        file = read_file(objects, ObjectID(repo.commit.encode()), parse_path(path), None)
        return file.type, file.content


def listed(served: Served, repo: LoadedRepo, path: str = "") -> list[str]:
    with served.opened(repo).objects() as objects:
        found = list_folder(objects, ObjectID(repo.commit.encode()), parse_path(path), 0, 1_000)
        return [each.name for each in found]


def test_links_are_not_followed(served: Served) -> None:
    secret = str(served.folder / "beside" / "deeper" / "secret.txt")
    targets = {"passwd": "/etc/passwd", "secret": secret, "climbs": "../../../beside/deeper/secret.txt", "self": "self"}
    entries = [(LINK, name.encode(), served.blob(target.encode())) for name, target in targets.items()]
    served.commit_tree(served.tree(*entries, (FILE, b"real.txt", served.blob(b"retry\n"))))
    with served.undisturbed():
        repo = served.load()
        assert served.index(repo).skipped == {"link": 4}
        assert served.lines(repo, "retry") == {"real.txt": [1]}
        assert (served.search(repo, "root").total, served.search(repo, "touched").total) == (0, 0)
        assert {name: read(served, repo, name) for name in targets} == {
            name: ("symlink", target) for name, target in targets.items()
        }
        with pytest.raises(NotFoundError):
            read(served, repo, "climbs/x")
        analysis, changed = served.analyze(repo), served.difference(repo)
    assert analysis.skipped == {"symlink": 4}
    assert (changed.files_added, changed.files_removed) == (5, 2)


def test_paths_that_climb_or_lead_into_git_are_text_and_nothing_else(served: Served) -> None:
    """No Git makes such trees; nothing is ever checked out, so that they are names like others."""
    blob = served.blob(b"retry\n")
    inner = served.tree((FILE, b"config", blob), (FILE, b"escaped.txt", blob))
    hooks = served.tree((TREE_MODE, b"hooks", served.tree((b"100755", b"post-checkout", blob))))
    served.commit_tree(
        served.tree(
            (TREE_MODE, b"..", inner), (TREE_MODE, b".git", hooks), (TREE_MODE, b".GIT", hooks), (FILE, b"GIT~1", blob),
            (FILE, b"../../beside/deeper/secret.txt", blob), (FILE, b"/etc/passwd", blob), (FILE, b".", blob),
            (FILE, b"ok.txt", blob),
        )
    )  # fmt: skip
    with served.undisturbed():
        repo = served.load()
        assert served.index(repo).skipped == {}
        found = served.lines(repo, "retry")
        analysis = served.analyze(repo)
        changed = served.difference(repo)
        for path in ("../escaped.txt", ".git/hooks/post-checkout", ".GIT/hooks/post-checkout", "/etc/passwd", "."):
            assert path in found
            with pytest.raises(InvalidInputError) as refused:
                read(served, repo, path)
            assert refused.value.code == "bad-path"
        assert read(served, repo, "ok.txt") == ("file", "retry\n")
        assert "ok.txt" in listed(served, repo)
    assert len(found) == analysis.files == changed.files_added == 9


def test_names_that_collide_are_each_their_own(served: Served) -> None:
    names = ["Readme.md", "README.md", unicodedata.normalize("NFC", "é.md"), unicodedata.normalize("NFD", "é.md")]
    served.import_files({name: f"retry {number}\n".encode() for number, name in enumerate(names)})
    with served.undisturbed():
        repo = served.load()
        assert served.index(repo).skipped == {}
        assert served.lines(repo, "retry") == {**FOUND, **{name: [1] for name in names}}
        assert [read(served, repo, name)[1] for name in names] == [f"retry {number}\n" for number in range(4)]
        assert served.analyze(repo).files == 6
        assert served.difference(repo).files_added == 4


def test_of_one_name_that_stands_twice_every_part_sees_the_same_file(served: Served) -> None:
    first, last = served.blob(b"retry first\n"), served.blob(b"retry last\n")
    folder = served.tree((FILE, b"inner.txt", first))
    twice = served.tree((FILE, b"a.txt", first), (FILE, b"a.txt", last), (FILE, b"b", first), (TREE_MODE, b"b", folder))
    served.commit_tree(twice)
    with served.undisturbed():
        repo = served.load()
        assert served.index(repo).skipped == {}
        assert served.lines(repo, "retry") == {"a.txt": [1], "b/inner.txt": [1]}
        assert served.lines(repo, "last") == {"a.txt": [1]}
        assert read(served, repo, "a.txt") == ("file", "retry last\n")
        assert listed(served, repo) == ["b", "a.txt"]
        assert served.analyze(repo).files == 2
        assert served.difference(repo).files_added == 2


def test_bytes_that_are_no_text_are_counted_or_read_as_well_as_can_be(served: Served) -> None:
    files = {
        b"latin.txt": b"caf\xe9 retry\n",
        b"bad\xff\xfename.txt": b"retry\n",
        b"line\nbreak\t\x1b[31m.txt": b"retry\n",
        b"utf16le.txt": "\ufeffretry ü\n".encode("utf-16-le"),
        b"utf16be.txt": "\ufeffretry ü\n".encode("utf-16-be"),
        b"utf16-odd.txt": "\ufeffretry\n".encode("utf-16-le") + b"\x00\xd8x",
        b"utf16-bare.txt": "retry\n".encode("utf-16-le"),
        b"nul.txt": b"retry\n\x00\n",
        b"late-nul.txt": b"retry\n" * 5_000 + b"\x00",
        b"surrogate.txt": b"retry \xed\xa0\x80\n",
        b"overlong.txt": b"retry \xc0\xaf\n",
        b"bidi.txt": "retry \u202e\u2066\n".encode(),
        b"lines.txt": b"x" * 20_001 + b"\nretry\n",
    }
    served.commit_tree(served.tree(*((FILE, name, served.blob(content)) for name, content in files.items())))
    with served.undisturbed():
        repo = served.load()
        assert served.index(repo).skipped == {"binary": 3, "long-line": 1}
        assert served.lines(repo, "retry -path:utf16") == {
            "bad\ufffd\ufffdname.txt": [1],
            "bidi.txt": [1],
            "latin.txt": [1],
            "line\nbreak\t\x1b[31m.txt": [1],
            "overlong.txt": [1],
            "surrogate.txt": [1],
        }
        assert set(served.lines(repo, "retry path:utf16")) == {"utf16be.txt", "utf16le.txt", "utf16-odd.txt"}
        assert read(served, repo, "latin.txt")[1] == "Y2Fm6SByZXRyeQo="
        assert served.analyze(repo).skipped == {"binary": 5}
        assert served.difference(repo).binary_files == 5
        json.dumps(listed(served, repo)).encode()  # no lone surrogates


@pytest.mark.parametrize("depth", [200, 201])
def test_folders_are_followed_two_hundred_deep(served: Served, depth: int) -> None:
    tree = served.tree((FILE, b"deep.txt", served.blob(b"retry deep\n")))
    for _ in range(depth):
        tree = served.tree((TREE_MODE, b"d", tree))
    served.commit_tree(tree)
    path = "d/" * depth + "deep.txt"
    with served.undisturbed():
        repo = served.load()
        if depth == 200:
            assert served.index(repo).skipped == {}
            assert served.lines(repo, "deep") == {path: [1]}
            assert served.analyze(repo).files == 1
            assert served.difference(repo).files_added == 1
            assert listed(served, repo, "d/" * 199) == ["d"]
        else:
            assert problems(served, repo) == ["damaged-repository"] * 3


def problems(served: Served, repo: LoadedRepo) -> list[str]:
    """How indexing, analyzing and comparing end."""
    codes: list[str] = []
    works: list[Callable[[LoadedRepo], Any]] = [served.index, served.analyze, served.difference]
    for work in works:
        with pytest.raises(TooLooError) as refused:
            work(repo)
        codes.append(refused.value.code)
    return codes


def test_a_tree_that_names_the_same_subtree_over_and_over_is_too_large(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten objects that stand for a billion files."""
    tree = served.tree(*((LINK, b"%d" % number, served.blob(b"x")) for number in range(10)))
    for _ in range(8):
        tree = served.tree(*((TREE_MODE, b"%d" % number, tree) for number in range(10)))
    served.commit_tree(tree)
    monkeypatch.setattr("services.context.trees.MAX_FILES", 3_000)
    monkeypatch.setattr("services.context.history.MAX_CHANGES", 3_000)
    with served.undisturbed():
        repo = served.load()
        assert problems(served, repo) == ["too-large", "too-large", "damaged-repository"]
        assert len(listed(served, repo, "1/2/3")) == 10


def test_paths_without_end_are_refused_before_they_take_memory(served: Served) -> None:
    blob = served.blob(b"x")
    tree = served.tree((FILE, b"file", blob))
    for _ in range(5):
        tree = served.tree((TREE_MODE, b"n" * 1_000, tree), (FILE, b"file", blob))
    served.commit_tree(tree)
    with served.undisturbed():
        assert problems(served, served.load()) == ["damaged-repository"] * 3


@pytest.mark.parametrize("sent", ["commit", "commit and tree"])
def test_a_commit_of_which_something_was_not_sent_is_not_served(served: Served, sent: str) -> None:
    tree = b"100644 a.txt\0" + bytes.fromhex(served.blob(b"retry"))
    commit = served.commit_tree(served.tree((FILE, b"a.txt", served.blob(b"retry"))))
    raw = served.git("cat-file", "commit", commit).encode() + b"\n"
    parts = [plain(Commit.type_num, raw), plain(Tree.type_num, tree)][: 1 + (sent == "commit and tree")]
    served.server.spoils = during("pack", lambda _: sending(pack(b"".join(parts), len(parts))))
    with served.undisturbed(), pytest.raises(InvalidInputError) as refused:
        served.load()
    assert refused.value.code == "damaged-repository"


def in_child(served: Served, source: str | None = None, does: str = "all") -> dict[str, Any]:
    """What a process of its own says of loading, indexing, searching, comparing and analyzing."""
    served.git("update-ref", "refs/heads/first", served.first.commit)
    with served.undisturbed():
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("hostile_child.py"), served.folder, source or served.url,
             served.server.address, does],
            check=True, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
    told = json.loads(done.stdout)
    print(told)  # noqa: T201 - the figures, for who runs it with -s
    return told


def _line(megabytes: int) -> Iterator[bytes]:
    parent = b"from refs/heads/main^0\n"
    yield b"commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 1\nx\n" + parent
    yield b"M 644 inline line.txt\ndata %d\n" % (megabytes * 2**20)
    for _ in range(megabytes):
        yield b"retry..." * 2**17
    yield b"\n"


def test_a_line_of_300_mb_is_refused_within_bounded_memory(served: Served) -> None:
    served.import_stream(_line(300))
    told = in_child(served)
    assert told["code"] == "too-large"
    assert told["grown"] <= MOST_MEMORY


@pytest.mark.parametrize(("kind", "megabytes"), [("url", 100), ("path", 300)])
def test_a_long_line_that_is_loaded_is_skipped_within_bounded_memory(served: Served, kind: str, megabytes: int) -> None:
    """Local repositories are taken over as they are."""
    served.import_stream(_line(megabytes))
    told = in_child(served, str(served.path) if kind == "path" else None)
    assert "code" not in told
    assert (told["indexed"]["skipped"], told["skipped"]) == ({"too-large": 1}, {"too-large": 1})
    assert (told["retry"], told["path:x -nothing"], told["changed"]) == (2, 1, {"too-large": 1})
    assert told["grown"] <= MOST_MEMORY


def test_a_hundred_thousand_files_are_taken_within_bounded_memory(served: Served) -> None:
    served.import_files({f"{number % 97}/{number}.txt": b"x %d retry\n" % (number % 500) for number in range(100_000)})
    told = in_child(served, does="searches")
    assert "code" not in told
    assert (told["indexed"]["files"], told["listed"]) == (100_002, 99)
    assert told["grown"] <= MOST_MEMORY
