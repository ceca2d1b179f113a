import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reports.charts import fit
from services.reports.wording import TEXT_LIMIT, counted, markdown, markdown_code, percent, size, text_bar, visible
from tests.services.reports.report_readers import inline_tokens
from tests.services.reports.report_strategies import texts

PARAGRAPH = {"paragraph_open", "inline", "paragraph_close"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("src/a b.py", "src/a b.py"),
        ("a\nb\tc\0", r"a\nb\tc\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ufeffx\ufffe", r"\ufeffx\ufffe"),
        ("Łukasz שלום 太郎 👩‍👧", "Łukasz שלום 太郎 👩‍👧"),
        ("  ", "(blank)"),
        ("x" * 400, "x" * (TEXT_LIMIT - 1) + "…"),
    ],
)
def test_hidden_characters_show_themselves(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(texts)
def test_visible_text_is_one_printable_line_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) == 1
    assert "\0" not in shown
    if len(shown) <= TEXT_LIMIT:
        assert visible(shown) == shown


@given(texts)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    for written in (markdown(text), markdown_code(text)):
        shown = [token for token in inline_tokens(f"x {written}") if token.type not in PARAGRAPH]
        assert {token.type for token in shown} <= {"text", "text_special", "code_inline"}
        assert "".join(token.content for token in shown).replace("\u2060", "") == f"x {visible(text)}"


@pytest.mark.parametrize("text", ["https://evil.test", "WWW.evil.test", "eve@evil.test", "@eve", "see #12"])
def test_addresses_and_mentions_are_cut_so_that_no_renderer_links_them(text: str) -> None:
    assert "\u2060" in markdown(text)


@pytest.mark.parametrize("path", ["a|b", "a`b", "<b>", "a&b", "a\\b"])
def test_a_path_that_no_code_span_in_a_table_holds_is_escaped_text(path: str) -> None:
    assert "`" not in markdown_code(path)
    assert markdown_code("src/__init__.py") == "`src/__init__.py`"


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, "—"),
        (5, 0, "—"),
        (0, 9, "0%"),
        (1, 1000, "<1%"),
        (1, 200, "1%"),
        (1, 3, "33%"),
        (1, 2, "50%"),
        (9, 9, "100%"),
    ],
)
def test_shares_are_rounded_and_little_is_not_nothing(part: int, whole: int, shown: str) -> None:
    assert percent(part, whole) == shown


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (0, "no bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (999_999, "999.9 kB"),
        (3_141_592, "3.1 MB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(octets: int, shown: str) -> None:
    assert size(octets) == shown


def test_counts_agree_with_their_nouns() -> None:
    assert [counted(value, "person", "people") for value in (0, 1, 2, 1_000)] == [
        "no people",
        "1 person",
        "2 people",
        "1,000 people",
    ]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_text_bars_fit_and_anything_above_zero_is_seen(value: int, largest: int) -> None:
    bar = text_bar(min(value, largest), largest)
    assert len(bar) <= 20
    assert bool(bar) == (min(value, largest) > 0)


def test_labels_too_long_keep_the_end_that_tells_them_apart() -> None:
    assert fit("src/requests/models.py", 10, "end") == "…models.py"
    assert fit("Kenneth Reitz", 8, "start") == "Kenneth…"
    assert fit("田中 太郎です", 7, "start") == "田中 …"
