"""Owners, hot spots, licences, tests and odd files of an analysis, against Git where Git knows."""

import io
import os
import subprocess
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from identify.vendor.licenses import LICENSES

from models.context import Analysis, LoadRepo
from services.context.analysis import analyze
from services.context.attributes import EXPORT_IGNORE, GENERATED, Attributes, nearest_root_first
from services.context.licenses import identify_license, is_license
from services.context.loading import Loader
from services.context.ownership import bus_factor
from services.context.supervision import Supervision
from services.context.understanding import HUGE, leads_somewhere

Git = Callable[..., str]
COMPLEX = "def f(a):\n" + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(6))


@pytest.fixture
def project(roots: Path, git: Git) -> Path:
    path = roots / "understood"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    return path


@pytest.fixture
def analyzed(project: Path, loader_for: Callable[..., Loader], supervision: Supervision) -> Callable[[], Analysis]:
    def run() -> Analysis:
        loader = loader_for()
        repo = loader.load(LoadRepo(path=str(project)), supervision)
        with loader.opened(repo, supervision).objects() as objects:
            return analyze(objects, repo, 0, supervision)

    return run


def write(project: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)


def commit(git: Git, project: Path, who: str) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-q", "--allow-empty", "-m", "x", GIT_AUTHOR_NAME=who)


def test_owners_and_bus_factor_agree_with_git_log(project: Path, git: Git, analyzed: Callable[[], Analysis]) -> None:
    people = ["Ada", "Ada", "Bob", "Cyd", "Ada", "Bob", "Bob", "Dan", "Ada", "Cyd"]
    for number, who in enumerate(people):
        files = {
            f"src/{'core' if number % 2 else 'web'}/deep/f{number % 3}.py": f"x = {number}\n",
            "README": f"{number}\n",
        }
        write(project, files | ({"gone.py": f"{number}\n"} if number < 5 else {}))
        commit(git, project, who)
    git(project, "checkout", "-qb", "side", "HEAD~1")
    write(project, {"docs/a.md": "a\n"})
    commit(git, project, "Eve")
    git(project, "checkout", "-q", "main")
    git(project, "merge", "-q", "--no-ff", "-m", "merge", "side", GIT_AUTHOR_NAME="Merger")
    (project / "gone.py").unlink()
    commit(git, project, "Ada")

    authors = Counter(git(project, "log", "--format=%an").splitlines())
    changes: dict[str, Counter[str]] = defaultdict(Counter)
    existing = set(git(project, "ls-files").splitlines())
    for block in git(project, "log", "--no-merges", "--no-renames", "--name-only", "--format=%x01%an").split("\1")[1:]:
        author, *paths = [line for line in block.splitlines() if line]
        for path in existing & set(paths):
            parts = path.split("/")[:-1]
            for name in (path, "/", *("/".join(parts[:depth]) + "/" for depth in range(1, min(2, len(parts)) + 1))):
                changes[name][author] += 1
    found = analyzed().ownership
    assert found is not None
    fewest = next(
        size
        for size in range(1, 9)
        if any(2 * sum(team) > authors.total() for team in combinations(authors.values(), size))
    )
    assert found.bus_factor == fewest
    for listed, folders in ((found.files, False), (found.folders, True)):
        assert {each.path for each in listed} == {path for path in changes if path.endswith("/") == folders}
        for each in listed:
            counts = changes[each.path]
            assert counts[each.author] == max(counts.values())
            assert (each.changes, each.authors) == (counts.total(), len(counts))
            assert each.share == round(max(counts.values()) / counts.total(), 4)
    often = [counts for path, counts in changes.items() if not path.endswith("/") and counts.total() >= 3]
    assert (found.files_changed_often, found.files_of_one) == (len(often), sum(len(each) == 1 for each in often))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7))
def test_the_bus_factor_is_the_size_of_the_smallest_team_with_more_than_half(commits: list[int]) -> None:
    teams = (size for size in range(1, 8) for team in combinations(commits, size) if 2 * sum(team) > sum(commits))
    assert bus_factor(commits) == next(teams)


def test_nobody_has_a_bus_factor_of_none() -> None:
    assert bus_factor([]) == 0


