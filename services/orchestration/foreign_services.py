"""The register of foreign services."""

from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.identity import Caller
from models.persistence.audit import record_change
from models.persistence.tables import services
from models.services import NewService, Service


async def find_service(connection: AsyncConnection, name: str) -> Service | None:
    """A service, for whoever is about to change it: nobody else does until the end of the transaction."""
    row = (await connection.execute(select(services).where(services.c.name == name).with_for_update())).one_or_none()
    return None if row is None else _service(row)


async def register_service(
    connection: AsyncConnection, caller: Caller, service: NewService, *, is_new: bool
) -> Service:
    """Add or change a service: as it is now."""
    adding = upsert(services).values(
        name=service.name,
        owner_id=caller.user_id,
        task_queue=service.task_queue,
        actions=[action.model_dump(mode="json") for action in service.actions],
    )
    row = (
        await connection.execute(
            adding.on_conflict_do_update(
                index_elements=["name"],
                set_={
                    "task_queue": adding.excluded.task_queue,
                    "actions": adding.excluded.actions,
                    "updated_at": func.now(),
                },
            ).returning(services)
        )
    ).one()
    action = "service.create" if is_new else "service.change"
    await record_change(connection, caller.user_id, action, f"service/{service.name}")
    return _service(row)


async def list_services(connection: AsyncConnection) -> list[Service]:
    """All services, by name."""
    return [_service(row) for row in await connection.execute(select(services).order_by(services.c.name))]


async def delete_service(connection: AsyncConnection, caller: Caller, name: str) -> None:
    """Take a service out; definitions that use it no longer compile."""
    await connection.execute(delete(services).where(services.c.name == name))
    await record_change(connection, caller.user_id, "service.delete", f"service/{name}")


def _service(row: Row[Any]) -> Service:
    return Service.model_validate(dict(row._mapping))  # noqa: SLF001 - the documented way to a row's names
