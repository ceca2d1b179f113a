"""Maven: pom.xml. Pure.

Read by expat itself, which tells lines, and refuses document types: without one there are no entities to expand or to
fetch. defusedxml does the same for trees, which know no lines.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.parsers import expat  # nosec B407 # document types are refused below

from models.understanding import Scope
from services.context.manifests.declared import Contents

_PROPERTY = re.compile(r"\$\{([^${}]{1,200})\}")
_MAX_DEPTH = 100
_MAX_TEXT = 1_000
"""Characters of an element, before the rest is not kept."""


@dataclass
class _Element:
    name: str
    line: int
    text: str = ""
    children: "list[_Element]" = field(default_factory=list["_Element"])

    def child(self, name: str) -> str:
        """The text of the first child of that name."""
        return next((each.text.strip() for each in self.children if each.name == name), "")

    def below(self, *names: str) -> "Iterator[_Element]":
        """The elements at this path."""
        found = [self]
        for name in names:
            found = [child for element in found for child in element.children if child.name == name]
        yield from found


def read_pom(text: str) -> Contents:
    """A pom.xml; properties are replaced where it defines them itself. ValueError: not well-formed, or a DOCTYPE."""
    contents = Contents(text)
    project = _parse(text)
    if project.name != "project":
        raise ValueError("the root element is not project")
    properties = {child.name: child.text.strip() for each in project.below("properties") for child in each.children}
    properties |= {f"project.{name}": project.child(name) for name in ("version", "groupId") if project.child(name)}

    def written(value: str) -> str:
        return _PROPERTY.sub(lambda match: properties.get(match[1], match[0]), value)

    managed = {
        _name(each, written): each.child("version")
        for each in project.below("dependencyManagement", "dependencies", "dependency")
    }
    for each in (
        *project.below("dependencies", "dependency"),
        *project.below("profiles", "profile", "dependencies", "dependency"),
    ):
        name = _name(each, written)
        version = each.child("version") or managed.get(name, "")
        contents.add(name if name.strip(":") else "", written(version), _scope(each), each.line)
    for each in project.below("licenses", "license"):
        contents.add_license(each.child("name"))
    return contents


def _name(dependency: _Element, written: Callable[[str], str]) -> str:
    return written(f"{dependency.child('groupId')}:{dependency.child('artifactId')}")


def _scope(dependency: _Element) -> Scope:
    if dependency.child("scope") == "test":
        return "dev"
    return "optional" if dependency.child("optional") == "true" else "runtime"


def _parse(text: str) -> _Element:
    parser = expat.ParserCreate()
    root = _Element("", 0)
    path = [root]

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(path) > _MAX_DEPTH:
            raise ValueError(f"elements are nested deeper than {_MAX_DEPTH}")
        element = _Element(name.rpartition(":")[2], parser.CurrentLineNumber)
        path[-1].children.append(element)
        path.append(element)

    def end(_name: str) -> None:
        path.pop()

    def characters(data: str) -> None:
        if len(path[-1].text) < _MAX_TEXT:
            path[-1].text += data

    def doctype(*_: object) -> None:
        raise ValueError("it has a document type, which is not read")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return root.children[0]
