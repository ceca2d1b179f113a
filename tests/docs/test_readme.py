"""What README.md and docs/ name exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from cli.__main__ import command_line
from cli.stack.parts import StackSettings
from models.catalogue import CATALOGUE
from models.documents import read_yaml
from models.settings import CHECKOUT, Settings
from workflows.dag.compile import Compiled, compile_definition

README = (CHECKOUT / "README.md").read_text()
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_group(command_line()).commands
OF_THE_CLIENT = {"TOOLOO_URL", "TOOLOO_KEY"}
"""Options of commands that have a variable."""


def name_of(page: Path) -> str:
    return page.name


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https://)([^)]*)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page: Path) -> None:
    named = set(re.findall(r"\./tooloo ([a-z]+)", page.read_text()))
    assert named <= set(COMMANDS)


def test_every_page_is_listed_in_the_index() -> None:
    listed = set(re.findall(r"\]\(([^)]*)\)", (CHECKOUT / "docs" / "index.md").read_text()))
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"index.md"} <= listed


def variables() -> Iterator[str]:
    for name in [*Settings.model_fields, *StackSettings.model_fields]:
        yield "DATABASE_URL" if name == "database_url" else f"TOOLOO_{name.upper()}"


def test_settings_are_those_of_the_code() -> None:
    assert set(re.findall(r"TOOLOO_[A-Z_]+|DATABASE_URL", README)) == {*variables(), *OF_THE_CLIENT}


def test_first_workflow_compiles() -> None:
    (definition,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    compiled = compile_definition(read_yaml(definition.encode()), CATALOGUE)
    assert isinstance(compiled, Compiled)
    assert compiled.warnings == ()


def test_places_to_add_something_exist() -> None:
    _, _, table = README.partition("## Where do I add")
    paths = re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md))?)`", table)
    assert paths
    assert [path for path in paths if not (CHECKOUT / path).exists()] == []
