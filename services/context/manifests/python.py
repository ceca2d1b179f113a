"""Python: pyproject.toml (PEP 621, PEP 735, Poetry), requirements files, setup.cfg. Pure."""

import configparser
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from models.understanding import Scope
from services.context.manifests.declared import Contents, items, table
from services.context.manifests.toml import constraint_of, key_lines

_DEVELOPMENT = re.compile(r"dev|test|lint|doc|ci\b|check|format|typ(?:e|ing)|build|bench", re.IGNORECASE)
"""In the name of a requirements file."""
_NAMED = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(.*)", re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_PER_REQUIREMENT_OPTION = re.compile(r"\s--(?:hash|global-option|config-settings?|install-option)\b.*$")
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]+(.+)")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][\w.-]*)")
_MAX_REQUIREMENT = 5_000
"""Characters; hashes are taken off before."""
_URL = re.compile(r"(?:[a-z][a-z0-9+.]*:|\.{0,2}/)", re.IGNORECASE)


def read_pyproject(text: str) -> Contents:
    """A pyproject.toml. ValueError: not TOML."""
    contents = Contents(text)
    document = tomllib.loads(text)
    project = table(document, "project")
    _requirements(contents, project.get("dependencies"), "runtime")
    for extra in table(project, "optional-dependencies").values():
        _requirements(contents, extra, "optional")
    for group in table(document, "dependency-groups").values():
        # What is not a text includes another group, which is listed itself.
        _requirements(contents, [each for each in items(group) if isinstance(each, str)], "dev")
    _requirements(contents, table(document, "build-system").get("requires"), "dev")
    poetry = table(document, "tool", "poetry")
    lines = key_lines(text)
    _poetry(contents, poetry, "dependencies", lines)
    _poetry(contents, poetry, "dev-dependencies", lines)
    for group in table(poetry, "group"):
        _poetry(contents, poetry, f"group.{group}.dependencies", lines)
    license_ = project.get("license")
    contents.add_license(table(license_).get("text") if isinstance(license_, dict) else license_)
    contents.add_license(poetry.get("license"))
    return contents


def _requirements(contents: Contents, listed: object, scope: Scope) -> None:
    for each in items(listed):
        text = str(each)
        _requirement(contents, text, scope, contents.line_of(rf"""["']{re.escape(text)}["']"""))


def _requirement(contents: Contents, text: str, scope: Scope, line: int | None) -> None:
    """A requirement by PEP 508; the constraint is all that stands behind the name."""
    try:
        Requirement(text[:_MAX_REQUIREMENT])
    except InvalidRequirement:
        contents.problems.append((line or 1, f"{text[:100]!r} is not a requirement"))
        return
    if match := _NAMED.fullmatch(text):
        contents.add(match[1], match[2], scope, line)


def _poetry(contents: Contents, poetry: dict[str, Any], section: str, lines: dict[tuple[str, str], int]) -> None:
    scope: Scope = "runtime" if section == "dependencies" else "dev"
    for name, value in table(poetry, *section.split(".")).items():
        if name == "python":
            continue
        line = lines.get((f"tool.poetry.{section}", name))
        # Several constraints for one name, each for its own environments, are a list.
        for each in value if isinstance(value, list) else [value]:
            optional = scope == "runtime" and table(each).get("optional") is True
            contents.add(name, constraint_of(each), "optional" if optional else scope, line)


def read_requirements(text: str, name: str) -> Contents:
    """A requirements file, as pip reads it; files that it names with `-r` and `-c` speak for themselves."""
    contents = Contents(text)
    scope: Scope = "dev" if _DEVELOPMENT.search(name) else "runtime"
    for number, line in _logical_lines(text):
        _requirement_line(contents, _PER_REQUIREMENT_OPTION.sub("", _COMMENT.sub("", line)).strip(), scope, number)
    return contents


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; one that ends with a backslash goes on in the next, which no comment does."""
    first, parts = 1, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        first = first if parts else number
        comment = line.lstrip().startswith("#")
        parts.append(f" {line}" if comment else line.removesuffix("\\"))
        if comment or not line.endswith("\\"):
            yield first, "".join(parts)
            parts.clear()
    yield first, "".join(parts)


def _requirement_line(contents: Contents, line: str, scope: Scope, number: int) -> None:
    editable = _EDITABLE.fullmatch(line)
    source = editable[1] if editable else line
    if not line or (line.startswith("-") and not editable):
        return  # nothing, or an option: of the installer, not a dependency
    if editable or _URL.match(source):
        egg = _EGG.search(source)
        contents.add(egg[1] if egg else source, source, scope, number)
    else:
        _requirement(contents, source, scope, number)


def read_setup_cfg(text: str) -> Contents:
    """A setup.cfg of setuptools. ValueError: not an INI file."""
    contents = Contents(text)
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    contents.add_license(parser.get("metadata", "license", fallback=None))
    lists: list[tuple[str, Scope]] = [
        (parser.get("options", "install_requires", fallback=""), "runtime"),
        (parser.get("options", "setup_requires", fallback=""), "dev"),
        (parser.get("options", "tests_require", fallback=""), "dev"),
    ]
    if parser.has_section("options.extras_require"):
        extras = parser.items("options.extras_require")
        lists.extend((value, "optional") for _, value in extras)
    for listed, scope in lists:
        # setuptools takes what stands on one line apart at semicolons, and only then.
        for line in listed.splitlines() if "\n" in listed else listed.split(";"):
            requirement = _COMMENT.sub("", line).strip()
            if requirement and not requirement.startswith("file:"):
                _requirement(
                    contents,
                    requirement,
                    scope,
                    contents.line_of(rf"(?:^|[=;\s]){re.escape(requirement)}[ \t]*(?:[;#]|$)"),
                )
    return contents
