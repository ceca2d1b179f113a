"""Erasing a person: the person and payloads go; awards, audit and hashes keep a pseudonym, sums keep their counts.

One transaction erases from all tables and writes down what is left to do elsewhere: Temporal's histories, archived
events. That row of `erasures` is the last that names the person. It goes when all is done (`finish_erasures`), which
is tried at once, and again by a schedule, so that nothing depends on the process that began.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from models.errors import ConflictError, NotFoundError
from models.identity import SYSTEM_USER, Role
from models.persistence.archive import hold_archives
from models.persistence.archiving import erase_keys
from models.persistence.audit import record_change
from services.analytics.history import ARCHIVED
from services.analytics.scores import add_counts

_log = structlog.get_logger(__name__)

ForgetRuns = Callable[[Sequence[str]], Awaitable[None]]
"""Lets Temporal delete the histories of runs. Handed in: services do not know Temporal."""

_LEARNER = text("SELECT score FROM learners WHERE owner_id = :owner AND score_day IS NOT NULL FOR UPDATE")
_USER = text("SELECT role FROM users WHERE id = :owner FOR UPDATE")
_RUNS = text("SELECT run_id FROM runs WHERE owner_id = :owner")
_ALLOW = text("SELECT set_config('tooloo.erasing', 'on', true)")
_PSEUDONYM = text("INSERT INTO users (id, role, listed) VALUES (:pseudonym, 'learner', false)")
_STEPS = tuple(
    text(statement)
    for statement in (
        # What is only about the person.
        "DELETE FROM api_keys WHERE owner_id = :owner",
        "DELETE FROM secrets WHERE owner_id = :owner",
        "DELETE FROM activity_events WHERE owner_id = :owner",
        "DELETE FROM learner_days WHERE owner_id = :owner",
        "DELETE FROM standings WHERE owner_id = :owner",
        "DELETE FROM achievements WHERE owner_id = :owner",
        "DELETE FROM learner_checkpoints WHERE owner_id = :owner",
        "DELETE FROM learners WHERE owner_id = :owner",
        "DELETE FROM step_cache WHERE owner_id = :owner",
        "DELETE FROM reports WHERE owner_id = :owner",
        "DELETE FROM reports WHERE jsonb_path_exists(data, '$.**.user_id ? (@ == $person)', CAST(:names AS jsonb))",
        "DELETE FROM idempotency_keys WHERE owner_id = :owner",
        "DELETE FROM approvals WHERE owner_id = :owner",
        "DELETE FROM repository_users WHERE owner_id = :owner",
        # Runs stay as counts, without what went in and came out; those under way have ended, for nobody may start them.
        """UPDATE runs SET owner_id = :pseudonym, input = 'null', output = NULL, error = NULL, labels = '{}',
                  concurrency_key = NULL, ended_at = coalesce(ended_at, now()),
                  status = CASE WHEN ended_at IS NULL THEN 'terminated' ELSE status END
           WHERE owner_id = :owner""",
        # Runs of others that were about the person keep what happened, not what was known.
        """UPDATE runs SET input = 'null', output = NULL
           WHERE jsonb_path_exists(input, '$.**.user_id ? (@ == $person)', CAST(:names AS jsonb))
              OR jsonb_path_exists(output, '$.**.user_id ? (@ == $person)', CAST(:names AS jsonb))""",
        """UPDATE run_steps SET output = NULL, detail = NULL
           WHERE jsonb_path_exists(output, '$.**.user_id ? (@ == $person)', CAST(:names AS jsonb))""",
        # What others rely on keeps a pseudonym.
        "UPDATE approvals SET answered_by = :pseudonym, comment = NULL WHERE answered_by = :owner",
        "UPDATE definitions SET owner_id = :pseudonym WHERE owner_id = :owner",
        "UPDATE definition_versions SET owner_id = :pseudonym WHERE owner_id = :owner",
        "UPDATE services SET owner_id = :pseudonym WHERE owner_id = :owner",
        "UPDATE badges SET created_by = :pseudonym WHERE created_by = :owner",
        "UPDATE awards SET owner_id = :pseudonym, event_id = NULL, reason = NULL WHERE owner_id = :owner",
        "UPDATE awards SET awarded_by = :pseudonym WHERE awarded_by = :owner",
        """UPDATE award_changes SET event_id = NULL, reason = NULL FROM awards
           WHERE awards.id = award_id AND awards.owner_id = :pseudonym""",
        "UPDATE award_changes SET actor_id = :pseudonym WHERE actor_id = :owner",
        "UPDATE outbox_subjects SET subject = 'user/' || :pseudonym WHERE subject = 'user/' || :owner",
        "UPDATE outbox SET subject = 'user/' || :pseudonym, data = '{}' WHERE subject = 'user/' || :owner",
        """UPDATE outbox SET data = jsonb_set(data, '{user_id}', to_jsonb(CAST(:pseudonym AS text)))
           WHERE data ->> 'user_id' = :owner""",
        "UPDATE audit SET actor_id = :pseudonym WHERE actor_id = :owner",
        "UPDATE audit SET target = 'user/' || :pseudonym WHERE target = 'user/' || :owner",
        """UPDATE audit SET detail = detail || jsonb_build_object('user_id', CAST(:pseudonym AS text))
           WHERE detail ->> 'user_id' = :owner""",
        """UPDATE tasks SET owner_id = :pseudonym, name = 'erased', input = '{}', revision = revision + 1,
                  deleted_at = coalesce(deleted_at, now()) WHERE owner_id = :owner""",
        "DELETE FROM users WHERE id = :owner",
    )
)
_STEPS_OF_RUNS = tuple(
    text(statement)
    for statement in (
        """DELETE FROM blobs USING run_steps
           WHERE run_steps.run_id = ANY(CAST(:runs AS text[])) AND blobs.hash = decode(run_steps.output_ref, 'hex')
             AND NOT EXISTS (SELECT FROM run_steps AS others WHERE others.output_ref = run_steps.output_ref
                             AND others.run_id <> ALL(CAST(:runs AS text[])))""",
        """UPDATE run_steps SET owner_id = :pseudonym, error = NULL, output = NULL, output_ref = NULL, detail = NULL
           WHERE run_id = ANY(CAST(:runs AS text[]))""",
        """UPDATE outbox SET data = data - 'error'
           WHERE subject IN (SELECT 'run/' || run_id FROM unnest(CAST(:runs AS text[])) AS run_id)""",
    )
)
_REMEMBER = text("INSERT INTO erasures (pseudonym, owner_id, run_ids) VALUES (:pseudonym, :owner, :runs)")
_PENDING = text("""
    SELECT pseudonym, owner_id, run_ids, in_archives FROM erasures
    WHERE CAST(:only AS text) IS NULL OR pseudonym = :only ORDER BY created_at
