"""What an analysis gathers beyond counts, file by file: dependencies, licences, repetition, tests, odd files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.context import Finding, FunctionComplexity
from models.understanding import CodeAndTests, Dependency, HotSpot, HugeFile, License, UnreachableFile
from services.context.attributes import EXPORT_IGNORE, GENERATED, VENDORED, Attributes
from services.context.complexity import measurable
from services.context.conventions import is_foreign, is_test
from services.context.duplication import DuplicateFinder, is_generated
from services.context.languages import Language
from services.context.licenses import identify_license, is_license
from services.context.manifests.reading import read_manifest
from services.context.objects import printable

HUGE = 2**20
"""Bytes from which on a file is huge."""
TOP_HUGE, TOP_HOT_SPOTS, MAX_UNREACHABLE, MAX_DEPENDENCIES, MAX_LICENSES = 20, 20, 50, 500, 50
_READ_LICENSES = 500
"""Licence texts that are compared; a few milliseconds each."""
_MAX_LINKS = 40
"""Symbolic links on one way: where Linux gives up."""


@dataclass
class Understanding:
    """Takes the files of a commit one after the other. `attributes` have to be complete before."""

    attributes: Attributes = field(default_factory=Attributes)
    duplicates: DuplicateFinder = field(default_factory=DuplicateFinder)
    dependencies: list[Dependency] = field(default_factory=list[Dependency])
    dependencies_total: int = 0
    unreachable_total: int = 0
    worst: dict[bytes, FunctionComplexity] = field(default_factory=dict[bytes, FunctionComplexity])
    """The most complex function of each file that has functions and is the project's own."""
    links: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    """Symbolic links and their targets."""
    _licenses: list[License] = field(default_factory=list[License])
    _unreachable: list[UnreachableFile] = field(default_factory=list[UnreachableFile])
    _huge: list[HugeFile] = field(default_factory=list[HugeFile])
    _not_own: set[bytes] = field(default_factory=set[bytes])
    """Files that `.gitattributes` call generated or vendored."""
    _code: list[int] = field(default_factory=lambda: [0, 0])
    _tests: list[int] = field(default_factory=lambda: [0, 0])
    """Files and lines."""

    def add_file(self, raw_path: bytes, path: str, size: int) -> None:
        """Take a file of any kind, by its path and size."""
        marks = self.attributes.of(raw_path)
        if EXPORT_IGNORE in marks:
            self._add_unreachable(UnreachableFile(path=path, reason="export-ignore"))
        elif GENERATED in marks:
            self._add_unreachable(UnreachableFile(path=path, reason="linguist-generated"))
        if marks & {GENERATED, VENDORED}:
            self._not_own.add(raw_path)
        if size > HUGE:
            self._huge.append(HugeFile(path=path, bytes=size))

    def add_text(self, raw_path: bytes, path: str, text: bytes, language: Language, lines: int) -> list[Finding]:
        """Take the contents of a file of text after `add_file`; what is wrong with it as a manifest comes back."""
        if is_license(path) and not is_foreign(path):
            self._add_license(path, text)
        if language.code:
            counts = self._tests if is_test(path) else self._code
            counts[0] += 1
            counts[1] += lines
            own = not is_foreign(path) and raw_path not in self._not_own and not is_generated(text)
            if own and measurable(text):
                self.duplicates.add(path, text, language.name)
        return self._add_manifest(path, text)

    def add_functions(self, raw_path: bytes, functions: Iterable[FunctionComplexity]) -> None:
        """Take the functions of a file."""
        worst = max(functions, key=lambda each: (each.complexity, -each.line), default=None)
        if worst is not None and not is_foreign(worst.path):
            self.worst[raw_path] = worst

    def add_dangling_links(self, present: Iterable[bytes]) -> None:
        """Take the links that lead nowhere; `present`: paths of everything in the tree, submodules included."""
        if not self.links:
            return
        known = set(present)
        for path in list(known):
            folder = path.rpartition(b"/")[0]
            while folder and folder not in known:
                known.add(folder)
                folder = folder.rpartition(b"/")[0]
        for path in sorted(self.links):
            if not leads_somewhere(path, self.links, known):
                self._add_unreachable(UnreachableFile(path=printable(path), reason="dangling-symlink"))

    def hot_spots(self, touched: Mapping[bytes, int]) -> tuple[HotSpot, ...]:
        """Files that change often and are complex; `touched`: commits by path."""
        spots = [
            HotSpot(
                path=worst.path,
                commits=touched[path],
                complexity=worst.complexity,
                function=worst.name,
                line=worst.line,
                score=touched[path] * worst.complexity,
            )
            for path, worst in self.worst.items()
            if touched[path] > 1
        ]
        return tuple(sorted(spots, key=lambda spot: (-spot.score, spot.path))[:TOP_HOT_SPOTS])

    @property
    def licenses(self) -> tuple[License, ...]:
        """Those nearest to the root first."""
        ranked = sorted(self._licenses, key=lambda each: (each.path.count("/"), each.source != "text", each.path))
        return tuple(ranked[:MAX_LICENSES])

    @property
    def unreachable(self) -> tuple[UnreachableFile, ...]:
        """In the order of their paths."""
        return tuple(sorted(self._unreachable, key=lambda each: (each.path, each.reason)))

    @property
    def huge(self) -> tuple[HugeFile, ...]:
        """The largest first."""
        return tuple(sorted(self._huge, key=lambda each: (-each.bytes, each.path))[:TOP_HUGE])

    @property
    def code_and_tests(self) -> CodeAndTests:
        """Files and lines of code, and of tests."""
        return CodeAndTests(
            code_files=self._code[0], code_lines=self._code[1], test_files=self._tests[0], test_lines=self._tests[1]
        )

    def _add_unreachable(self, file: UnreachableFile) -> None:
        self.unreachable_total += 1
        if len(self._unreachable) < MAX_UNREACHABLE:
            self._unreachable.append(file)

    def _add_license(self, path: str, text: bytes) -> None:
        if len(self._licenses) < _READ_LICENSES:
            spdx, similarity = identify_license(text) or (None, 0.0)
            self._licenses.append(License(spdx=spdx, path=path, source="text", similarity=similarity))

    def _add_manifest(self, path: str, text: bytes) -> list[Finding]:
        if is_foreign(path):
            return []
        manifest = read_manifest(path, text)
        self.dependencies_total += len(manifest.dependencies)
        self.dependencies.extend(manifest.dependencies[: MAX_DEPENDENCIES - len(self.dependencies)])
        if len(self._licenses) < _READ_LICENSES:
            self._licenses.extend(manifest.licenses)
        return manifest.findings


def leads_somewhere(link: bytes, links: Mapping[bytes, bytes], present: set[bytes]) -> bool:
    """Whether a symbolic link's target is in the tree: a file, folder or submodule, through further links."""
    way: list[bytes] = []
    todo = link.split(b"/")[::-1]
    followed = 0
    while todo:
        part = todo.pop()
        if part in {b"", b"."}:
            continue
        if part == b"..":
            if not way:
                return False
            way.pop()
            continue
        place = b"/".join((*way, part))
        target = links.get(place)
        if target is not None:
            followed += 1
            if followed > _MAX_LINKS or target.startswith(b"/"):
                return False
            todo.extend(target.split(b"/")[::-1])
        elif place in present:
            way.append(part)
        else:
            return False
    return True
