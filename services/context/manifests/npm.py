"""npm: package.json. Pure."""

import json
import re

from models.understanding import Scope
from services.context.manifests.declared import Contents, items, table

_FIELDS: tuple[tuple[str, Scope], ...] = (
    ("dependencies", "runtime"),
    ("peerDependencies", "runtime"),
    ("optionalDependencies", "optional"),
    ("devDependencies", "dev"),
)


def read_package_json(text: str) -> Contents:
    """A package.json. ValueError: not a JSON object."""
    contents = Contents(text)
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 one kind of error for all that is wrong in a manifest
    optional_peers = {
        name for name, meta in table(document, "peerDependenciesMeta").items() if table(meta).get("optional") is True
    }
    for field, scope in _FIELDS:
        for name, constraint in table(document, field).items():
            optional = field == "peerDependencies" and name in optional_peers
            key, value = (re.escape(json.dumps(each, ensure_ascii=False)) for each in (name, constraint))
            line = contents.line_of(rf"{key}[ \t]*:[ \t]*{value}", text.find(f'"{field}"'))
            contents.add(name, constraint, "optional" if optional else scope, line)
    license_ = document.get("license")
    contents.add_license(table(license_).get("type") if isinstance(license_, dict) else license_)
    for each in items(document.get("licenses")):
        contents.add_license(table(each).get("type") if isinstance(each, dict) else each)
    return contents
