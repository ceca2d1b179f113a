"""Lists: `{"items", "next_cursor"}`. A cursor is the sort key of the last item, so pages never shift or repeat."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    Field,
    StringConstraints,
    TypeAdapter,
)

from models.cursors import read_cursor, write_cursor

T = TypeVar("T")
KeyT = TypeVar("KeyT")


# What the keys of lists are made of.
Place = Annotated[int, Field(ge=0, lt=2**31)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Instant = Annotated[AwareDatetime, AfterValidator(lambda at: at.astimezone(UTC))]


class Page(BaseModel, Generic[T]):
    """Some items of a list, and where the next ones begin."""

    items: tuple[T, ...]
    next_cursor: str | None = Field(examples=["ImFkYSI"])
    """For `?cursor=`; null on the last page."""


@dataclass(frozen=True)
class PageRequest:
    """Which items of a list are wanted."""

    limit: int
    cursor: str | None

    @property
    def rows(self) -> int:
        """Rows to read: one more than the page shows, which tells whether there is another page."""
        return self.limit + 1

    def after(self, key: TypeAdapter[KeyT]) -> KeyT | None:
        """The sort key behind which the page begins; None on the first. Raises InvalidInputError for nonsense."""
        return None if self.cursor is None else read_cursor(self.cursor, key)

    def page(self, rows: Sequence[T], key: Callable[[T], Any]) -> Page[T]:
        """The page of up to `limit` items out of the `rows` that were read; `key` gives an item's sort key."""
        shown = rows[: self.limit]
        more = len(rows) > self.limit
        return Page(items=tuple(shown), next_cursor=write_cursor(key(shown[-1])) if more else None)


async def _page_request(
    limit: Annotated[int, Query(ge=1, le=200, description="Items per page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=1000, description="next_cursor of the page before.")] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageDep = Annotated[PageRequest, Depends(_page_request)]
