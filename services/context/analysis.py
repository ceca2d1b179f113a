"""Analysis of a stored repository at one commit: its files, its functions, its history."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from dulwich.objects import ObjectID

from models.context import Analysis, FileChurn, Finding, FunctionComplexity, LanguageStats, LoadedRepo
from models.errors import InvalidInputError
from services.context.attributes import nearest_root_first
from services.context.children import Child
from services.context.complexity import SECONDS, measurable, measure
from services.context.conventions import is_manifest, is_test
from services.context.findings import GravestFindings, findings_about, findings_in
from services.context.history import History, read_history
from services.context.languages import Language, language_of
from services.context.objects import (
    FORMAT_MASK,
    MODE_SUBMODULE,
    MODE_SYMLINK,
    Objects,
    TreeFile,
    is_binary,
    printable,
)
from services.context.ownership import ownership
from services.context.supervision import Supervision
from services.context.trees import tree_entries
from services.context.understanding import Understanding

MAX_TEXT = 2 * 2**20
"""Bytes of a file that is read; larger ones are data, and memory stays bounded."""
_TOP_FUNCTIONS, _TOP_FILES, _TOP_HOT, _TOP_AUTHORS = 20, 10, 20, 20
_MAX_MANIFESTS = 200
_MAX_FUNCTION_NAME = 200
_MAX_LINK = 4_096
"""Bytes of a symbolic link's target: the longest path that Linux takes."""


@dataclass
class _Totals:
    files: int = 0
    lines: int = 0
    bytes: int = 0


@dataclass
class Inventory:
    """What the files of a commit add up to."""

    files: int = 0
    size: int = 0
    test_files: int = 0
    function_count: int = 0
    complexity_sum: int = 0
    languages: dict[str, _Totals] = field(default_factory=dict[str, _Totals])
    lines: dict[bytes, int] = field(default_factory=dict[bytes, int])
    """Of every file of the tree; 0 where they were not counted."""
    complex: list[FunctionComplexity] = field(default_factory=list[FunctionComplexity])
    manifests: list[str] = field(default_factory=list[str])
    findings: GravestFindings = field(default_factory=GravestFindings)
    skipped: Counter[str] = field(default_factory=Counter[str])
    understood: Understanding = field(default_factory=Understanding)


def analyze(objects: Objects, repo: LoadedRepo, cut: int, supervision: Supervision) -> Analysis:
    """Measure everything. `cut`: at how many commits a shallow source ended its history."""
    supervision.progress("list")
    header = objects.commit(ObjectID(repo.commit.encode("ascii")))
    entries = sorted(tree_entries(objects, header.tree), key=lambda file: file.path)
    files = [each for each in entries if each.mode & FORMAT_MASK != MODE_SUBMODULE]
    with Child(SECONDS, supervision.check) as child:
        inventory = take_inventory(objects, files, child, supervision)
    inventory.understood.add_dangling_links(each.path for each in entries)
    history = read_history(objects, repo.commit, repo.commits, supervision, inventory.lines)
    if cut:
        inventory.findings.add([_shallow_finding(history.commits)])
    return _summary(repo, inventory, history)


def take_inventory(objects: Objects, files: list[TreeFile], child: Child, supervision: Supervision) -> Inventory:
    """Read and measure every file."""
    inventory = Inventory()
    _read_attributes(objects, files, inventory.understood)
    for done, file in enumerate(files):
        supervision.progress("files", done=done, total=len(files))
        inventory.files += 1
        inventory.lines[file.path] = 0
        path = printable(file.path)
        if is_manifest(path):
            inventory.manifests.append(path)
        text = _text_of(objects, file, inventory)
        if text is not None:
            _measure_text(inventory, file.path, text, child)
    return inventory


def _read_attributes(objects: Objects, files: list[TreeFile], understood: Understanding) -> None:
    by_path = {file.path: file for file in files}
    for path in nearest_root_first(by_path):
        file = by_path[path]
        # Git follows no symbolic link here; one that is too large or damaged is counted where all files are.
        if file.mode & FORMAT_MASK != MODE_SYMLINK and (text := objects.small_blob(file.sha, MAX_TEXT)) is not None:
            understood.attributes.add(path, text)


def _text_of(objects: Objects, file: TreeFile, inventory: Inventory) -> bytes | None:
    """The contents of a file that is worth reading; else the reason is counted."""
    try:
        size = objects.size(file.sha)
        inventory.size += size
        inventory.understood.add_file(file.path, printable(file.path), size)
        if file.mode & FORMAT_MASK == MODE_SYMLINK:
            inventory.understood.links[file.path] = objects.small_blob(file.sha, _MAX_LINK) or b""
            reason = "symlink"
        elif size > MAX_TEXT:
            reason = "too-large"
        else:
            text = objects.blob(file.sha)
            if not is_binary(text):
                return text
            reason = "binary"
    except InvalidInputError:
        reason = "unreadable"
    inventory.skipped[reason] += 1
    return None


