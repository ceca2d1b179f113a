"""The record of runs and their steps: what stays when Temporal has forgotten them.

Three writers share it and may repeat themselves: the API (start), the workers (each executed step, with its event)
and the engine's closing activity (everything no worker saw, and the end). A step or run that has ended stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Row,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import NotFoundError
from models.events import SOURCE, EventType, run_subject
from models.identity import Caller
from models.persistence.outbox import NewEvent, append_events
from models.persistence.tables import run_steps, runs
from models.runs import Failure, RunStatus, StepDetail, StepStatus
from services.orchestration.approvals import withdraw_approvals

UNDO_SUFFIX = ":undo"
"""The end of the ids of compensations."""
_ERROR_IN_EVENT = 500
"""Characters of an error that an event carries."""


@dataclass(frozen=True)
class NewRun:
    """A run about to start."""

    run_id: str
    workflow: str
    version: int
    caller: Caller
    trigger: str
    input: Any
    labels: dict[str, str]
    parent: str | None = None
    dry_run: bool = False
    concurrency_key: str | None = None
    admitted: bool = True
    """Whether it may begin; otherwise it waits for its place among the runs with the same key."""


@dataclass(frozen=True)
class StepRecord:
    """What became of a step or a part of one, or of one attempt at it."""

    run_id: str
    step_id: str
    owner_id: str
    status: StepStatus
    attempt: int
    started_at: datetime | None
    ended_at: datetime | None
    """None unless the step ended with this."""
    reason: str | None = None
    error: Failure | None = None
    output: Any = None
    """The value, unless it is stored."""
    output_ref: str | None = None
    output_bytes: int | None = None
    part: bool = False
    detail: StepDetail | None = None


_OPEN_RUN = text(
    """
    WITH opened AS (
        INSERT INTO runs (run_id, definition_id, version, owner_id, role, trigger, status, input, labels,
                          parent, dry_run, concurrency_key, admitted_at)
        VALUES (:run_id, :workflow, :version, :owner_id, :role, :trigger, 'queued', :input, :labels,
                :parent, :dry_run, :concurrency_key, CASE WHEN :admitted THEN now() END)
        ON CONFLICT DO NOTHING
        RETURNING 'run/' || run_id AS subject, definition_id, version, owner_id, trigger, started_at
    ), subjects AS (
        INSERT INTO outbox_subjects (subject, last_sequence) SELECT subject, 1 FROM opened
    ), events AS (
        INSERT INTO outbox (subject, sequence, type, source, time, data)
        SELECT subject, 1, :type, :source, started_at, jsonb_build_object(
            'workflow', definition_id, 'version', version, 'user_id', owner_id, 'trigger', trigger)
        FROM opened
    )
    INSERT INTO audit (actor_id, action, target, detail)
    SELECT owner_id, 'run.start', subject, jsonb_build_object('workflow', definition_id) FROM opened
    """
).bindparams(
    bindparam("input", type_=JSONB(none_as_null=False)),
    bindparam("labels", type_=JSONB),
    type=EventType.WORKFLOW_STARTED.value,
    source=SOURCE,
)
"""One statement for the same reason as below: everybody who starts a run waits for it."""


async def open_run(connection: AsyncConnection, run: NewRun) -> None:
    """Record that a run was accepted, with its event and audit row; once, however often it is asked for."""
    await connection.execute(
        _OPEN_RUN,
        {
            "run_id": run.run_id,
            "workflow": run.workflow,
            "version": run.version,
            "owner_id": run.caller.user_id,
            "role": run.caller.role.value,
            "trigger": run.trigger,
            "input": run.input,
            "labels": run.labels,
            "parent": run.parent,
            "dry_run": run.dry_run,
            "concurrency_key": run.concurrency_key,
            "admitted": run.admitted,
        },
    )


_MARK_RUNNING = (
    update(runs)
    .where(runs.c.run_id == bindparam("run"), runs.c.status == RunStatus.QUEUED.value)
    .values(status=RunStatus.RUNNING.value)
)


async def mark_running(connection: AsyncConnection, run_id: str) -> None:
    """Record that Temporal has the run."""
    await connection.execute(_MARK_RUNNING, {"run": run_id})


_RECORD_STEPS = text(
    """
    WITH given AS (
        SELECT * FROM jsonb_to_recordset(:records) AS step(
            run_id text, step_id text, owner_id text, status text, reason text, attempts int, started_at timestamptz,
            ended_at timestamptz, error jsonb, output jsonb, output_ref text, output_bytes int, part boolean,
            detail jsonb)
        ORDER BY run_id, step_id
    ), ended AS (
        INSERT INTO run_steps AS kept (run_id, step_id, owner_id, status, reason, attempts, started_at, ended_at,
                                       error, output, output_ref, output_bytes, part, detail)
        SELECT run_id, step_id, owner_id, status, reason, attempts, started_at, ended_at,
               error, output, output_ref, output_bytes, part, detail FROM given
        ON CONFLICT (run_id, step_id) DO UPDATE SET
            status = excluded.status,
            reason = excluded.reason,
            attempts = greatest(kept.attempts, excluded.attempts),
            started_at = coalesce(kept.started_at, excluded.started_at),
            ended_at = excluded.ended_at,
            error = coalesce(excluded.error, kept.error),
            output = excluded.output,
            output_ref = excluded.output_ref,
            output_bytes = excluded.output_bytes,
            detail = excluded.detail
        WHERE kept.status NOT IN ('succeeded', 'failed', 'skipped', 'cancelled')
        RETURNING run_id, step_id, status, reason, attempts, error, ended_at, part
    ), reported AS (
        SELECT 'run/' || run_id AS subject, ended_at,
               row_number() OVER (PARTITION BY run_id ORDER BY ended_at, step_id) AS place,
               jsonb_strip_nulls(jsonb_build_object('step', step_id, 'status', status, 'attempts', attempts,
                   'reason', reason, 'error', error || jsonb_build_object('message', left(error->>'message', 500))))
               AS data
        FROM ended WHERE ended_at IS NOT NULL AND NOT part
    ), subjects AS (
        INSERT INTO outbox_subjects AS kept (subject, last_sequence)
        SELECT subject, count(*) FROM reported GROUP BY subject ORDER BY subject
        ON CONFLICT (subject) DO UPDATE SET last_sequence = kept.last_sequence + excluded.last_sequence
        RETURNING subject, last_sequence
    )
    INSERT INTO outbox (subject, sequence, type, source, time, data)
    SELECT subject, last_sequence - count(*) OVER (PARTITION BY subject) + place, :type, :source, ended_at, data
    FROM reported JOIN subjects USING (subject)
    """
).bindparams(bindparam("records", type_=JSONB), type=EventType.STEP_COMPLETED.value, source=SOURCE)
"""One statement, hence one round trip and one transaction: every step of every run comes this way.

