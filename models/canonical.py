"""One form for all JSON values that mean the same."""

from typing import Any


def canonical(value: Any) -> Any:
    """The value with keys sorted and whole floats as integers, as JSON counts them equal."""
    match value:
        case dict():
            return {name: canonical(value[name]) for name in sorted(value)}
        case list():
            return [canonical(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