def _measure_text(inventory: Inventory, raw_path: bytes, text: bytes, child: Child) -> None:
    path = printable(raw_path)
    language = language_of(PurePosixPath(path).name, text)
    lines = count_lines(text)
    inventory.lines[raw_path] = lines
    totals = inventory.languages.setdefault(language.name, _Totals())
    totals.files += 1
    totals.lines += lines
    totals.bytes += len(text)
    if language.code and is_test(path):
        inventory.test_files += 1
    inventory.findings.add(findings_in(path, text, language, lines))
    inventory.findings.add(inventory.understood.add_text(raw_path, path, text, language, lines))
    functions = _functions_of(inventory, path, text, language, child)
    inventory.understood.add_functions(raw_path, functions)


def _functions_of(
    inventory: Inventory, path: str, text: bytes, language: Language, child: Child
) -> list[FunctionComplexity]:
    if language.measured_as is None:
        return []
    found = None
    if measurable(text):
        name = f"file.{language.measured_as}"
        found = child(measure, name, text.decode("utf-8-sig", "replace"))
    if found is None:
        inventory.skipped["complexity"] += 1
        return []
    functions = [
        FunctionComplexity(
            path=path,
            line=each.line,
            name=printable_text(each.name)[:_MAX_FUNCTION_NAME],
            complexity=each.complexity,
            lines=each.lines,
        )
        for each in found
    ]
    inventory.function_count += len(functions)
    inventory.complexity_sum += sum(each.complexity for each in functions)
    inventory.findings.add(findings_about(functions))
    inventory.complex = sorted(
        (*inventory.complex, *functions), key=lambda each: (-each.complexity, each.path, each.line, each.name)
    )[:_TOP_FUNCTIONS]
    return functions


def count_lines(text: bytes) -> int:
    """Newline-terminated lines, plus one for an unterminated last line."""
    return text.count(b"\n") + (bool(text) and not text.endswith(b"\n"))


def printable_text(text: str) -> str:
    """A text without NUL, which PostgreSQL's JSON cannot hold."""
    return text.replace("\0", "\ufffd")


def _shallow_finding(commits: int) -> Finding:
    return Finding(
        severity="info",
        rule="shallow-history",
        path=".",
        line=1,
        message=f"the source is a shallow clone: only {commits} commits were there to count; "
        "run `git fetch --unshallow` in it and load it again",
    )


def _summary(repo: LoadedRepo, inventory: Inventory, history: History) -> Analysis:
    languages = [
        LanguageStats(language=name, files=each.files, lines=each.lines, bytes=each.bytes)
        for name, each in inventory.languages.items()
    ]
    touched = history.changes.by_path()
    churn = [
        FileChurn(path=printable(path), commits=touched[path], lines=lines) for path, lines in inventory.lines.items()
    ]
    count = inventory.function_count
    understood = inventory.understood
    return Analysis(
        repo=repo,
        files=inventory.files,
        binary_files=inventory.skipped["binary"],
        bytes=inventory.size,
        lines=sum(each.lines for each in languages),
        languages=tuple(sorted(languages, key=lambda each: (-each.lines, each.language))),
        functions=count,
        average_complexity=round(inventory.complexity_sum / count, 2) if count else 0.0,
        complex_functions=tuple(inventory.complex),
        largest_files=tuple(sorted(churn, key=lambda each: (-each.lines, each.path))[:_TOP_FILES]),
        commits=history.commits,
        first_commit_at=history.first_at,
        last_commit_at=history.last_at,
        hot_files=tuple(sorted(churn, key=lambda each: (-each.commits, each.path))[:_TOP_HOT]),
        contributors=history.contributors(_TOP_AUTHORS),
        contributor_count=history.contributor_count,
        activity=history.activity(),
        test_files=inventory.test_files,
        manifests=tuple(inventory.manifests[:_MAX_MANIFESTS]),
        findings=inventory.findings.gravest,
        findings_total=inventory.findings.total,
        skipped=dict(sorted((+inventory.skipped).items())),
        duplication=understood.duplicates.result(),
        dependencies=tuple(understood.dependencies),
        dependencies_total=understood.dependencies_total,
        licenses=understood.licenses,
        hot_spots=understood.hot_spots(touched),
        ownership=ownership(history.changes, history.commits_by_author()),
        code_and_tests=understood.code_and_tests,
        unreachable_files=understood.unreachable,
        unreachable_total=understood.unreachable_total,
        huge_files=understood.huge,
    )
