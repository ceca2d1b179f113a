"""Rust: Cargo.toml. Pure."""

import tomllib

from models.understanding import Scope
from services.context.manifests.declared import Contents, table
from services.context.manifests.toml import constraint_of, key_lines

_TABLES: tuple[tuple[str, Scope], ...] = (
    ("dependencies", "runtime"),
    ("dev-dependencies", "dev"),
    ("dev_dependencies", "dev"),
    ("build-dependencies", "dev"),
    ("build_dependencies", "dev"),
)


def read_cargo(text: str) -> Contents:
    """A Cargo.toml, of a package or a workspace. ValueError: not TOML."""
    contents = Contents(text)
    document = tomllib.loads(text)
    lines = key_lines(text)
    places = [("", document), ("workspace.", table(document, "workspace"))]
    places += [(f"target.{name}.", target) for name, target in table(document, "target").items()]
    for prefix, place in places:
        for name, scope in _TABLES:
            section = "".join(f"{prefix}{name}".split()).replace('"', "")
            for key, value in table(place, name).items():
                _dependency(contents, key, value, scope, lines.get((section, key)))
    for place in (table(document, "package"), table(document, "workspace", "package")):
        contents.add_license(place.get("license"))
    return contents


def _dependency(contents: Contents, key: str, value: object, scope: Scope, line: int | None) -> None:
    entry = table(value)
    optional = scope == "runtime" and entry.get("optional") is True
    name = entry.get("package", key)  # `key` is what the code calls it
    contents.add(name, constraint_of(value), "optional" if optional else scope, line)
