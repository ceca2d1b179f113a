import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from models.context import LoadedRepo, LoadRepo
from models.errors import InvalidInputError, NotFoundError, TooLargeError, TooLooError
from services.context.loading import Loader
from services.context.supervision import Limits, Supervision

Git = Callable[..., str]
Loaders = Callable[..., Loader]


@pytest.fixture
def load(loader_for: Loaders, supervision: Supervision) -> Callable[..., LoadedRepo]:
    return lambda path, ref=None: loader_for().load(LoadRepo(path=str(path), ref=ref), supervision)


def refusal(load: Callable[..., LoadedRepo], path: Path | str, ref: str | None = None) -> TooLooError:
    with pytest.raises(TooLooError) as refused:
        load(path, ref)
    return refused.value


@pytest.mark.parametrize(
    "ref",
    [None, "HEAD", "main", "side", "v1", "refs/heads/side", "refs/tags/v1", "side-full", "side-short", "SIDE-FULL"],
)
def test_a_ref_names_what_git_says_it_names(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, ref: str | None
) -> None:
    side = git(repository, "rev-parse", "side").strip()
    ref = {"side-full": side, "side-short": side[:9], "SIDE-FULL": side.upper()}.get(ref or "", ref)
    loaded = load(repository, ref)
    assert loaded.commit == git(repository, "rev-parse", f"{ref or 'HEAD'}^{{commit}}").strip()
    assert loaded.commits == int(git(repository, "rev-list", "--count", loaded.commit))
    assert (loaded.name, loaded.source, loaded.ref) == ("project", str(repository), ref)


def test_a_tag_is_preferred_to_a_branch_of_its_name(
    load: Callable[..., LoadedRepo], repository: Path, git: Git
) -> None:
    git(repository, "branch", "v1", "side")
    assert load(repository, "v1").commit == git(repository, "rev-parse", "refs/tags/v1^{commit}").strip()


@pytest.mark.parametrize("ref", ["nothing", "0000000", "f" * 40, "../../etc/passwd", "-x", "main~1", "a\0b"])
def test_an_unknown_ref_is_said_to_be_unknown(load: Callable[..., LoadedRepo], repository: Path, ref: str) -> None:
    assert refusal(load, repository, ref).code == "unknown-ref"


def test_a_ref_that_names_no_commit_is_unknown(load: Callable[..., LoadedRepo], repository: Path, git: Git) -> None:
    git(repository, "tag", "blob", git(repository, "rev-parse", "HEAD:file.txt").strip())
    assert refusal(load, repository, "blob").code == "unknown-ref"


def test_an_ambiguous_abbreviation_asks_for_more_digits(
    load: Callable[..., LoadedRepo], repository: Path, git: Git
) -> None:
    # 1,200 commits over 65,536 prefixes of four digits: two that share one are all but certain, and fixed by the dates.
    stream = "".join(
        f"commit refs/heads/many\ncommitter A <a@x> {1_600_000_000 + n} +0000\ndata 1\nx\n" for n in range(1_200)
    )
    git(repository, "fast-import", "--quiet", data=stream.encode())
    names = git(repository, "rev-list", "many").split()
    prefix = next(name[:4] for name in names if sum(other.startswith(name[:4]) for other in names) > 1)
    assert refusal(load, repository, prefix).code == "ambiguous-ref"


