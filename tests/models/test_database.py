"""Connections to PostgreSQL, and what becomes of them when it goes."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from models.persistence.database import create_database


@pytest.mark.parametrize("kept", [1, 5])
async def test_connections_that_the_server_has_ended_are_not_used_again(database: AsyncEngine, kept: int) -> None:
    engine = create_database(database.url.render_as_string(hide_password=False))
    held = [await engine.connect() for _ in range(kept)]
    numbers = [await one.scalar(text("SELECT pg_backend_pid()")) for one in held]
    drivers = [(await one.get_raw_connection()).driver_connection for one in held]
    for one in held:
        await one.close()
    async with database.connect() as other:
        await other.execute(
            text("SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS int[])) pid"), {"pids": numbers}
        )
    async with asyncio.timeout(10):
        while not all(driver is not None and driver.is_closed() for driver in drivers):  # noqa: ASYNC110 - a socket says it
            await asyncio.sleep(0.01)
    for _ in range(kept):
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) not in numbers
    await engine.dispose()
