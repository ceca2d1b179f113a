"""TOML tables of dependencies, as Poetry and Cargo write them. Pure."""

import re

from services.context.manifests.declared import table

_HEADER = re.compile(r"[ \t]*\[([^\[\]]+)\]")
_KEY = re.compile(r"""[ \t]*["']?([\w-]+)["']?[ \t]*[.=]""")
_SOURCES = ("git", "branch", "tag", "rev", "path", "url", "registry")
_CONDITIONS = ("python", "platform", "markers")


def key_lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each key by its table and name; a table of its own counts as a key of the one above."""
    lines: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            section = re.sub(r"""["'\s]""", "", header[1])
            above, _, name = section.rpartition(".")
            lines.setdefault((above, name), number)
        elif key := _KEY.match(line):
            lines.setdefault((section, key[1]), number)
    return lines


def constraint_of(value: object) -> str:
    """The constraint of a dependency: a text, or a table of version and source."""
    if isinstance(value, str):
        return value
    entry = table(value)
    parts = [str(entry["version"])] if "version" in entry else []
    parts += [f"{key} {entry[key]}" for key in _SOURCES if key in entry]
    if entry.get("workspace") is True:
        parts.append("workspace")
    if isinstance(entry.get("extras"), list):
        parts.append(f"extras {', '.join(map(str, entry['extras']))}")
    parts += [f"{key} {entry[key]}" for key in _CONDITIONS if key in entry]
    return "; ".join(parts)