Steps and subjects are taken in sorted order, so that two writers can not lock each other out.
"""


async def record_steps(connection: AsyncConnection, records: Sequence[StepRecord]) -> None:
    """Record attempts, and an event for each step that thereby ended."""
    latest = {(record.run_id, record.step_id): record for record in records}
    await connection.execute(_RECORD_STEPS, {"records": [_step_row(record) for record in latest.values()]})


def _step_row(record: StepRecord) -> dict[str, Any]:
    return {
        "run_id": record.run_id,
        "step_id": record.step_id,
        "owner_id": record.owner_id,
        "status": record.status.value,
        "reason": record.reason,
        "attempts": record.attempt,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "error": record.error,
        "output": record.output,
        "output_ref": record.output_ref,
        "output_bytes": record.output_bytes,
        "part": record.part,
        "detail": record.detail,
    }


async def find_success(connection: AsyncConnection, run_id: str, step_id: str) -> StepRecord | None:
    """The record of a step, or part of one, that a worker saw succeed."""
    query = select(run_steps).where(
        run_steps.c.run_id == run_id,
        run_steps.c.step_id == step_id,
        run_steps.c.status == StepStatus.SUCCEEDED.value,
        run_steps.c.output_bytes.is_not(None),
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return StepRecord(
        run_id=row.run_id,
        step_id=row.step_id,
        owner_id=row.owner_id,
        status=StepStatus.SUCCEEDED,
        attempt=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reason=row.reason,
        output=row.output,
        output_ref=row.output_ref,
        output_bytes=row.output_bytes,
        part=row.part,
    )


async def close_run(
    connection: AsyncConnection,
    run_id: str,
    status: RunStatus,
    *,
    at: datetime,
    output: Any = None,
    error: Failure | None = None,
    steps: Sequence[StepRecord] = (),
) -> bool:
    """Record the end of a run and of the steps no worker saw ending. False when it was recorded before."""
    ended = (
        update(runs)
        .where(runs.c.run_id == run_id, runs.c.ended_at.is_(None))
        .values(
            status=status.value,
            output=output,
            error=None if error is None else error.model_dump(mode="json"),
            ended_at=at,
        )
        .returning(runs.c.owner_id, runs.c.definition_id, runs.c.version)
    )
    run = (await connection.execute(ended)).one_or_none()
    if run is None:
        return False
    if steps:
        await record_steps(connection, [replace(step, owner_id=run.owner_id) for step in steps])
    await withdraw_approvals(connection, run_id)
    data: dict[str, Any] = {"workflow": run.definition_id, "version": run.version, "status": status.value}
    if error is not None:
        data["error"] = {**error.model_dump(mode="json"), "message": error.message[:_ERROR_IN_EVENT]}
    await append_events(connection, [NewEvent(EventType.WORKFLOW_COMPLETED, run_subject(run_id), at, data, SOURCE)])
    return True


async def find_row(connection: AsyncConnection, run_id: str) -> Row[Any] | None:
    """The record of a run, for the engine itself."""
    return (await connection.execute(select(runs).where(runs.c.run_id == run_id))).one_or_none()


async def find_end(connection: AsyncConnection, run_id: str) -> Row[Any] | None:
    """The row of a run that has ended; None when it has not, or there is no record of it."""
    query = select(runs).where(runs.c.run_id == run_id, runs.c.ended_at.is_not(None))
    return (await connection.execute(query)).one_or_none()


def _visible(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else runs.c.owner_id == caller.user_id


async def find_run(connection: AsyncConnection, caller: Caller, workflow: str | None, run_id: str) -> Row[Any]:
    """One run, of that definition when it is named. Raises NotFoundError for another's."""
    query = select(runs).where(runs.c.run_id == run_id, _visible(caller))
    if workflow is not None:
        query = query.where(runs.c.definition_id == workflow)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError("There is no such run.")
    return row


