"""Search in real repositories: what is found, in which order, and the same as ripgrep finds."""

import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.ripgrep_oracle import expressions, literals, ripgrep
from models.context import Indexed, LoadedRepo, LoadRepo
from models.errors import InvalidInputError, NotFoundError
from services.context.loading import Loader
from services.context.search.evaluation import Target
from services.context.search.indexing import build_index
from services.context.search.query import parse
from services.context.search.searching import Found, SearchService
from services.context.supervision import StoppedError, Supervision
from services.context.symbols import Symbol, symbols_of

Git = Callable[..., str]
FILES: dict[str, bytes] = {
    "src/retry.py": b'"""Retry."""\n\n\ndef retry(times):\n    return times\n\n\nclass Backoff:\n    retries = 3\n',
    "src/use.py": b"from retry import retry\n\nretry(3)\nretrying = True\n",
    "tests/test_retry.py": b"from retry import retry\n\n\ndef test_retry():\n    assert retry(3) == 3\n",
    "vendor/lib.py": b"def retry():\n    pass\n",
    "docs/readme.md": "Übung: wie man es erneut versucht (retry)\r\nzweite Zeile\r\n".encode(),
    "empty.txt": b"",
    "no newline.txt": b"first\nlast retry",
    "latin.txt": b"caf\xe9 retry\n",
    "utf16.txt": "\ufeffretry in UTF-16\n".encode("utf-16-le"),
    "binary.bin": b"retry\x00retry\n",
    "min.js": b"var retry=1;" * 5_000,
    "huge.txt": b"retry\n" * 400_000,
    "Retry/path.txt": b"nothing\n",
}


class Searched:
    """A repository of the test's, which is loaded, indexed and searched again and again."""

    def __init__(self, repository: Path, git: Git, loader: Loader, index: Path) -> None:
        self.path, self.git, self.loader, self.index = repository, git, loader, index
        self.service = SearchService(index)

    def commit(self, files: dict[str, bytes]) -> LoadedRepo:
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(content)
        self.git(self.path, "add", "-A")
        self.git(self.path, "commit", "-qm", "files")
        return self.loader.load(LoadRepo(path=str(self.path)), supervised())

    def indexed(self, repo: LoadedRepo) -> Indexed:
        with self.loader.opened(repo, supervised()).objects() as objects:
            return build_index(objects, repo, self.index, supervised())

    def search(self, repo: LoadedRepo, query: str, limit: int = 50, offset: int = 0) -> Found:
        return self.service.search(parse(query), [target(repo)], limit, offset)

    def lines(self, repo: LoadedRepo, query: str) -> dict[str, list[int]]:
        return {item.path: [match.line for match in item.matches] for item in self.search(repo, query).items}


def supervised() -> Supervision:
    return Supervision(seconds=60, report=lambda _: None)


def target(repo: LoadedRepo) -> Target:
    return Target(repo.id, repo.name, repo.commit)


@pytest.fixture
def searched(roots: Path, git: Git, loader_for: Callable[..., Loader], tmp_path: Path) -> Searched:
    path = roots / "searched"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return Searched(path, git, loader_for(), tmp_path / "index")


@pytest.fixture
def repo(searched: Searched) -> LoadedRepo:
    repo = searched.commit(FILES)
    searched.indexed(repo)
    return repo


def test_definitions_first_then_words_then_paths_tests_and_vendored_last(searched: Searched, repo: LoadedRepo) -> None:
    found = searched.search(repo, "retry")
    assert [item.path for item in found.items] == [
        "src/retry.py",
        "vendor/lib.py",
        "docs/readme.md",
        "latin.txt",
        "no newline.txt",
        "src/use.py",
        "utf16.txt",
        "tests/test_retry.py",
        "Retry/path.txt",
    ]
    assert (found.total, found.is_complete, found.next_offset) == (9, True, None)