def test_hot_spots_tests_and_licences(project: Path, git: Git, analyzed: Callable[[], Analysis]) -> None:
    licenses = dict(LICENSES)
    for number in range(3):
        write(
            project,
            {"hot.py": COMPLEX + f"# {number}\n", "cold.py": f"x = {number}\n", "vendor/v.py": f"{COMPLEX}#{number}\n"},
        )
        commit(git, project, "Ada")
    write(
        project,
        {
            "once.py": COMPLEX,
            "tests/test_hot.py": "def test_it():\n    pass\n",
            "tests/data.json": "{}\n",
            "LICENSE": licenses["Apache-2.0"],
            "COPYING.LESSER": licenses["LGPL-3.0"],
            "LICENSE-OURS.txt": "You may look at it.\n",
            "vendor/LICENSE": licenses["MIT"],
            "package.json": '{"license": "Apache-2.0", "dependencies": {"a": "1"}}',
            "vendor/package.json": '{"dependencies": {"b": "1"}}',
            "sub/go.mod": "module x\nrequire y v1.0.0\n",
            "bad/pom.xml": "<project>",
        },
    )
    commit(git, project, "Ada")
    found = analyzed()
    assert [
        (each.path, each.commits, each.complexity, each.function, each.line, each.score) for each in found.hot_spots
    ] == [("hot.py", 3, 7, "f", 1, 21)]
    code = found.code_and_tests
    assert (code.test_files, code.test_lines, code.code_files) == (1, 2, 4)
    assert code.code_lines == sum(
        len((project / f).read_text().splitlines()) for f in ("hot.py", "cold.py", "once.py", "vendor/v.py")
    )
    assert [(each.spdx, each.path, each.source) for each in found.licenses] == [
        ("LGPL-3.0", "COPYING.LESSER", "text"),
        ("Apache-2.0", "LICENSE", "text"),
        (None, "LICENSE-OURS.txt", "text"),
        ("Apache-2.0", "package.json", "manifest"),
    ]
    assert [(each.name, each.path) for each in found.dependencies] == [("a", "package.json"), ("y", "sub/go.mod")]
    assert found.dependencies_total == 2
    assert [each.path for each in found.findings if each.rule == "bad-manifest"] == ["bad/pom.xml"]
    assert [(each.lines, each.copies) for each in found.duplication.blocks] == [(13, 2)]
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def test_an_analysis_stored_before_these_figures_is_still_read(
    project: Path, git: Git, analyzed: Callable[[], Analysis]
) -> None:
    commit(git, project, "Ada")
    new = {"duplication", "dependencies", "dependencies_total", "licenses", "hot_spots", "ownership", "code_and_tests",
           "unreachable_files", "unreachable_total", "huge_files"}  # fmt: skip
    stored = analyzed().model_dump(mode="json", exclude=new)
    assert Analysis.model_validate(stored).ownership is None


ATTRIBUTES = {
    ".gitattributes": (
        "*.pb.go linguist-generated=true\n/docs export-ignore\nbuild/ export-ignore\n**/x/*.c export-ignore\n"
        "gen/** linguist-generated -diff\n[a-z export-ignore\n*.off linguist-generated\n"
        '# a comment\n"quo ted" export-ignore\n.gitattributes export-ignore\nlib/a?.txt export-ignore\n'
    ),
    "lib/.gitattributes": (
        "*.pb.go -linguist-generated\n/b.txt export-ignore\nnested/c.txt linguist-generated\n"
        "*.off !linguist-generated\n"
    ),
}
NAMES = [
    "a.pb.go", "lib/a.pb.go", "docs/a/b.txt", "lib/docs/a.txt", "build/a", "lib/build/z", "q/x/a.c", "x/a.c", "x/y/a.c",
    "gen/a/b.py", "lib/gen/a.py", "z.off", "lib/z.off", "lib/b.txt", "lib/nested/b.txt", "lib/nested/c.txt",
    "lib/ab.txt", "lib/abc.txt", "lib/a/b.txt", "b.txt",
]  # fmt: skip


