import pytest

from models.context import LoadRepo
from models.errors import InvalidInputError
from services.context.sources import LocalSource, remote_source, source_again, source_of


def test_owner_and_repo_are_looked_for_on_the_forge() -> None:
    source = source_of(LoadRepo(owner="psf", repo="requests"), "https://github.com/")
    assert (source.text, source.name) == ("https://github.com/psf/requests.git", "psf/requests")


def test_spellings_of_one_url_are_one_repository() -> None:
    spellings = [
        "https://GitHub.com/psf/requests",
        "https://github.com:443/psf/requests.git",
        "https://github.com//psf/requests/",
    ]
    assert len({remote_source(url).id for url in spellings}) == 1
    assert {remote_source(url).name for url in spellings} == {"psf/requests"}


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org/", "https://example.org/a/../b"])
def test_a_url_without_a_repository_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="names no repository"):
        remote_source(url)


@pytest.mark.parametrize(("owner", "repo"), [("..", "x"), ("x", ".."), (".", "x")])
def test_owner_and_repo_cannot_climb(owner: str, repo: str) -> None:
    with pytest.raises(InvalidInputError):
        source_of(LoadRepo(owner=owner, repo=repo), "https://github.com")


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="absolute"):
        source_of(LoadRepo(path="project"), "https://github.com")


@pytest.mark.parametrize(
    ("path", "name"), [("/a/project", "project"), ("/a/project/.git", "project"), ("/a/b.git", "b")]
)
def test_a_local_repository_is_named_after_its_folder(path: str, name: str) -> None:
    assert LocalSource(path).name == name


def test_a_source_is_found_again_by_its_text() -> None:
    for source in (remote_source("https://example.org/a/b"), LocalSource("/srv/repo")):
        assert source_again(source.text) == source