""")
_COUNT = text("SELECT count(*) FROM erasures")
_FORGOTTEN = text("UPDATE erasures SET run_ids = '{}' WHERE pseudonym = :pseudonym")
_OUT_OF_ARCHIVES = text("UPDATE erasures SET in_archives = false WHERE pseudonym = ANY(CAST(:pseudonyms AS text[]))")
_FINISH = text("DELETE FROM erasures WHERE run_ids = '{}' AND NOT in_archives RETURNING pseudonym")


async def erase_user(connection: AsyncConnection, owner_id: str, pseudonym: str, actor_id: str) -> None:
    """Erase a person from all tables, and write down what `finish_erasures` has to do.

    Raises NotFoundError, ConflictError for an admin: nobody erases who runs the platform by mistake.
    """
    await hold_archives(connection)  # first: events that are just coming back from a file are seen here, or the reverse
    score = await connection.scalar(_LEARNER, {"owner": owner_id})
    role = await connection.scalar(_USER, {"owner": owner_id})
    if role is None or owner_id == SYSTEM_USER:
        raise NotFoundError("There is no such user.")
    if role == Role.ADMIN:
        raise ConflictError("An admin is not erased.", code="is-admin")
    runs = list(await connection.scalars(_RUNS, {"owner": owner_id}))
    names = {"owner": owner_id, "pseudonym": pseudonym}
    person = to_json({"person": owner_id}).decode()
    await connection.execute(_ALLOW)
    await connection.execute(_PSEUDONYM, {"pseudonym": pseudonym})
    for step in _STEPS:
        await connection.execute(step, {**names, "names": person})
    await _empty_steps(connection, runs, pseudonym)
    await connection.execute(_REMEMBER, {**names, "runs": runs})
    await record_change(connection, actor_id, "user.erase", f"user/{pseudonym}")
    if score is not None:
        await add_counts(connection, [(score, None)])


async def finish_erasures(database: AsyncEngine, forget: ForgetRuns, only: str | None = None) -> tuple[int, list[str]]:
    """Do what is left of erasures, or of the one with a pseudonym: how many were finished, and what still is left.

    `temporal` or `archive` is left when it is away; this does not raise, and can be done again.
    """
    async with database.connect() as connection:
        pending = (await connection.execute(_PENDING, {"only": only})).all()
    if not pending:
        return 0, []
    temporal = [await _try(_forget(database, forget, row), "temporal", row.pseudonym) for row in pending]
    archived = [row for row in pending if row.in_archives]
    archive = await _try(_erase_archived(database, archived), "archive", *(row.pseudonym for row in archived))
    async with database.begin() as connection:
        finished = list(await connection.scalars(_FINISH))
        for pseudonym in finished:
            await record_change(connection, SYSTEM_USER, "user.erase-finish", f"user/{pseudonym}")
    left = (("temporal", all(temporal)), ("archive", archive))
    return len(finished), [name for name, done in left if not done]


async def count_erasures(connection: AsyncConnection) -> int:
    """Erasures that are not finished."""
    return await connection.scalar(_COUNT) or 0


async def _forget(database: AsyncEngine, forget: ForgetRuns, row: Any) -> None:
    """Steps are emptied again: what was under way may have recorded one until Temporal ended it."""
    if row.run_ids:
        await forget(row.run_ids)
        async with database.begin() as connection:
            await _empty_steps(connection, row.run_ids, row.pseudonym)
            await connection.execute(_FORGOTTEN, {"pseudonym": row.pseudonym})


async def _erase_archived(database: AsyncEngine, rows: Sequence[Any]) -> None:
    if rows:
        await erase_keys(database, ARCHIVED, {row.owner_id for row in rows}, SYSTEM_USER)
        async with database.begin() as connection:
            await connection.execute(_OUT_OF_ARCHIVES, {"pseudonyms": [row.pseudonym for row in rows]})


async def _try(part: Awaitable[None], name: str, *pseudonyms: str) -> bool:
    try:
        await part
    except Exception as error:  # noqa: BLE001 - whatever keeps one part from ending, the others are tried
        _log.warning("erasure is not finished", left=name, who=pseudonyms, error=type(error).__name__)
        return False
    return True


async def _empty_steps(connection: AsyncConnection, runs: Sequence[str], pseudonym: str) -> None:
    for step in _STEPS_OF_RUNS:
        await connection.execute(step, {"runs": list(runs), "pseudonym": pseudonym})
