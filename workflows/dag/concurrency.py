"""Which runs of a definition may not go on at once."""

from hashlib import sha256
from typing import Any

from pydantic_core import to_json

from models.canonical import canonical
from models.values import MissingValueError, Value
from workflows.dag.plan import Concurrency
from workflows.dag.templates import fill_template


def concurrency_key(limit: Concurrency, run_input: Any) -> str:
    """What such runs have in common: the hash of a JSON value, null where the input does not say."""
    try:
        value = fill_template(limit.key, lambda _: Value(run_input))
    except MissingValueError:
        value = Value()
    return sha256(to_json(canonical(value.json))).hexdigest()
