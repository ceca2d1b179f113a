"""Which removed and added files are one file that moved: Git's rules of `-M`, bounded."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dulwich.objects import ObjectID

from services.context.objects import FORMAT_MASK, TreeFile

MIN_SIMILARITY = 0.5
NAMED_SIMILARITY = 0.75
"""For a file that kept its name and is the only one of that name: Git asks for more, and looks there first."""
MAX_PAIRS = 20_000
"""Of files that are compared by contents; Git's limit, a million, takes minutes here."""
MAX_BYTES = 64 * 2**20
"""Of contents read for it."""
_MODE_FILE = 0o100000
_PIECE = re.compile(rb"[^\n]{0,63}\n|[^\n]{1,64}")
"""What Git counts in common: lines, cut at 64 bytes."""

Pieces = Counter[bytes]


@dataclass(frozen=True)
class Rename:
    """A file that moved."""

    old: TreeFile
    new: TreeFile
    similarity: float
    """Rounded: 1.0 need not be the same contents."""


def find_renames(
    removed: Iterable[TreeFile],
    added: Iterable[TreeFile],
    text: Callable[[ObjectID], bytes | None],
    check: Callable[[], None],
) -> tuple[list[Rename], int]:
    """Pair removed files with added ones; also how many pairs were not looked at, because there are too many.

    `text` gives contents, None for those that are not to be compared. `check` is called now and then.
    """
    old = sorted(removed, key=lambda entry: entry.path)
    new = sorted(added, key=lambda entry: entry.path)
    found = _exact(old, new)
    old, new = _rest(old, new, found)
    old, new = ([entry for entry in side if entry.mode & FORMAT_MASK == _MODE_FILE] for side in (old, new))
    if not old or not new:
        return found, 0
    similar = _Similarity(text, check)
    found += _by_name(old, new, similar)
    old, new = _rest(old, new, found)
    if len(old) * len(new) > MAX_PAIRS:
        return found, len(old) * len(new)
    found += _by_contents(old, new, similar)
    return found, similar.not_read


def _rest(old: list[TreeFile], new: list[TreeFile], found: list[Rename]) -> tuple[list[TreeFile], list[TreeFile]]:
    gone, come = {rename.old.path for rename in found}, {rename.new.path for rename in found}
    return [entry for entry in old if entry.path not in gone], [entry for entry in new if entry.path not in come]


def _exact(old: list[TreeFile], new: list[TreeFile]) -> list[Rename]:
    """The same contents; among several, one that kept its name."""
    by_sha: dict[ObjectID, list[TreeFile]] = {}
    for entry in old:
        by_sha.setdefault(entry.sha, []).append(entry)
    found: list[Rename] = []
    for entry in new:
        same_kind = [
            each
            for each in by_sha.get(entry.sha, [])
            if each.mode == entry.mode or (each.mode & FORMAT_MASK == entry.mode & FORMAT_MASK == _MODE_FILE)
        ]
        if same_kind:
            source = next((each for each in same_kind if each.name == entry.name), same_kind[0])
            by_sha[entry.sha].remove(source)
            found.append(Rename(source, entry, 1.0))
    return found


class _Similarity:
    """How much of two files is the same: bytes of equal pieces, of the larger file's."""

    def __init__(self, text: Callable[[ObjectID], bytes | None], check: Callable[[], None]) -> None:
        self._text = text
        self._check = check
        self._pieces: dict[ObjectID, tuple[Pieces, int] | None] = {}
        self._bytes = 0
        self.not_read = 0
        """Pairs that were not compared, because too much had been read already."""

    def of(self, old: TreeFile, new: TreeFile) -> float:
        """Between 0 and 1."""
        self._check()
        one, other = self._known(old.sha), self._known(new.sha)
        if one is None or other is None:
            self.not_read += 1
            return 0.0
        (old_pieces, old_size), (new_pieces, new_size) = one, other
        larger = max(old_size, new_size)
        if min(old_size, new_size) < MIN_SIMILARITY * larger or not larger:
            return 0.0
        common = sum(
            min(count, new_pieces[piece]) * len(piece) for piece, count in old_pieces.items() if piece in new_pieces
        )
        return common / larger

    def _known(self, sha: ObjectID) -> tuple[Pieces, int] | None:
        if sha not in self._pieces:
            text = self._text(sha) if self._bytes < MAX_BYTES else None
            self._bytes += len(text or b"")
            self._pieces[sha] = None if text is None else (_pieces(text), len(text))
        return self._pieces[sha]


def _pieces(text: bytes) -> Pieces:
    return Counter(_PIECE.findall(text))


def _by_name(old: list[TreeFile], new: list[TreeFile], similar: _Similarity) -> list[Rename]:
    """Files whose name is the only one of its kind on both sides."""
    old_names, new_names = (Counter(entry.name for entry in side) for side in (old, new))
    sources = {entry.name: entry for entry in old if old_names[entry.name] == 1}
    found: list[Rename] = []
    for entry in new:
        source = sources.get(entry.name) if new_names[entry.name] == 1 else None
        if source is not None and (score := similar.of(source, entry)) >= NAMED_SIMILARITY:
            found.append(Rename(source, entry, round(score, 4)))
    return found


def _by_contents(old: list[TreeFile], new: list[TreeFile], similar: _Similarity) -> list[Rename]:
    """The most similar first; of equals one that kept its name."""
    scored = [
        (score, one.name == other.name, one, other)
        for other in new
        for one in old
        if (score := similar.of(one, other)) >= MIN_SIMILARITY
    ]
    found: list[Rename] = []
    gone, come = set[bytes](), set[bytes]()
    for score, _, one, other in sorted(scored, key=lambda each: (-each[0], not each[1], each[3].path, each[2].path)):
        if one.path not in gone and other.path not in come:
            gone.add(one.path)
            come.add(other.path)
            found.append(Rename(one, other, round(score, 4)))
    return found
