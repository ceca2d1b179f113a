"""Lookups that wait at the same time are read by one query, which begins after all of them."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from api.loader import Loader


class _Table:
    """Answers when it is let; what it was asked is kept."""

    def __init__(self) -> None:
        self.rows = {"a": 1, "b": 2}
        self.queries: list[list[str]] = []
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.fails = False

    async def read(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.queries.append(list(keys))
        self.asked.set()
        rows = dict(self.rows)
        await self.may_answer.wait()
        if self.fails:
            raise ConnectionError("away")
        return {key: rows[key] for key in keys if key in rows}


async def test_alone_a_key_is_read_at_once() -> None:
    table = _Table()
    table.may_answer.set()
    loader = Loader(table.read)

    assert [await loader.load("a"), await loader.load("c"), await loader.load("b")] == [1, None, 2]
    assert table.queries == [["a"], ["c"], ["b"]]


async def test_keys_gather_while_a_query_is_under_way() -> None:
    table = _Table()
    loader = Loader(table.read)
    first = asyncio.create_task(loader.load("a"))
    await table.asked.wait()
    later = [asyncio.create_task(loader.load(key)) for key in ("a", "b", "a", "c")]
    await asyncio.sleep(0)
    table.rows["a"] = 10  # committed after the first query has begun, and before the others ask
    table.may_answer.set()

    assert await first == 1
    assert await asyncio.gather(*later) == [10, 2, 10, None]
    assert table.queries == [["a"], ["a", "b", "c"]]


async def test_an_error_is_raised_where_somebody_waits_and_the_next_query_works() -> None:
    table = _Table()
    table.fails = True
    table.may_answer.set()
    loader = Loader(table.read)

    results = await asyncio.gather(loader.load("a"), loader.load("b"), return_exceptions=True)
    assert [type(result) for result in results] == [ConnectionError, ConnectionError]
    table.fails = False
    assert await loader.load("a") == 1


async def test_whoever_gives_up_leaves_the_others_waiting() -> None:
    table = _Table()
    loader = Loader(table.read)
    one, other = (asyncio.create_task(loader.load("a")) for _ in range(2))
    await table.asked.wait()
    one.cancel()
    table.may_answer.set()

    assert await other == 1
    with pytest.raises(asyncio.CancelledError):
        await one