def test_attributes_agree_with_git(project: Path, git: Git) -> None:
    write(project, dict.fromkeys(NAMES, "x\n") | ATTRIBUTES)
    commit(git, project, "Ada")
    attributes = Attributes()
    tracked = git(project, "ls-files", "-z").encode("utf-8", "surrogateescape").split(b"\0")[:-1]
    for path in nearest_root_first(tracked):
        attributes.add(path, (project / os.fsdecode(path)).read_bytes())
    for path in tracked:
        said = git(project, "check-attr", "-z", GENERATED.decode(), "--", os.fsdecode(path)).split("\0")[2]
        assert (GENERATED in attributes.of(path)) == (said in {"set", "true"}), path
    archive = subprocess.run(["git", "-C", project, "archive", "HEAD"], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        exported = {member.name for member in tar if not member.isdir()}
    assert {path.decode() for path in tracked if EXPORT_IGNORE not in attributes.of(path)} == exported


def test_files_out_of_reach_and_huge_ones(project: Path, git: Git, analyzed: Callable[[], Analysis]) -> None:
    write(
        project,
        {".gitattributes": "docs export-ignore\n*.gen.py linguist-generated\n", "docs/a.md": "a\n", "b.gen.py": "1\n"},
    )
    (project / "large.bin").write_bytes(b"\0" * (HUGE + 1))
    (project / "not so large.bin").write_bytes(b"\0" * HUGE)
    (project / "deep" / "er").mkdir(parents=True)
    targets = {
        "good": "docs/a.md", "folder": "docs", "deep/up": "../b.gen.py", "deep/er/through": "../../folder/a.md",
        "to module": "module", "nowhere": "missing", "outside": "/etc/passwd", "above": "../x", "loop": "loop",
        "deep/er/past": "../../good/more", "deep/self": ".",
    }  # fmt: skip
    for name, target in targets.items():
        (project / name).symlink_to(target)
    git(project, "add", "-A")
    head = "1" * 40
    git(project, "update-index", "--add", "--cacheinfo", f"160000,{head},module")
    git(project, "commit", "-qm", "x")
    found = analyzed()
    assert [(each.path, each.reason) for each in found.unreachable_files] == [
        ("above", "dangling-symlink"),
        ("b.gen.py", "linguist-generated"),
        ("deep/er/past", "dangling-symlink"),
        ("docs/a.md", "export-ignore"),
        ("loop", "dangling-symlink"),
        ("nowhere", "dangling-symlink"),
        ("outside", "dangling-symlink"),
    ]
    assert found.unreachable_total == 7
    assert [(each.path, each.bytes) for each in found.huge_files] == [("large.bin", HUGE + 1)]


def test_links_in_a_circle_lead_nowhere() -> None:
    assert not leads_somewhere(b"a", {b"a": b"b", b"b": b"a"}, {b"a", b"b"})
    assert leads_somewhere(b"a", {b"a": b"."}, {b"a"}), "to the folder that it lies in"


@pytest.mark.parametrize(("spdx", "text"), LICENSES, ids=[spdx for spdx, _ in LICENSES])
def test_every_known_licence_is_told_from_the_others(spdx: str, text: str) -> None:
    notice = "Copyright (c) 2020 Ada Lovelace. All rights reserved.\r\n\r\n"
    wrapped = notice + "\r\n".join(f" # {line.upper()}" for line in text.splitlines())
    assert identify_license(text.encode()) == (spdx, 1.0)
    assert (identify_license(wrapped.encode()) or ("",))[0] == spdx


def test_variants_and_other_texts_are_not_taken_for_what_they_are_not() -> None:
    licenses = dict(LICENSES)
    condition = licenses["MIT"].index("subject to the following")
    rest = licenses["MIT"].index("THE SOFTWARE IS")
    assert (identify_license(f"{licenses['MIT'][:condition]}\n{licenses['MIT'][rest:]}".encode()) or ("",))[
        0
    ] == "MIT-0"
    good = licenses["MIT"] + "\nThe Software shall be used for Good, not Evil.\n"
    assert (identify_license(good.encode()) or ("",))[0] == "JSON"
    assert identify_license(b"All rights reserved, in every way that there is, and some more of them too.") is None
    assert identify_license(b"MIT") is None
    assert identify_license(f"{licenses['MIT']}\n{licenses['ISC']}".encode()) is None
    assert identify_license(b"") is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("LICENSE", True), ("license.md", True), ("a/LICENCE.txt", True), ("COPYING.LESSER", True), ("UNLICENSE", True),
        ("LICENSE-APACHE", True), ("MIT-LICENSE", True), ("license.py", False), ("licenses.py", False),
        ("LICENSE/readme", False), ("relicense", False), ("license_test.go", False),
    ],
)  # fmt: skip
def test_licences_are_known_by_their_names(path: str, expected: bool) -> None:
    assert is_license(path) is expected