def test_the_stored_repository_is_sound_and_bare(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    git(repository, "gc", "-q")
    (repository / "new.txt").write_text("loose\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "loose beside packed")
    loaded = load(repository)
    stored = tmp_path / "store" / loaded.id
    assert git(stored, "rev-parse", "--is-bare-repository").strip() == "true"
    assert git(stored, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert git(stored, "show", f"{loaded.commit}:new.txt") == "loose\n"
    assert list((stored / "incoming").glob("*")) == []


def test_loading_again_takes_only_the_difference(load: Callable[..., LoadedRepo], repository: Path, git: Git) -> None:
    first = load(repository)
    assert load(repository) == first.model_copy(update={"bytes_fetched": 0})
    (repository / "more.txt").write_text("more\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "more")
    second = load(repository)
    assert 0 < second.bytes_fetched < first.bytes_fetched
    assert (second.id, second.commits) == (first.id, first.commits + 1)


def test_a_rewritten_branch_leaves_the_old_commit_served(
    loader_for: Loaders, load: Callable[..., LoadedRepo], repository: Path, git: Git, supervision: Supervision
) -> None:
    old = load(repository)
    git(repository, "commit", "-q", "--amend", "-m", "rewritten")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "-q", "--prune=now")
    assert load(repository).commit != old.commit
    assert loader_for().opened(old, supervision).holds(old.commit)


def test_a_bare_repository_loads(load: Callable[..., LoadedRepo], repository: Path, git: Git) -> None:
    bare = repository.parent / "bare.git"
    git(repository, "clone", "-q", "--bare", str(repository), str(bare))
    assert (load(bare).name, load(bare).commits) == ("bare", 3)


def test_a_linked_work_tree_loads_its_own_head_even_from_outside_the_roots(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    git(repository, "clone", "-q", str(repository), str(outside))
    tree = repository.parent / "tree"
    git(outside, "worktree", "add", "-q", "--detach", str(tree), "HEAD~1")
    assert load(tree).commit == git(tree, "rev-parse", "HEAD").strip()


def test_a_git_file_pointing_at_a_foreign_repository_is_refused(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    git(repository, "clone", "-q", str(repository), str(outside))
    trap = repository.parent / "trap"
    trap.mkdir()
    (trap / ".git").write_text(f"gitdir: {outside}/.git\n")
    assert refusal(load, trap).code == "not-a-repository"


def test_commondir_pointing_at_a_foreign_repository_is_refused(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    git(repository, "clone", "-q", str(repository), str(outside))
    trap = repository.parent / "trap" / ".git"
    trap.mkdir(parents=True)
    (trap / "HEAD").write_text("ref: refs/heads/main\n")
    (trap / "commondir").write_text(f"{outside}/.git\n")
    assert refusal(load, trap.parent).code == "not-a-repository"


def test_missing_outside_and_escaping_paths_get_the_same_answer(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    outside = tmp_path / "secret"
    git(repository, "clone", "-q", str(repository), str(outside))
    roots = repository.parent
    (roots / "link").symlink_to(outside)
    (roots / "loop").symlink_to(roots / "loop")
    paths = [
        roots / "missing",
        outside,
        roots / "link",
        roots / ".." / "secret",
        roots / "loop",
        "/etc",
        f"{roots}/a\0",
    ]
    errors = [refusal(load, path) for path in paths]
    assert {type(error) for error in errors} == {NotFoundError}
    assert {(error.code, re.sub("at '.*' under", "", error.detail)) for error in errors} == {
        ("not-found", "no repository  the allowed roots (TOOLOO_REPO_ROOTS, `up --repos DIR`)")
    }
    assert not (tmp_path / "store").exists()


def test_symbolic_links_among_the_objects_are_not_followed(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    git(outside, "init", "-q")
    (outside / "key.txt").write_text("secret\n")
    git(outside, "add", ".")
    git(outside, "commit", "-qm", "secret")
    secret = git(outside, "rev-parse", "HEAD").strip()
    for fanout in (outside / ".git" / "objects").glob("??"):
        target = repository / ".git" / "objects" / fanout.name
        if not target.exists():
            target.symlink_to(fanout)
    assert refusal(load, repository, secret).code == "unknown-ref"
    assert load(repository).commits == 3


def test_alternates_outside_the_roots_are_refused_and_inside_are_used(
    load: Callable[..., LoadedRepo], repository: Path, git: Git, tmp_path: Path
) -> None:
    shared = repository.parent / "shared"
    git(repository, "clone", "-q", "--shared", str(repository), str(shared))
    assert load(shared).commits == 3
    outside = tmp_path / "outside"
    git(repository, "clone", "-q", str(repository), str(outside))
    (shared / ".git" / "objects" / "info" / "alternates").write_text(f"{outside}/.git/objects\n")
    refused = refusal(load, shared)
    assert (refused.code, "alternates" in refused.detail) == ("unsupported-repository", True)


def test_folders_that_are_no_repository_and_empty_ones_are_told_apart(
    load: Callable[..., LoadedRepo], roots: Path, git: Git
) -> None:
    (roots / "plain").mkdir()
    (roots / "file").write_text("x")
    (roots / "broken").mkdir()
    (roots / "broken" / ".git").write_bytes(b"\xff\xfe")
    assert {refusal(load, roots / name).code for name in ("plain", "file", "broken")} == {"not-a-repository"}
    (roots / "empty").mkdir()
    git(roots / "empty", "init", "-q")
    assert refusal(load, roots / "empty").code == "empty-repository"


def test_a_sha256_repository_and_a_partial_clone_are_refused_by_name(
    load: Callable[..., LoadedRepo], repository: Path, git: Git
) -> None:
    modern = repository.parent / "modern"
    modern.mkdir()
    git(modern, "init", "-q", "--object-format=sha256")
    git(modern, "commit", "-q", "--allow-empty", "-m", "x")
    assert refusal(load, modern).code == "unsupported-repository"
    partial = repository.parent / "partial"
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(repository, "clone", "-q", "--no-local", "--filter=blob:none", f"file://{repository}", str(partial))
    assert refusal(load, partial).code == "unsupported-repository"


def test_a_shallow_clone_counts_what_git_counts_and_deepens_later(
    load: Callable[..., LoadedRepo], repository: Path, git: Git
) -> None:
    shallow = repository.parent / "shallow"
    git(repository, "clone", "-q", "--depth", "2", f"file://{repository}", str(shallow))
    assert load(shallow).commits == 2 == int(git(shallow, "rev-list", "--count", "HEAD"))
    git(shallow, "fetch", "-q", "--unshallow")
    assert load(shallow).commits == 3


def test_a_repository_over_the_byte_limit_is_refused(
    loader_for: Loaders, repository: Path, supervision: Supervision
) -> None:
    with pytest.raises(TooLargeError):
        loader_for(limits=Limits(transfer_bytes=100)).load(LoadRepo(path=str(repository)), supervision)


def test_a_time_limit_ends_a_load(loader_for: Loaders, repository: Path) -> None:
    with pytest.raises(TooLargeError) as refused:
        loader_for().load(LoadRepo(path=str(repository)), Supervision(seconds=-1, report=lambda _: None))
    assert refused.value.code == "time-limit"


def test_a_missing_object_is_reported_as_damage(load: Callable[..., LoadedRepo], repository: Path, git: Git) -> None:
    parent = git(repository, "rev-parse", "HEAD~1").strip()
    (repository / ".git" / "objects" / parent[:2] / parent[2:]).unlink()
    assert refusal(load, repository).code == "damaged-repository"


def test_hooks_of_the_source_never_run(load: Callable[..., LoadedRepo], repository: Path, tmp_path: Path) -> None:
    for name in ("post-checkout", "pre-receive", "post-update", "reference-transaction"):
        hook = repository / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    load(repository)
    assert not (tmp_path / "ran").exists()


def test_an_analysis_elsewhere_loads_the_commit_again(
    loader_for: Loaders, load: Callable[..., LoadedRepo], repository: Path, supervision: Supervision
) -> None:
    loaded = load(repository, "side")
    assert loader_for(store="other-machine").opened(loaded, supervision).holds(loaded.commit)


@pytest.mark.parametrize(
    "forged",
    [
        {"id": "../../../etc"},
        {"id": "0" * 32},
        {"source": "/etc"},
        {"source": "https://127.0.0.1/x"},
        {"commit": "../x"},
    ],
)
def test_a_forged_loaded_repo_opens_nothing(
    loader_for: Loaders,
    load: Callable[..., LoadedRepo],
    repository: Path,
    supervision: Supervision,
    forged: dict[str, str],
) -> None:
    with pytest.raises((InvalidInputError, NotFoundError)):
        loader_for().opened(load(repository).model_copy(update=forged), supervision)


def test_nothing_but_objects_of_the_source_is_touched(load: Callable[..., LoadedRepo], repository: Path) -> None:
    def listing() -> str:
        command = ["find", str(repository), "-type", "f", "-exec", "sha256sum", "{}", "+"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    before = listing()
    load(repository)
    assert listing() == before
