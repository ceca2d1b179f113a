"""JSON Schemas of what a definition makes: the result of a step that is put together, the output of a whole run.

Schemas of several documents become one: each document that refers to its own parts is kept whole under `$defs`.
"""

from collections.abc import Mapping
from typing import Any

from models.values import Path
from workflows.dag.schemas import Schema, Shape
from workflows.dag.template_checks import Known
from workflows.dag.templates import ReadTemplate

_DATA = ("const", "default", "enum", "examples")
"""Keywords whose values are data, in which `$ref` is a word like any other."""
_DEFINITIONS = ("$defs", "definitions")
_NAMED_PARTS = (*_DEFINITIONS, "dependentSchemas", "patternProperties", "properties")


class SchemaWriter:
    """Writes one schema document."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._kept: list[Any] = []
        self._definitions: dict[str, Any] = {}

    def document(self, node: Any) -> dict[str, Any]:
        """A schema of this writer as a document of its own."""
        whole = node if isinstance(node, dict) else {"not": {}} if node is False else {}
        return {**whole, "$defs": dict(self._definitions)} if self._definitions else dict(whole)

    def of_shape(self, shape: Shape) -> Any:
        """The schema of a value that fits one of several."""
        nodes = [self.of_schema(schema) for schema in shape]
        return nodes[0] if len(nodes) == 1 else {"anyOf": nodes} if nodes else False

    def of_schema(self, schema: Schema) -> Any:
        """A schema of another document."""
        return self._moved(schema.node, schema.document.root)

    def of_document(self, document: Any) -> Any:
        """Another document as a whole."""
        return self._moved(document, document)

    def of_template(self, template: ReadTemplate, known: Mapping[Path, Known | None]) -> Any:
        """The schema of what a template becomes."""
        return self._of_value(
            template.skeleton,
            (),
            known,
            dict.fromkeys(one.at[:end] for one in template.references for end in range(len(one.at))),
        )

    def _of_value(self, value: Any, at: Path, known: Mapping[Path, Known | None], above: Mapping[Path, None]) -> Any:
        if at in known:
            found = known[at]
            return {} if found is None else self.of_shape(found.shape)
        if at not in above:
            return {"const": value}
        if isinstance(value, list):
            items = [self._of_value(item, (*at, index), known, above) for index, item in enumerate(value)]
            return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
        fields = {name: self._of_value(item, (*at, name), known, above) for name, item in value.items()}
        optional = [name for name in fields if (found := known.get((*at, name))) is not None and found.optional]
        required = [name for name in fields if name not in optional]
        return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}

    def _moved(self, node: Any, root: Any) -> Any:
        if not _refers(node):
            return _without(node)
        name = self._names.get(id(root))
        if name is None:
            name = self._names[id(root)] = f"d{len(self._names)}"
            self._kept.append(root)  # an identity is only unique while its object lives
            self._definitions[name] = _redirected(root, f"#/$defs/{name}")
        return {"$ref": f"#/$defs/{name}"} if node is root else _redirected(node, f"#/$defs/{name}")


def _without(node: Any) -> Any:
    """A node without definitions that nothing in it refers to."""
    return (
        {name: value for name, value in node.items() if name not in {"$defs", "$id", "$schema"}}
        if isinstance(node, dict)
        else node
    )


def _refers(node: Any) -> bool:
    if isinstance(node, list):
        return any(map(_refers, node))
    if not isinstance(node, dict):
        return False
    if isinstance(node.get("$ref"), str):
        return True
    return any(
        _refers(list(value.values()) if name in _NAMED_PARTS and isinstance(value, dict) else value)
        for name, value in node.items()
        if name not in _DATA and name not in _DEFINITIONS
    )


def _redirected(node: Any, base: str) -> Any:
    """The node with its references leading to where its document is kept."""
    if isinstance(node, list):
        return [_redirected(item, base) for item in node]
    if not isinstance(node, dict):
        return node
    moved: dict[str, Any] = {}
    for name, value in node.items():
        if name == "$ref" and isinstance(value, str):
            moved[name] = base + value.removeprefix("#")
        elif name in _DATA or name in {"$id", "$schema"}:
            if name in _DATA:
                moved[name] = value
        elif name in _NAMED_PARTS and isinstance(value, dict):
            moved[name] = {part: _redirected(schema, base) for part, schema in value.items()}
        else:
            moved[name] = _redirected(value, base)
    return moved
