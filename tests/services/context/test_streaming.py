"""Searches that are given file by file: the same as pages give, while others are still looked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_search import Searched, target

from models.context import FileMatch, LoadedRepo, SearchEnd
from services.context.loading import Loader
from services.context.search import asking, searching
from services.context.search.asking import Question, follow
from services.context.search.query import parse
from services.context.search.searching import Results

Git = Callable[..., str]
FILES = 300
"""More than are read before they are ordered."""


@pytest.fixture
def searched(roots: Path, git: Git, loader_for: Callable[..., Loader], tmp_path: Path) -> Searched:
    path = roots / "searched"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return Searched(path, git, loader_for(), tmp_path / "index")


@pytest.fixture
def repo(searched: Searched) -> LoadedRepo:
    repo = searched.commit({f"{number:03}/file.txt": f"common {number}\n".encode() for number in range(FILES)})
    searched.indexed(repo)
    return repo


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The places of files that were looked at."""
    places: list[int] = []
    look = searching._look

    def watched(rank: tuple[bool, ...], plan: searching.Plan, place: int) -> searching._Hit | None:
        places.append(place)
        return look(rank, plan, place)

    monkeypatch.setattr(searching, "_look", watched)
    return places


def begun(
    searched: Searched, repo: LoadedRepo, query: str, limit: int = 1_000, offset: int = 0
) -> tuple[Question, Results]:
    understood = parse(query)
    question = Question(query, understood, [target(repo)], ["other"], offset)
    return question, searched.service.begin(understood, question.targets, limit, offset)


async def told(searched: Searched, question: Question, results: Results) -> tuple[list[FileMatch], SearchEnd]:
    *files, end = [one async for one in follow(searched.service, question, results, explain=True)]
    assert isinstance(end, SearchEnd)
    return [file for file in files if isinstance(file, FileMatch)], end


@pytest.mark.parametrize("query", ["common", "/common 1\\d/", "path:01", "nothing-at-all"])
async def test_a_stream_gives_what_pages_give(searched: Searched, repo: LoadedRepo, query: str) -> None:
    files, end = await told(searched, *begun(searched, repo, query))
    page = searched.search(repo, query, limit=1_000)
    assert files == list(page.items)
    assert (end.total, end.is_complete, end.next_cursor) == (page.total, True, None)
    assert (end.query, end.not_indexed, end.skipped) == (query, ("other",), ())


async def test_a_stream_that_is_limited_counts_the_rest_and_leads_on(searched: Searched, repo: LoadedRepo) -> None:
    files, end = await told(searched, *begun(searched, repo, "common", 7, 20))
    assert [file.path for file in files] == [f"{number:03}/file.txt" for number in range(20, 27)]
    assert (end.total, end.is_complete) == (FILES, True)
    assert end.next_cursor
    assert asking._offset(end.next_cursor, asking._version([target(repo)])) == 27


async def test_files_come_while_others_are_looked_for_and_who_goes_ends_the_search(
    searched: Searched, repo: LoadedRepo, looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_MOMENT_SECONDS", 0)
    stream = follow(searched.service, *begun(searched, repo, "common"))
    first = await anext(stream)
    assert isinstance(first, FileMatch)
    assert (first.path, looked) == ("000/file.txt", [0])
    await anext(stream)
    await stream.aclose()
    assert looked == [0, 1]


async def test_a_stream_ends_when_its_time_is_over(searched: Searched, repo: LoadedRepo) -> None:
    question, _ = begun(searched, repo, "common")
    hurried = searched.service.begin(question.query, question.targets, 1_000, seconds=0)
    files, end = await told(searched, question, hurried)
    assert (len(files), end.total, end.is_complete) == (1, 1, False)
    assert end.next_cursor
