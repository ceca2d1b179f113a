"""Every figure of an analysis against independent Git commands, on a repository of awkward cases."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from models.context import Analysis, LoadRepo
from services.context.analysis import MAX_TEXT, analyze
from services.context.loading import Loader
from services.context.supervision import Supervision

Git = Callable[..., str]
KEY = "-----BEGIN " + "RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA" * 4 + "\n"


@pytest.fixture
def awkward(roots: Path, git: Git) -> Path:
    path = roots / "awkward"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")

    def commit(message: str, who: str, at: str, **environment: str) -> None:
        git(path, "add", "-A")
        git(
            path, "commit", "-q", "--allow-empty", "-m", message, GIT_AUTHOR_NAME=who, GIT_AUTHOR_DATE=at, **environment
        )

    (path / "app.py").write_text("def f(a):\n    if a:\n        return 1\n    return 2  # TODO later\n")
    (path / "no_newline.py").write_bytes(b"x = 1\ny = 2")
    (path / "crlf.py").write_bytes(b"a = 1\r\nb = 2\r\n")
    (path / "empty.py").write_bytes(b"")
    (path / "picture.png").write_bytes(b"\x89PNG\r\n\x00\x01\x02")
    (path / "link").symlink_to("app.py")
    commit("first", "Ada Lovelace", "2020-01-31T23:30:00-0500")
    (path / "unicodé ☃.js").write_text("function f() { return a ? b : c }\n")
    (path / "with\ttab\nand newline.txt").write_text("one\ntwo\n")
    script = path / "run"
    script.write_text("#!/usr/bin/env python3\nprint(1)\n")
    script.chmod(0o755)
    (path / "tests").mkdir()
    (path / "tests" / "test_app.py").write_text("def test_f():\n    assert True\n")
    (path / "tests" / "data.json").write_text("{}\n")
    (path / "pyproject.toml").write_text("[project]\n")
    commit("second", "  Grace   Hopper ", "2020-02-29T12:00:00+0000")
    git(path, "mv", "app.py", "renamed.py")
    commit("rename", "Ada Lovelace", "2019-12-31T23:59:59+0000")
    git(path, "checkout", "-qb", "side")
    (path / "renamed.py").write_text("def f(a):\n    return a\n")
    commit("on the side", "Müller", "2021-05-05T05:05:05+0200", LC_ALL="C")
    git(path, "checkout", "-q", "main")
    (path / "crlf.py").write_bytes(b"a = 2\r\nb = 2\r\nc = 3\r\n")
    commit("meanwhile", "Grace Hopper", "2021-05-06T05:05:05+0200")
    git(path, "merge", "-q", "--no-ff", "-m", "merge", "side", GIT_AUTHOR_NAME="Merger")
    (path / "huge.txt").write_bytes(b"0123456789\n" * (MAX_TEXT // 11 + 1))
    (path / "key.pem").write_text(KEY)
    (path / "conflict.py").write_text("<<<<<<< ours\na = 1\n=======\na = 2\n>>>>>>> theirs\n")
    (path / "deep" / "a" / "b").mkdir(parents=True)
    (path / "deep" / "a" / "b" / "c.py").write_text("x = 1\n")
    commit("more", "Ada Lovelace", "2022-01-01T00:00:00+0000")
    head = git(path, "rev-parse", "HEAD").strip()
    git(path, "update-index", "--add", "--cacheinfo", f"160000,{head},submodule")
    git(path, "commit", "-qm", "a submodule, a mode change", GIT_AUTHOR_NAME="Ada Lovelace")
    (path / "crlf.py").chmod(0o755)
    (path / "deep" / "a" / "b" / "c.py").unlink()
    (path / "deep" / "a" / "b" / "c.py").mkdir()
    (path / "deep" / "a" / "b" / "c.py" / "inner.py").write_text("a file became a folder\n")
    git(path, "add", "-A", "--", "crlf.py", "deep")
    git(path, "commit", "-qm", "type changes", GIT_AUTHOR_NAME="Ada Lovelace")
    git(path, "-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "--allow-empty", "-m", "latin",
        GIT_AUTHOR_NAME=b"Andr\xe9".decode("utf-8", "surrogateescape"))  # fmt: skip
    git(path, "tag", "-a", "v1", "-m", "one")
    return path


@pytest.fixture(params=["loose", "packed"])
def analysis(
    request: pytest.FixtureRequest, awkward: Path, git: Git, loader_for: Callable[..., Loader], supervision: Supervision
) -> Analysis:
    if request.param == "packed":
        git(awkward, "gc", "-q", "--aggressive")
    loader = loader_for()
    repo = loader.load(LoadRepo(path=str(awkward), ref="v1"), supervision)
    with loader.opened(repo, supervision).objects() as objects:
        return analyze(objects, repo, 0, supervision)


def tree(git: Git, repository: Path) -> dict[str, tuple[str, str, int]]:
    """Mode, object and size of every file by its path, submodules left out."""
    found = {}
    for line in git(repository, "ls-tree", "-r", "-l", "-z", "HEAD").split("\0")[:-1]:
        fields, path = line.split("\t", 1)
        mode, kind, sha, size = fields.split()
        if kind == "blob":
            found[path] = (mode, sha, int(size))
    return found


def wc_lines(repository: Path, sha: str) -> int:
    """`git cat-file | wc -l`, plus one for an unterminated last line."""
    content = subprocess.run(["git", "-C", repository, "cat-file", "blob", sha], check=True, capture_output=True).stdout
    lines = int(subprocess.run(["wc", "-l"], check=True, capture_output=True, input=content).stdout)
    return lines + (content[-1:] not in {b"", b"\n"})


def test_files_and_lines_agree_with_ls_tree_and_wc(analysis: Analysis, awkward: Path, git: Git) -> None:
    files = tree(git, awkward)
    assert analysis.files == len(files)
    assert analysis.bytes == sum(size for _, _, size in files.values())
    empty_tree = git(awkward, "hash-object", "-t", "tree", "/dev/null").strip()
    numbers = git(awkward, "diff", "--numstat", "-z", "--no-renames", empty_tree, "HEAD").split("\0")
    binary = {line.split("\t", 2)[2] for line in numbers if line.startswith("-\t-")}
    assert analysis.binary_files == len(binary)
    counted = {
        path: wc_lines(awkward, sha)
        for path, (mode, sha, size) in files.items()
        if mode != "120000" and path not in binary and size <= MAX_TEXT
    }
    assert analysis.lines == sum(counted.values())
    languages = {each.language: (each.files, each.lines) for each in analysis.languages}
    python = [lines for path, lines in counted.items() if path.endswith(".py") or path == "run"]
    assert languages["Python"] == (len(python), sum(python))
    assert languages["JavaScript"] == (1, 1)
    assert sum(files for files, _ in languages.values()) == len(counted)
    assert analysis.skipped == {"binary": len(binary), "symlink": 1, "too-large": 1}
    largest = sorted(((-lines, path) for path, lines in counted.items()))[:3]
    assert [(-each.lines, each.path) for each in analysis.largest_files[:3]] == largest


def test_history_agrees_with_git_log(analysis: Analysis, awkward: Path, git: Git) -> None:
    assert analysis.commits == analysis.repo.commits == int(git(awkward, "rev-list", "--count", "HEAD"))
    names = Counter(git(awkward, "log", "--format=%an").splitlines())
    assert {each.name: each.commits for each in analysis.contributors} == names
    assert analysis.contributor_count == len(names)
    stamps = sorted(int(line) for line in git(awkward, "log", "--format=%at").split())
    assert analysis.first_commit_at is not None
    assert analysis.last_commit_at is not None
    assert (analysis.first_commit_at.timestamp(), analysis.last_commit_at.timestamp()) == (stamps[0], stamps[-1])
    months = Counter(git(awkward, "log", "--date=format-local:%Y-%m", "--format=%ad", TZ="UTC").split())
    assert {each.month: each.commits for each in analysis.activity} == months
    assert [each.month for each in analysis.activity] == sorted(months)


def test_churn_agrees_with_git_log_without_merges(analysis: Analysis, awkward: Path, git: Git) -> None:
    log = git(awkward, "log", "--no-merges", "--no-renames", "--name-only", "-z", "--format=")
    touched = Counter(path for path in log.split("\0") if path)
    expected = {path: touched[path] for path in tree(git, awkward)}
    assert {each.path: each.commits for each in analysis.hot_files} == expected
    assert [each.commits for each in analysis.hot_files] == sorted(expected.values(), reverse=True)


def test_functions_tests_manifests_and_findings_are_found(analysis: Analysis) -> None:
    assert [(each.complexity, each.path, each.line, each.name) for each in analysis.complex_functions] == [
        (2, "unicodé ☃.js", 1, "f"),
        (1, "renamed.py", 1, "f"),
        (1, "tests/test_app.py", 1, "test_f"),
    ]
    assert (analysis.functions, analysis.average_complexity) == (3, 1.33)
    assert analysis.test_files == 1
    assert analysis.manifests == ("pyproject.toml",)
    found = [(each.severity, each.rule, each.path, each.line) for each in analysis.findings]
    assert found[:2] == [("error", "merge-conflict", "conflict.py", 1), ("error", "private-key", "key.pem", 1)]
    assert "MIIEow" not in analysis.model_dump_json()


def test_the_same_commit_gives_the_same_analysis(
    analysis: Analysis, loader_for: Callable[..., Loader], supervision: Supervision
) -> None:
    with loader_for().opened(analysis.repo, supervision).objects() as objects:
        assert analyze(objects, analysis.repo, 0, supervision) == analysis


def test_a_shallow_source_is_told_in_the_findings(
    awkward: Path, git: Git, loader_for: Callable[..., Loader], supervision: Supervision
) -> None:
    shallow = awkward.parent / "shallow"
    git(awkward, "clone", "-q", "--depth", "3", f"file://{awkward}", str(shallow))
    loader = loader_for()
    repo = loader.load(LoadRepo(path=str(shallow)), supervision)
    stored = loader.opened(repo, supervision)
    with stored.objects() as objects:
        analysis = analyze(objects, repo, len(stored.shallow()), supervision)
    assert analysis.commits == int(git(shallow, "rev-list", "--count", "HEAD"))
    assert [each.message for each in analysis.findings if each.rule == "shallow-history"]
