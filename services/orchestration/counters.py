"""The counters of `flow.count`."""

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.flow import Count, Counter
from models.persistence.tables import flow_counters, flow_counts


async def count_once(connection: AsyncConnection, run_id: str, step_id: str, count: Count) -> Counter:
    """Add to a counter unless this step has; either way, the value it had just after this step's turn."""
    done = await connection.execute(
        upsert(flow_counts).values(run_id=run_id, step_id=step_id, key=count.key, value=0).on_conflict_do_nothing()
    )
    mine = (flow_counts.c.run_id == run_id) & (flow_counts.c.step_id == step_id)
    if not done.rowcount:
        value = await connection.scalar(select(flow_counts.c.value).where(mine))
        return Counter(key=count.key, value=value or 0)
    adding = upsert(flow_counters).values(key=count.key, value=count.by)
    value = await connection.scalar(
        adding.on_conflict_do_update(
            index_elements=["key"], set_={"value": flow_counters.c.value + adding.excluded.value}
        ).returning(flow_counters.c.value)
    )
    await connection.execute(flow_counts.update().where(mine).values(value=value))
    return Counter(key=count.key, value=value or 0)


async def read_counter(connection: AsyncConnection, key: str) -> Counter:
    """A counter; nobody counted is zero."""
    value = await connection.scalar(select(flow_counters.c.value).where(flow_counters.c.key == key))
    return Counter(key=key, value=value or 0)
