"""Questions that runs put before people, and how they were answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, or_, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import NotFoundError
from models.identity import Caller
from models.persistence.audit import record_change
from models.persistence.tables import approvals
from models.runs import AskApproval, SettleApproval

OPEN = "open"
WITHDRAWN = "withdrawn"


async def ask_approval(connection: AsyncConnection, asked: AskApproval, shown: Any) -> None:
    """Put a question before people; once, however often it is asked for."""
    await connection.execute(
        upsert(approvals)
        .values(
            run_id=asked.run_id,
            step_id=asked.step_id,
            owner_id=asked.owner_id,
            definition_id=asked.workflow,
            summary=asked.summary,
            roles=list(asked.roles),
            allow_requester=asked.allow_requester,
            schema=asked.schema_,
            shown=shown,
            status=OPEN,
            until=asked.until,
        )
        .on_conflict_do_nothing()
    )


async def settle_approval(connection: AsyncConnection, settled: SettleApproval) -> None:
    """Record how a question was answered, with its audit row; once."""
    changed = await connection.execute(
        update(approvals)
        .where(approvals.c.run_id == settled.run_id, approvals.c.step_id == settled.step_id, approvals.c.status == OPEN)
        .values(
            status=settled.decision,
            answered_by=settled.by,
            answered_at=func.now() if settled.by is not None else None,
            comment=settled.comment,
        )
    )
    if changed.rowcount and settled.by is not None:
        target = f"run/{settled.run_id}"
        detail = {"step": settled.step_id, "decision": settled.decision}
        await record_change(connection, settled.by, "approval.answer", target, detail)


async def withdraw_approvals(connection: AsyncConnection, run_id: str) -> None:
    """Nobody has to answer for a run that has ended."""
    await connection.execute(
        update(approvals).where(approvals.c.run_id == run_id, approvals.c.status == OPEN).values(status=WITHDRAWN)
    )


async def list_open(
    connection: AsyncConnection, caller: Caller, *, after: tuple[datetime, str, str] | None, limit: int
) -> Sequence[Row[Any]]:
    """Questions that the caller may answer, the oldest first."""
    query = select(approvals).where(approvals.c.status == OPEN, _may_answer(caller))
    place = tuple_(approvals.c.asked_at, approvals.c.run_id, approvals.c.step_id)
    if after is not None:
        query = query.where(place > tuple_(*map(literal, after)))
    query = query.order_by(approvals.c.asked_at, approvals.c.run_id, approvals.c.step_id).limit(limit)
    return (await connection.execute(query)).all()


async def find_approval(
    connection: AsyncConnection, caller: Caller, workflow: str, run_id: str, step_id: str
) -> Row[Any]:
    """A question that the caller may answer, or of a run that the caller may see; `may_answer` tells.

    Raises NotFoundError.
    """
    may_answer = _may_answer(caller)
    query = select(approvals, may_answer.label("may_answer")).where(
        approvals.c.run_id == run_id,
        approvals.c.step_id == step_id,
        approvals.c.definition_id == workflow,
        or_(may_answer, true() if caller.sees_all else approvals.c.owner_id == caller.user_id),
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such question to answer.")
    return row


def _may_answer(caller: Caller) -> ColumnElement[bool]:
    """As the run itself decides, which has the last word."""
    return approvals.c.roles.contains([caller.role.value]) & or_(
        approvals.c.allow_requester, approvals.c.owner_id != caller.user_id
    )
