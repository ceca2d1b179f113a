import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInputError
from services.reports.formats import Format, choose_format

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("name", "accept", "expected"),
    [
        (None, None, Format.JSON),
        (None, "", Format.JSON),
        (None, "*/*", Format.JSON),
        (None, BROWSER, Format.HTML),
        ("markdown", BROWSER, Format.MARKDOWN),
        (None, "text/markdown", Format.MARKDOWN),
        (None, "TEXT/Markdown; q=0.9, text/html;q=0.5", Format.MARKDOWN),
        (None, "text/*", Format.HTML),
        (None, "text/*, application/json;q=0", Format.HTML),
        (None, "image/png", Format.JSON),
        (None, "text/html;q=much", Format.JSON),
    ],
)
def test_format_is_the_one_named_else_the_one_accepted_else_json(
    name: str | None, accept: str | None, expected: Format
) -> None:
    assert choose_format(name, accept) is expected


def test_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="json, html, markdown"):
        choose_format("pdf", None)


@given(st.text())
def test_no_accept_header_breaks_the_choice(accept: str) -> None:
    assert choose_format(None, accept) in Format
