"""The Code Review Flow on a repository of 1,200 commits: its report against independent commands."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx2 import AsyncClient

from models.documents import read_yaml
from models.settings import CHECKOUT
from tests.e2e.conftest import Platform

COMMITS = 1_200
AUTHORS = ("Ada Lovelace", "Grace Hopper", "Barbara Liskov", "Donald Knuth")
SUFFIXES = {"Python": ".py", "JavaScript": ".js", "Go": ".go", "Markdown": ".md"}


def git(repository: Path, *arguments: str, data: bytes | None = None) -> bytes:
    return subprocess.run(["git", "-C", repository, *arguments], input=data, capture_output=True, check=True).stdout


def history() -> Iterator[str]:
    """A `git fast-import` stream: 40 files of four languages that grow, by four authors."""
    for number in range(COMMITS):
        author = AUTHORS[number * number % 7 % len(AUTHORS)]
        suffix = tuple(SUFFIXES.values())[number % 4]
        text = "".join(f"line {line} of {number}\n" for line in range(1 + number % 50))
        yield (
            f"commit refs/heads/main\nauthor {author} <{author[0]}@example.org> {1_600_000_000 + number * 3600} +0100\n"
            f"committer {author} <{author[0]}@example.org> {1_600_000_000 + number * 3600} +0100\n"
            f"data 4\nwork\nM 100644 inline src/file{number % 40}{suffix}\ndata {len(text)}\n{text}\n"
        )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repos" / "history"
    path.mkdir(parents=True)
    git(path, "init", "-q", "-b", "main")
    git(path, "fast-import", "--quiet", data="".join(history()).encode())
    return path


async def test_report_agrees_with_independent_commands(
    admin: AsyncClient, platform: Platform, repository: Path
) -> None:
    definition = read_yaml((CHECKOUT / "examples" / "code-review.yaml").read_bytes())
    assert (await admin.post("/workflow", json=definition)).status_code == 201
    body = {"input": {"path": str(repository)}}
    run = (await admin.post("/workflow/code-review/execute?wait=60", json=body)).json()
    assert run["status"] == "completed", run["error"]
    commit = git(repository, "rev-parse", "HEAD").decode().strip()
    assert run["output"]["commit"] == commit
    address = run["output"]["report"]["url"].removeprefix("/api/v1")
    analysis = (await admin.get(address)).json()["data"]["analysis"]

    files = git(repository, "ls-tree", "-r", "--name-only", commit).decode().splitlines()
    assert analysis["files"] == len(files)
    assert analysis["commits"] == int(git(repository, "rev-list", "--count", commit))
    for language, suffix in SUFFIXES.items():
        mine = [path for path in files if path.endswith(suffix)]
        lines = sum(git(repository, "cat-file", "blob", f"{commit}:{path}").count(b"\n") for path in mine)
        found = next(item for item in analysis["languages"] if item["language"] == language)
        assert (found["files"], found["lines"]) == (len(mine), lines)
    names = Counter(git(repository, "log", "--format=%an", commit).decode().splitlines())
    assert {item["name"]: item["commits"] for item in analysis["contributors"]} == dict(names)
    touched = Counter(path for path in git(repository, "log", "--format=", "--name-only").decode().split() if path)
    assert {item["path"]: item["commits"] for item in analysis["hot_files"]}.items() <= touched.items()
    markdown = (await admin.get(f"{address}?format=markdown")).text
    assert f"{COMMITS:,} commits" in markdown


async def test_load_names_what_is_wrong_with_its_source(admin: AsyncClient, tmp_path: Path) -> None:
    definition = read_yaml((CHECKOUT / "examples" / "code-review.yaml").read_bytes())
    await admin.post("/workflow", json=definition)
    none = await admin.post("/workflow/code-review/execute", json={"input": {}})
    assert none.status_code == 422
    both = await admin.post("/workflow/code-review/execute", json={"input": {"path": "/x", "url": "https://x.org/y"}})
    assert both.status_code == 422
    outside = await admin.post("/workflow/code-review/execute?wait=30", json={"input": {"path": str(tmp_path)}})
    assert outside.json()["error"]["code"] == "not-found"
    inward = await admin.post(
        "/workflow/code-review/execute?wait=30", json={"input": {"url": "https://127.0.0.1:1/x/y"}}
    )
    assert inward.json()["error"]["code"] == "address-refused"
