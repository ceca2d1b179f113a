"""What the OpenAPI document says of operations by example."""

from typing import Any

from fastapi import FastAPI
from jsonschema import Draft202012Validator

from api.answer_examples import ANSWERS

BASES = ("/api/v1/analytics", "/api/v1/task")


def test_operations_say_by_example_what_they_take(app: FastAPI) -> None:
    document = app.openapi()
    for path, item in document["paths"].items():
        if not path.startswith(BASES):
            continue
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] != "award_id":
                    assert parameter.get("example") or parameter["schema"]["examples"], path
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert (
                    "example" in content
                    or "examples" in str(_resolved(document, content["schema"]))
                    or (content["schema"] == {"type": "string"})
                ), path


def test_operations_say_by_example_what_they_answer(app: FastAPI) -> None:
    document = app.openapi()
    for path, item in document["paths"].items():
        for operation in item.values():
            if operation["operationId"] not in ANSWERS and not path.startswith(BASES):
                continue
            for status in ("200", "201", "202"):
                for content in operation["responses"].get(status, {}).get("content", {}).values():
                    assert content["example"] == ANSWERS[operation["operationId"]], path
                    schema = {**content["schema"], "components": document["components"]}
                    Draft202012Validator(schema).validate(content["example"])


def test_examples_are_of_operations(app: FastAPI) -> None:
    named = {operation["operationId"] for item in app.openapi()["paths"].values() for operation in item.values()}
    assert set(ANSWERS) <= named


def _resolved(document: dict[str, Any], schema: Any) -> Any:
    """A schema with what it refers to, one after the other."""
    if isinstance(schema, dict):
        name = schema.get("$ref", "").rpartition("/")[2]
        parts = {key: _resolved(document, value) for key, value in schema.items() if key != "$ref"}
        return {**parts, **(_resolved(document, document["components"]["schemas"][name]) if name else {})}
    return [_resolved(document, one) for one in schema] if isinstance(schema, list) else schema
