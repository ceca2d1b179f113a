"""How many lines lead from one text to another, at the fewest: those outside of a longest common subsequence. Pure."""

MAX_CELLS = 2 * 10**10
"""Pairs of lines that one comparison may look at, 64 at once: some 3 s."""
_BLOCK = 2**14
"""Old lines that are looked at together; their places take at most 16 MiB."""


class TooManyLinesError(Exception):
    """The two texts have too many lines that could correspond."""


def changed_lines(before: bytes, after: bytes) -> tuple[int, int]:
    """Lines added and removed, as `git diff --minimal --numstat` counts them. Raises TooManyLinesError."""
    old, new = _lines(before), _lines(after)
    start = 0
    shorter = min(len(old), len(new))
    while start < shorter and old[start] == new[start]:
        start += 1
    end = 0
    while end < shorter - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    both = set(old) & set(new)
    common = _common([line for line in old if line in both], [line for line in new if line in both])
    return len(new) - common, len(old) - common


def _lines(text: bytes) -> list[bytes]:
    """Lines with their ends: one that lacks its newline differs from one that has it, as in Git."""
    lines = [line + b"\n" for line in text.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _common(old: list[bytes], new: list[bytes]) -> int:
    """Length of a longest common subsequence, by Hyyrö's bits: a row of the table is one integer.

    H. Hyyrö, Bit-parallel LCS-length computation revisited (2004).
    """
    if len(old) * len(new) > MAX_CELLS:
        raise TooManyLinesError
    # Block by block of the old lines, so that their places are small integers; a row's carry goes on to the next block.
    carries = bytearray(len(new))
    return sum(_block(old[start : start + _BLOCK], new, carries) for start in range(0, len(old), _BLOCK))


def _block(old: list[bytes], new: list[bytes], carries: bytearray) -> int:
    """What these old lines add to the length."""
    places: dict[bytes, int] = {}
    for place, line in enumerate(old):
        places[line] = places.get(line, 0) | 1 << place
    width = len(old)
    everything = row = (1 << width) - 1
    for number, line in enumerate(new):
        matches = row & places.get(line, 0)
        total = row + matches + carries[number]
        carries[number] = total >> width
        row = (total | (row - matches)) & everything
    return width - row.bit_count()