async def list_runs(
    connection: AsyncConnection,
    caller: Caller,
    *,
    workflow: str | None = None,
    parent: str | None = None,
    statuses: Sequence[RunStatus] = (),
    before: tuple[datetime, str] | None = None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Runs, newest first."""
    query = select(runs).where(_visible(caller))
    if workflow is not None:
        query = query.where(runs.c.definition_id == workflow)
    if parent is not None:
        query = query.where(runs.c.parent == parent)
    if statuses:
        query = query.where(runs.c.status.in_([status.value for status in statuses]))
    if before is not None:
        query = query.where(tuple_(runs.c.started_at, runs.c.run_id) < tuple_(literal(before[0]), literal(before[1])))
    return (await connection.execute(query.order_by(runs.c.started_at.desc(), runs.c.run_id.desc()).limit(limit))).all()


async def find_steps(connection: AsyncConnection, caller: Caller, run_id: str) -> dict[str, Row[Any]]:
    """The recorded steps of a run and what undid them, by id; items of maps are not among them."""
    query = select(run_steps).where(
        run_steps.c.run_id == run_id,
        _mine(caller),
        ~run_steps.c.part | run_steps.c.step_id.endswith(UNDO_SUFFIX, autoescape=True),
    )
    return {row.step_id: row for row in await connection.execute(query)}


async def find_step(connection: AsyncConnection, caller: Caller, run_id: str, step_id: str) -> Row[Any] | None:
    """A recorded step, or part of one."""
    query = select(run_steps).where(run_steps.c.run_id == run_id, run_steps.c.step_id == step_id, _mine(caller))
    return (await connection.execute(query)).one_or_none()


async def find_parts(
    connection: AsyncConnection, caller: Caller, run_id: str, step_id: str, *, after: int, limit: int
) -> Sequence[Row[Any]]:
    """The recorded parts of a step, items of a map or turns of a loop, in their order; the first is 0."""
    place = cast(func.substring(run_steps.c.step_id, r"[\[#](\d+)\]?$"), Integer)
    query = (
        select(run_steps, place.label("place"))
        .where(
            run_steps.c.run_id == run_id,
            _mine(caller),
            run_steps.c.part,
            or_(*(run_steps.c.step_id.startswith(step_id + mark, autoescape=True) for mark in "[#")),
            place > after,
        )
        .order_by(place)
        .limit(limit)
    )
    return (await connection.execute(query)).all()


def _mine(caller: Caller) -> ColumnElement[bool]:
    return true() if caller.sees_all else run_steps.c.owner_id == caller.user_id


async def open_runs(connection: AsyncConnection, *, older_than: datetime, after: str, limit: int) -> Sequence[Row[Any]]:
    """Runs without an end, by id, for reconciliation."""
    query = (
        select(runs)
        .where(runs.c.ended_at.is_(None), runs.c.started_at < older_than, runs.c.run_id > after)
        .order_by(runs.c.run_id)
        .limit(limit)
    )
    return (await connection.execute(query)).all()
