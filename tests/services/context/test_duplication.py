"""Duplicated blocks against a naive finder that compares every pair of windows."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.understanding import DuplicatedBlock, Duplication
from services.context.duplication import MAX_LINES, TOP_BLOCKS, WINDOW, DuplicateFinder, code_lines, is_generated

FILES = st.lists(
    st.lists(st.sampled_from(["a", "b"]), max_size=15).map(lambda lines: lines * 2)
    | st.lists(st.sampled_from("abc"), max_size=45),
    max_size=4,
)
"""Few different lines, so that they repeat, within files too."""


def find(files: list[list[str]], max_lines: int = MAX_LINES) -> Duplication:
    finder = DuplicateFinder(max_lines)
    for number, lines in enumerate(files):
        finder.add(f"f{number}", "".join(f"{line}\n" for line in lines).encode(), "Go")
    return finder.result()


def naive(files: list[list[str]]) -> set[tuple[int, int]]:
    """File and line of everything that stands elsewhere too: all pairs of windows that do not overlap."""
    windows = [(number, at) for number, lines in enumerate(files) for at in range(len(lines) - WINDOW + 1)]
    covered: set[tuple[int, int]] = set()
    for one, start in windows:
        for other, place in windows:
            apart = one != other or abs(start - place) >= WINDOW
            if apart and files[one][start : start + WINDOW] == files[other][place : place + WINDOW]:
                covered |= {(one, start + offset) for offset in range(WINDOW)}
    return covered


def check_block(block: DuplicatedBlock, files: list[list[str]]) -> None:
    texts = [files[int(each.path[1:])][each.first_line - 1 : each.last_line] for each in block.places]
    assert all(text == texts[0] for text in texts)
    assert len(texts[0]) == block.lines >= WINDOW
    first = block.places[0]
    for place in block.places[1:]:
        assert place.path != first.path or place.first_line > first.last_line


@given(FILES)
def test_duplicated_lines_are_those_of_the_naive_finder(files: list[list[str]]) -> None:
    found = find(files)
    covered = naive(files)
    assert found.lines == len(covered)
    assert found.compared_lines == sum(map(len, files))
    for block in found.blocks:
        check_block(block, files)
    if found.blocks_total <= TOP_BLOCKS:
        in_blocks = {
            (int(each.path[1:]), line - 1)
            for block in found.blocks
            if block.copies == len(block.places)
            for each in block.places
            for line in range(each.first_line, each.last_line + 1)
        }
        assert in_blocks <= covered


@given(st.lists(st.text("xyz", min_size=1, max_size=3), min_size=WINDOW, max_size=60), st.integers(2, 4))
def test_a_copied_file_is_one_block_unless_it_repeats_itself(lines: list[str], copies: int) -> None:
    unique = [f"{number}{line}" for number, line in enumerate(lines)]
    found = find([unique] * copies)
    assert [(block.lines, block.copies) for block in found.blocks] == [(len(lines), copies)]
    assert found.ratio == 1.0


def test_blocks_are_ranked_by_their_lines_and_say_where_they_are() -> None:
    def unique(name: str, count: int) -> list[str]:
        return [f"{name} {number}" for number in range(count)]

    shared, longer = unique("shared", 12), unique("longer", 30)
    found = find([["start", *shared, *unique("own", 5)], [*longer, "between", *shared], ["", "", *longer]])
    assert [(block.lines, block.copies) for block in found.blocks] == [(30, 2), (12, 2)]
    assert [(each.path, each.first_line, each.last_line) for each in found.blocks[0].places] == [
        ("f1", 1, 30),
        ("f2", 3, 32),
    ]
    assert found.lines == 2 * 12 + 2 * 30


def test_nine_lines_and_overlapping_places_are_no_block() -> None:
    nine = [str(number) for number in range(WINDOW - 1)]
    assert find([[*nine, "a"], [*nine, "b"]]).blocks == ()
    assert find([["same"] * (2 * WINDOW - 1)]).lines == 0
    assert find([["same"] * (2 * WINDOW)]).lines == 2 * WINDOW


def test_white_space_blank_lines_and_comments_do_not_matter() -> None:
    finder = DuplicateFinder()
    body = [f"x{number} = {number}" for number in range(12)]
    finder.add("a.py", "\n".join(body).encode(), "Python")
    finder.add("b.py", "\r\n\r\n# why\r\n".join(f"\t {line}  " for line in body).encode(), "Python")
    found = finder.result()
    assert (found.lines, found.compared_lines) == (24, 24)
    assert [(each.path, each.first_line, each.last_line) for each in found.blocks[0].places] == [
        ("a.py", 1, 12),
        ("b.py", 1, 34),
    ]


@pytest.mark.parametrize(
    ("language", "text", "kept"),
    [
        ("C", b"/* a\n b\n*/\n#include <x>\n// c\nint a; // d\n", [4, 6]),
        ("C", b"/* a */\nint a;\n/*/ b\n c */\nint d;\n", [2, 5]),
        ("Python", b"# a\nb = 1  # c\n//d\n", [2, 3]),
        ("Haskell", b"-- a\nb\n", [2]),
        ("Java", b"/**\n * a\n */\nint b;\n* c\n*d = 1;\n", [4, 6]),
        ("PHP", b"# a\n// b\n$c = 1;\n", [3]),
    ],
)
def test_lines_of_nothing_but_comment_are_left_out(language: str, text: bytes, kept: list[int]) -> None:
    assert [number for number, _ in code_lines(text, language)] == kept


def test_generated_files_say_so_at_the_beginning() -> None:
    assert is_generated(b"// Code generated by protoc. DO NOT EDIT.\n")
    assert is_generated(b"/* @generated */\n")
    assert not is_generated(b"x = 1\n" * 1_000 + b"# do not edit\n")


def test_above_the_limit_files_are_left_out_and_counted() -> None:
    lines = [f"{number}" for number in range(20)]
    found = find([lines, lines, lines], max_lines=30)
    assert (found.compared_lines, found.files_left_out) == (40, 1)


def test_places_listed_are_bounded_and_copies_are_all_counted() -> None:
    lines = [f"{number}" for number in range(WINDOW)]
    found = find([lines] * 15)
    assert (found.blocks[0].copies, len(found.blocks[0].places)) == (15, 10)
    paths = [each.path for each in found.blocks[0].places]
    assert all(one != other for one, other in pairwise(paths))
