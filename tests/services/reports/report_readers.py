"""Reads the documents back with parsers that are not ours."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

from markdown_it import MarkdownIt
from markdown_it.token import Token

VOID = {"meta", "br"}
SVG = "{http://www.w3.org/2000/svg}"


class Page(HTMLParser):
    """An HTML page: its elements, attributes, text, and the tables by their caption. Fails on unbalanced tags."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.ids: list[str] = []
        self.comments: list[str] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in {"td", "th"}:
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._note(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        self.text += data
        if "caption" in self.open:
            self._caption += data
        elif self.open and {"td", "th"} & set(self.open):
            self._rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def _note(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]


def charts(html: str) -> list[ET.Element]:
    """The charts of a page, read as XML."""
    return [ET.fromstring(found) for found in re.findall(r"<svg\b.*?</svg>", html, re.DOTALL)]


def inline_tokens(markdown: str) -> list[Token]:
    """All tokens of GitHub's Markdown but its autolinks, blocks and inline alike."""
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown)
    return [token for block in tokens for token in (block, *(block.children or ()))]


def markdown_tables(markdown: str) -> list[list[list[str]]]:
    """The text of every cell, by table and row."""
    tables: list[list[list[str]]] = []
    for token in inline_tokens(markdown):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type in {"th_open", "td_open"}:
            tables[-1][-1].append("")
        elif token.type in {"text", "code_inline", "text_special"} and tables and tables[-1] and tables[-1][-1]:
            tables[-1][-1][-1] += token.content
        elif token.type == "table_close":
            tables[-1].append([])
    return [table[:-1] for table in tables]