def test_matches_have_their_place_and_what_is_around(searched: Searched, repo: LoadedRepo) -> None:
    (item,) = searched.search(repo, '"class Backoff"').items
    (match,) = item.matches
    assert (match.line, match.column, match.length, match.text) == (8, 1, 13, "class Backoff:")
    assert (match.before, match.after) == (("",), ("    retries = 3",))
    assert (item.repo, item.commit, item.lang) == ("searched", repo.commit, "Python")
    (item,) = searched.search(repo, "versucht").items
    assert (item.matches[0].column, item.matches[0].text) == (26, "Übung: wie man es erneut versucht (retry)")


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("retry case:yes path:src/retry.py", {"src/retry.py": [4]}),
        ('"retry(3)" -path:tests', {"src/use.py": [3]}),
        (r"/^def \w+\(times\):$/", {"src/retry.py": [4]}),
        ("times OR zweite", {"src/retry.py": [4, 5], "docs/readme.md": [2]}),
        ("lang:markdown retry", {"docs/readme.md": [1]}),
        ("symbol:retry -path:vendor lang:python", {"src/retry.py": [4], "src/use.py": [4], "tests/test_retry.py": [4]}),
        ("symbol:backoff", {"src/retry.py": [8]}),
        ("path:empty.txt", {"empty.txt": []}),
        ("path:*.bin", {"binary.bin": []}),
        ("repo:searched versucht", {"docs/readme.md": [1]}),
        ("repo:other versucht", {}),
        ("retry NOT retry", {}),
        ("nowhere-at-all", {}),
        ("(retrying OR Backoff) path:src", {"src/retry.py": [8], "src/use.py": [4]}),
    ],
)
def test_queries(searched: Searched, repo: LoadedRepo, query: str, lines: dict[str, list[int]]) -> None:
    assert searched.lines(repo, query) == lines


def test_what_is_skipped_is_counted_and_told(searched: Searched, repo: LoadedRepo) -> None:
    (searched.path / "link").symlink_to("/etc/passwd")
    again = searched.commit({})
    indexed = searched.indexed(again)
    assert indexed.skipped == {"binary": 1, "link": 1, "long-line": 1, "too-large": 1}
    assert (indexed.files, indexed.new_blobs) == (10, 0)
    told = {skipped.path: skipped.reason for skipped in searched.service.skipped([target(again)])}
    assert told == {"binary.bin": "binary", "huge.txt": "too-large", "link": "link", "min.js": "long-line"}
    assert searched.search(again, "root").total == 0
    assert repo.commit != again.commit


def test_a_commit_costs_what_changed_and_the_old_one_is_still_searched(searched: Searched, repo: LoadedRepo) -> None:
    assert searched.indexed(repo).new_blobs == 0
    new = searched.commit({"src/new.py": b"retry = 4\n", "src/copy.py": FILES["src/use.py"], "empty.txt": b"x\n"})
    with pytest.raises(NotFoundError, match="not indexed"):
        searched.search(new, "retry")
    assert searched.indexed(new).new_blobs == 2
    assert searched.lines(new, "path:src retry")["src/copy.py"] == [1, 3, 4]
    assert "src/new.py" not in searched.lines(repo, "retry")


def test_pages_follow_each_other(searched: Searched, repo: LoadedRepo) -> None:
    whole = [item.path for item in searched.search(repo, "retry").items]
    paged: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = searched.search(repo, "retry", limit=4, offset=offset)
        paged += [item.path for item in page.items]
        offset = page.next_offset
    assert paged == whole


def test_many_files_are_counted_and_paged_in_their_order(searched: Searched) -> None:
    repo = searched.commit({f"{number:03}/file.txt": f"common {number}\n".encode() for number in range(300)})
    searched.indexed(repo)
    first = searched.search(repo, "common", limit=7)
    assert (first.total, first.next_offset) == (300, 7)
    assert [item.path for item in searched.search(repo, "common", 3, 7).items] == [
        f"{n:03}/file.txt" for n in (7, 8, 9)
    ]
    hurried = searched.service.search(parse("common"), [target(repo)], 7, seconds=0)
    assert (hurried.is_complete, hurried.total) == (False, 1)


def test_names_that_are_no_text_are_searched(searched: Searched) -> None:
    repo = searched.commit({"caf\udce9.txt": b"strange name\n", "a:b\\c\t.txt": b"another\n"})
    searched.indexed(repo)
    assert searched.lines(repo, "strange OR another") == {"caf\ufffd.txt": [1], "a:b\\c\t.txt": [1]}


