"""The base of every value that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Immutable and closed: an unknown field is an error, not a surprise."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, json_schema_serialization_defaults_required=True
    )
