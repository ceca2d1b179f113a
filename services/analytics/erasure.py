"""Erasing a person: the person and payloads go; awards, audit and hashes keep a pseudonym, sums keep their counts."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.errors import ConflictError, NotFoundError
from models.identity import SYSTEM_USER, Role
from models.persistence.audit import record_change
from services.analytics.scores import add_counts

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
        "DELETE FROM activity_events WHERE owner_id = :owner",
        "DELETE FROM learner_days WHERE owner_id = :owner",
        "DELETE FROM standings WHERE owner_id = :owner",
        "DELETE FROM achievements WHERE owner_id = :owner",
        "DELETE FROM learners WHERE owner_id = :owner",
        "DELETE FROM step_cache WHERE owner_id = :owner",
        "DELETE FROM reports WHERE owner_id = :owner",
        "DELETE FROM idempotency_keys WHERE owner_id = :owner",
        "DELETE FROM approvals WHERE owner_id = :owner",
        # Runs stay as counts, without what went in and came out.
        """DELETE FROM blobs USING run_steps
           WHERE run_steps.owner_id = :owner AND blobs.hash = decode(run_steps.output_ref, 'hex')
             AND NOT EXISTS (SELECT FROM run_steps AS others
                             WHERE others.output_ref = run_steps.output_ref AND others.owner_id <> :owner)""",
        """UPDATE run_steps SET owner_id = :pseudonym, error = NULL, output = NULL, output_ref = NULL, detail = NULL
           WHERE owner_id = :owner""",
        """UPDATE runs SET owner_id = :pseudonym, input = 'null', output = NULL, error = NULL, labels = '{}',
                  concurrency_key = NULL
           WHERE owner_id = :owner""",
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
        "DELETE FROM users WHERE id = :owner",
    )
)


async def erase_user(connection: AsyncConnection, owner_id: str, pseudonym: str, actor_id: str) -> Sequence[str]:
    """Erase a person from all tables; the runs that Temporal still has to forget.

    Raises NotFoundError, ConflictError for an admin: nobody erases who runs the platform by mistake.
    """
    score = await connection.scalar(_LEARNER, {"owner": owner_id})
    role = await connection.scalar(_USER, {"owner": owner_id})
    if role is None or owner_id == SYSTEM_USER:
        raise NotFoundError("There is no such user.")
    if role == Role.ADMIN:
        raise ConflictError("An admin is not erased.", code="is-admin")
    runs = list(await connection.scalars(_RUNS, {"owner": owner_id}))
    names = {"owner": owner_id, "pseudonym": pseudonym}
    await connection.execute(_ALLOW)
    await connection.execute(_PSEUDONYM, {"pseudonym": pseudonym})
    for step in _STEPS:
        used = {name: value for name, value in names.items() if f":{name}" in step.text}
        await connection.execute(step, used)
    await record_change(connection, actor_id, "user.erase", f"user/{pseudonym}")
    if score is not None:
        await add_counts(connection, [(score, None)])
    return runs