@pytest.mark.parametrize("query", ["/(/", "lang:klingon", "path:/[/ x", "symbol:/(/"])
def test_what_is_wrong_in_a_query_is_told(searched: Searched, repo: LoadedRepo, query: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        searched.search(repo, query)
    assert refused.value.problems[0].message.startswith("column ")


def test_the_same_lines_as_ripgrep(searched: Searched) -> None:
    """Of patterns that are cut out of the files, by chance; our own sources are among them."""
    ours = Path(__file__).parents[3]
    files = {
        str(path.relative_to(ours)): path.read_bytes()
        for folder in ("services/context", "docs", "examples")
        for path in sorted((ours / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    repo = searched.commit({**FILES, **files})
    searched.indexed(repo)
    left_out = [skipped.path for skipped in searched.service.skipped([target(repo)])]
    chance = random.Random(6)
    lines = [line for content in files.values() for line in content.decode("utf-8", "replace").splitlines() if line]
    for case in (*literals(lines, chance, 500), *expressions(lines, chance, 125)):
        found = searched.search(repo, case.query, limit=1_000)
        ours = {(item.path, match.line) for item in found.items for match in item.matches}
        theirs = ripgrep(searched.path, case, *(f"--glob=!/{path}" for path in left_out))
        assert ours == theirs, (case.query, sorted(ours ^ theirs)[:5])


def _index_and_stop(loader: Loader, repo: LoadedRepo, index: Path, files: int) -> None:
    """In a process of its own: kill -9 after so many reports of progress."""

    def report(_: object) -> None:
        nonlocal files
        files -= 1
        if files == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with loader.opened(repo, supervised()).objects() as objects:
        build_index(objects, repo, index, Supervision(seconds=60, report=report))


@pytest.mark.parametrize("reports", [1, 2, 3])
def test_indexing_that_was_killed_is_not_served_and_the_next_one_completes(searched: Searched, reports: int) -> None:
    repo = searched.commit({f"{number}.txt": f"common {number}\n".encode() for number in range(1_600)})
    child = multiprocessing.get_context("spawn").Process(
        target=_index_and_stop, args=(searched.loader, repo, searched.index, reports)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(NotFoundError, match="not indexed"):
        searched.search(repo, "common")
    assert searched.indexed(repo).files == 1_600
    assert searched.search(repo, "common", limit=1).total == 1_600


def test_indexing_that_was_given_up_leaves_nothing_and_nothing_locked(searched: Searched) -> None:
    repo = searched.commit({f"{number}.txt": b"common\n" for number in range(600)} | {"z.txt": b"other\n"})
    stopped = Supervision(seconds=60, report=lambda _: stopped.stopped.set())
    with searched.loader.opened(repo, supervised()).objects() as objects, pytest.raises(StoppedError) as error:
        build_index(objects, repo, searched.index, stopped)
    indexed = searched.indexed(repo)  # while the error, and what its traceback refers to, is still there
    assert error.tb is not None
    assert indexed.new_blobs == 2


def crashing_symbols(language: str, source: bytes, path: str) -> list[Symbol] | None:
    """What a child calls in place of `symbols_of`."""
    if b"crash" in source:
        os.kill(os.getpid(), signal.SIGSEGV)
    return symbols_of(language, source, path)


def test_a_source_that_crashes_the_parser_is_searched_without_its_symbols(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.context.search.indexing.symbols_of", crashing_symbols)
    repo = searched.commit({"bad.py": b"def crash(): pass\n", "good.py": b"def sound(): pass\n"})
    indexed = searched.indexed(repo)
    assert (indexed.new_blobs, indexed.without_symbols) == (2, 1)
    assert searched.lines(repo, "symbol:/./") == {"good.py": [1]}
    assert searched.lines(repo, "pass") == {"bad.py": [1], "good.py": [1]}


def test_two_at_once_index_a_commit_once(searched: Searched) -> None:
    repo = searched.commit({f"{number}.txt": f"common {number}\n".encode() for number in range(300)})
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(searched.indexed, [repo, repo]))
    assert sorted(result.new_blobs for result in results) == [0, 300]


def test_an_index_that_was_deleted_is_made_again(searched: Searched, repo: LoadedRepo) -> None:
    before = searched.lines(repo, "retry")
    shutil.rmtree(searched.index)
    assert searched.indexed(repo).new_blobs > 0
    searched.service = SearchService(searched.index)
    assert searched.lines(repo, "retry") == before
