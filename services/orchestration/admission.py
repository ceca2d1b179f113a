"""How many runs of a definition with the same key go on at once.

A place is no row of its own: the runs that hold one are those whose record says that they were admitted and have not
ended. So whatever ends a run gives its place back.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from models.persistence.tables import runs

_LOCK = select(func.pg_advisory_xact_lock(bindparam("lock", type_=BigInteger)))


async def lock_key(connection: AsyncConnection, workflow: str, key: str) -> None:
    """Until the end of the transaction, nobody else is admitted under this key."""
    name = sha256(f"tooloo admission\0{workflow}\0{key}".encode()).digest()
    await connection.execute(_LOCK, {"lock": int.from_bytes(name[:8], signed=True)})


async def open_with_key(connection: AsyncConnection, workflow: str, key: str) -> Sequence[Row[str, bool]]:
    """Runs that hold a place (`admitted`) or wait for one, the oldest first."""
    query = (
        select(runs.c.run_id, runs.c.admitted_at.is_not(None).label("admitted"))
        .where(runs.c.definition_id == workflow, runs.c.concurrency_key == key, runs.c.ended_at.is_(None))
        .order_by(runs.c.started_at, runs.c.run_id)
    )
    return (await connection.execute(query)).all()


async def set_key(connection: AsyncConnection, run_id: str, key: str) -> None:
    """Note under which key a run waits, where its record does not say."""
    await connection.execute(
        update(runs).where(runs.c.run_id == run_id, runs.c.concurrency_key.is_(None)).values(concurrency_key=key)
    )


async def take_place(connection: AsyncConnection, run_id: str) -> None:
    """Admit a run."""
    await connection.execute(
        update(runs).where(runs.c.run_id == run_id, runs.c.admitted_at.is_(None)).values(admitted_at=func.now())
    )


def next_in_line(rows: Sequence[Row[str, bool]], limit: int) -> list[str]:
    """The waiting runs that may begin now, the oldest first."""
    free = max(0, limit - sum(row.admitted for row in rows))
    return [row.run_id for row in rows if not row.admitted][:free]


async def next_waiting(connection: AsyncConnection, ended: Row[Any]) -> str | None:
    """The run that has waited longest for the place of one that has ended."""
    if ended.concurrency_key is None:
        return None
    rows = await open_with_key(connection, ended.definition_id, ended.concurrency_key)
    return next((row.run_id for row in rows if not row.admitted), None)
