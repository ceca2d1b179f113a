"""The tables of repositories: who may see which one, and how its loads went. Functions never commit.

Asking for a repository makes a claim on it, which shows how the load goes. What is in it may be read by those whose
own load succeeded, by everybody once an admin has loaded it without a credential (`shared`), and by admins. So naming
somebody else's repository gives nothing that loading it would not have given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from models.context import LoadedRepo, LoadRepo
from models.errors import ConflictError, ForbiddenError, NotFoundError
from models.identity import SYSTEM_USER, Caller, Role
from models.persistence.audit import record_change
from models.repositories import LoadProblem, Repository
from services.context.sources import Source

HEAD = "HEAD"
"""The name under which the default branch is remembered."""
CHECKOUT_NAME = "."
"""The name of the checkout that the platform runs from."""
EVICTED = LoadProblem(code="evicted", message="removed to make room for others: refresh it to load it again")
_NOT_LOADED = LoadProblem(code="not-loaded", message="no load of it has succeeded")
_ENDED = "the run that loads it was {status}"

_SEEN = """
    SELECT r.id, r.name, r.source, r.created_at, r.shared, r.error, claim.owner_id IS NOT NULL AS claimed,
           claim.credential,
           coalesce(chosen.ref, CASE WHEN claim.owner_id IS NULL OR claim.granted THEN r.ref ELSE claim.ref END) AS ref,
           coalesce(chosen.commit, r.commit) AS commit, coalesce(chosen.commits, r.commits) AS commits,
           r.bytes, r.loaded_at, r.status AS stored_status, run.run_id, run.status AS run_status,
           run.ended_at AS run_ended_at, run.error AS run_error,
           r.loaded_at >= run.started_at AS run_has_loaded,
           r.shared OR :sees_all OR coalesce(claim.granted, false) AS readable
    FROM repositories r
    LEFT JOIN repository_users claim ON claim.repository_id = r.id AND claim.owner_id = :owner
    LEFT JOIN repository_refs chosen ON claim.granted AND chosen.repository_id = r.id
         AND chosen.ref = coalesce(claim.ref, 'HEAD')
    LEFT JOIN runs run ON run.run_id = CASE WHEN claim.owner_id IS NULL THEN r.run_id ELSE claim.run_id END
    WHERE (r.shared OR :sees_all OR claim.owner_id IS NOT NULL)
"""
_FIND = text(_SEEN + " AND r.id = :id")
_LIST = text(
    _SEEN
    + """
    AND (CAST(:name AS text) IS NULL OR lower(r.name) = lower(:name))
    AND (CAST(:before_at AS timestamptz) IS NULL OR (r.created_at, r.id) < (:before_at, :before_id))
    ORDER BY r.created_at DESC, r.id DESC LIMIT :limit
"""
)
_VISIBLE = text(
    _SEEN
    + """
    AND (r.shared OR :sees_all OR coalesce(claim.granted, false)) AND r.commit IS NOT NULL ORDER BY r.name, r.id
"""
)
_READER = text("""
    SELECT claim.credential FROM repositories r
    LEFT JOIN repository_users claim ON claim.repository_id = r.id AND claim.owner_id = :owner
    WHERE r.id = :id AND (r.shared OR :sees_all OR coalesce(claim.granted, false))
""")
_LOCK_USER = text("SELECT id FROM users WHERE id = :owner FOR NO KEY UPDATE")
_GUARD = text("SELECT pg_advisory_xact_lock(hashtextextended('repository/' || CAST(:id AS text), 0))")
_KNOWN = text("SELECT id FROM repositories WHERE id = :id")
_CLAIMED = text("SELECT EXISTS (SELECT FROM repository_users WHERE repository_id = :id AND owner_id = :owner)")
_COUNT = text("SELECT count(*) FROM repository_users WHERE owner_id = :owner AND repository_id <> :id")
_ADD = text("""
    INSERT INTO repositories AS kept (id, name, source, status, run_id)
    VALUES (:id, :name, :source, 'loading', :run_id)
    ON CONFLICT (id) DO UPDATE SET used_at = now(),
        name = CASE WHEN excluded.name = '.' THEN '.' ELSE kept.name END,
        run_id = CASE WHEN kept.shared AND NOT :shares THEN kept.run_id ELSE excluded.run_id END
""")
_CLAIM = text("""
    INSERT INTO repository_users AS kept (repository_id, owner_id, ref, credential, run_id)
    VALUES (:id, :owner, :ref, :credential, :run_id)
    ON CONFLICT (repository_id, owner_id)
    DO UPDATE SET ref = excluded.ref, credential = excluded.credential, run_id = excluded.run_id
    RETURNING xmax = 0 AS is_new
""")
_LOADED = text("""
    UPDATE repositories SET status = 'ready', error = NULL, bytes = :bytes, loaded_at = now(), used_at = now(),
        run_id = CASE WHEN run_id = :run_id AND NOT :keeps_run THEN NULL ELSE run_id END,
        ref = CASE WHEN commit IS NULL OR :shares OR NOT shared THEN :ref ELSE ref END,
        commit = CASE WHEN commit IS NULL OR :shares OR NOT shared THEN :commit ELSE commit END,
        commits = CASE WHEN commit IS NULL OR :shares OR NOT shared THEN :commits ELSE commits END
    WHERE id = :id
""")
_GRANT = text("""
    UPDATE repository_users SET granted = true, shares = :shares,
        run_id = CASE WHEN run_id = :run_id AND NOT :keeps_run THEN NULL ELSE run_id END
    WHERE repository_id = :id AND owner_id = :owner
""")
_NAME_REF = text("""
    INSERT INTO repository_refs (repository_id, ref, commit, commits) VALUES (:id, :ref, :commit, :commits)
    ON CONFLICT (repository_id, ref)
    DO UPDATE SET commit = excluded.commit, commits = excluded.commits, loaded_at = now()
""")
_REFS = text(
    "SELECT repository_id, ref, commit FROM repository_refs WHERE repository_id = ANY(:ids) AND ref = ANY(:names)"
)
_LOADED_OR_LOADING = text("""
    SELECT EXISTS (
        SELECT FROM repository_users claim LEFT JOIN runs USING (run_id)
        LEFT JOIN repository_refs head ON head.repository_id = claim.repository_id AND head.ref = 'HEAD'
        WHERE claim.repository_id = :id AND claim.owner_id = :owner
        AND (head.commit = :commit OR runs.run_id IS NOT NULL AND runs.ended_at IS NULL))
""")
_RENAME = text("UPDATE repositories SET name = source WHERE name = '.' AND id <> :id")
_TOUCH = text("UPDATE repositories SET used_at = now() WHERE id = :id AND used_at < now() - interval '1 minute'")
_LOCK = text("SELECT FROM repositories WHERE id = :id FOR UPDATE")
_UNCLAIM = text("DELETE FROM repository_users WHERE repository_id = :id AND (:all OR owner_id = :owner)")
_SHARE = text("""
    UPDATE repositories
    SET shared = EXISTS (SELECT FROM repository_users WHERE repository_id = :id AND shares) WHERE id = :id
""")
_SHARE_NOTHING = text("UPDATE repository_users SET shares = false WHERE repository_id = :id AND shares")
_DROP = text("""
    DELETE FROM repositories WHERE id = :id
    AND NOT EXISTS (SELECT FROM repository_users WHERE repository_id = :id) RETURNING id
""")
_STORED = text("SELECT coalesce(sum(bytes), 0) FROM repositories WHERE id <> :id")
_LEAST_USED = text("""
    SELECT id FROM repositories r WHERE bytes > 0 AND id <> :id AND NOT EXISTS (
        SELECT FROM repository_users claim JOIN runs USING (run_id)
        WHERE claim.repository_id = r.id AND runs.ended_at IS NULL)
    ORDER BY used_at LIMIT 1 FOR UPDATE SKIP LOCKED
""")
_EVICT = text("""
    UPDATE repositories SET status = 'failed', error = :error, bytes = 0, commits = 0, commit = NULL WHERE id = :id
""").bindparams(bindparam("error", type_=JSONB))
_SIZE = text("UPDATE repositories SET bytes = :bytes WHERE id = :id")
_FORGET_REFS = text("DELETE FROM repository_refs WHERE repository_id = :id")


@dataclass(frozen=True)
class Wanted:
    """A repository that somebody asks for."""

    id: str
    name: str
    source: str
    ref: str | None
    run_id: str
    """The run that loads it."""
    credential: str | None = None
    """The name of the secret to load it with."""

    @classmethod
    def of(cls, source: Source, asked: LoadRepo, run_id: str) -> "Wanted":
        """What a request asks for; `source` is what it names."""
        return cls(source.id, source.name, source.text, asked.ref, run_id, asked.credential)


async def visible(connection: AsyncConnection, caller: Caller) -> list[Repository]:
    """Every repository whose contents the caller may read and that holds a commit, by name."""
    rows = await connection.execute(_VISIBLE, _caller(caller))
    return [_repository(row, caller) for row in rows]


async def list_repositories(
    connection: AsyncConnection, caller: Caller, *, name: str | None, before: tuple[datetime, str] | None, limit: int
) -> list[Repository]:
    """Repositories the caller may see, newest first. `name`: only those called so, whatever the case."""
    at, last = before or (None, None)
    place = {"name": name, "before_at": at, "before_id": last, "limit": limit}
    rows = await connection.execute(_LIST, {**_caller(caller), **place})
    return [_repository(row, caller) for row in rows]


async def find(connection: AsyncConnection, repository_id: str, caller: Caller) -> Repository:
    """A repository the caller may see. Raises NotFoundError, the same for another's as for none."""
    return _repository(await _find(connection, repository_id, caller), caller)


async def find_readable(connection: AsyncConnection, repository_id: str, caller: Caller) -> Repository:
    """A repository whose contents the caller may read; its `commit` is set. Raises NotFoundError, ConflictError."""
    row = await _find(connection, repository_id, caller)
    if not row.readable or row.commit is None:
        raise ConflictError("The repository is not loaded yet, or its load failed: see its status.", code="not-loaded")
    return _repository(row, caller)


async def check_reader(connection: AsyncConnection, repository_id: str, caller: Caller) -> str | None:
    """Check that the caller may read what is in a repository, whether or not it is in the store now.

    Gives the name of the secret that they asked for it with. Raises NotFoundError, the same for another's as for none.
    """
    row = (await connection.execute(_READER, {**_caller(caller), "id": repository_id})).one_or_none()
    if row is None:
        raise _no_such_repository()
    return row.credential


async def commits_named(connection: AsyncConnection, repository_ids: Sequence[str], rev: str) -> dict[str, str]:
    """The commits that were loaded under a name, by repository, whether by its short or its full name."""
    short = rev.removeprefix("refs/heads/").removeprefix("refs/tags/")
    names = (rev, short, f"refs/tags/{short}", f"refs/heads/{short}")
    rows = await connection.execute(_REFS, {"ids": list(repository_ids), "names": list(names)})
    known = {(row.repository_id, row.ref): row.commit for row in rows}
    places = ((one, name) for one in repository_ids for name in reversed(names))  # the last one counts
    return {place[0]: known[place] for place in places if place in known}


async def is_claimed(connection: AsyncConnection, repository_id: str, caller: Caller) -> bool:
    """Whether the caller has asked for a repository and not given it up."""
    return bool(await connection.scalar(_CLAIMED, {"id": repository_id, "owner": caller.user_id}))


async def claim(connection: AsyncConnection, caller: Caller, wanted: Wanted, most: int) -> None:
    """Note that somebody asks for a repository; again, with the run that loads it now.

    Raises ConflictError `repository-quota` when they have `most` others, NotFoundError for who was erased meanwhile.
    """
    owner = {"owner": caller.user_id, "id": wanted.id}
    await connection.execute(_GUARD, {"id": wanted.id})
    if await connection.scalar(_LOCK_USER, {"owner": caller.user_id}) is None:  # so two claims count each other
        raise NotFoundError("There is no such user.")
    held = await connection.scalar(_COUNT, owner) or 0
    if held >= most and caller.user_id != SYSTEM_USER:
        raise ConflictError(
            f"You have {held} repositories, of {most} (TOOLOO_REPOS_PER_USER): delete one first.",
            code="repository-quota",
        )
    row = {"id": wanted.id, "name": wanted.name, "source": wanted.source, "run_id": wanted.run_id}
    await connection.execute(_ADD, {**row, "shares": _shares(caller, wanted.credential)})
    asked = {"ref": wanted.ref, "credential": wanted.credential, "run_id": wanted.run_id}
    is_new = await connection.scalar(_CLAIM, {**owner, **asked})
    if is_new:
        await record_change(connection, caller.user_id, "repository.load", f"repository/{wanted.id}")


async def record_loaded(
    connection: AsyncConnection,
    caller: Caller,
    loaded: LoadedRepo,
    size: int,
    run_id: str,
    *,
    keeps_run: bool,
    credential: str | None,
) -> None:
    """Note what a load brought, and let its caller read it. Does nothing when nobody wants the repository any more.

    `size`: of the repository and its index, in bytes. `keeps_run`: the run does nothing but load, so that its end tells
    how the load went; of other runs only this step says so. `credential`: the name of the secret it was loaded with.
    """
    run = {"id": loaded.id, "run_id": run_id, "keeps_run": keeps_run}
    content = {"commit": loaded.commit, "commits": loaded.commits}
    new = {"ref": loaded.ref, "bytes": size, "shares": _shares(caller, credential)}
    if (await connection.execute(_LOADED, {**run, **content, **new})).rowcount:
        await connection.execute(_NAME_REF, {"id": loaded.id, "ref": loaded.ref or HEAD, **content})
        if credential is not None:  # it may be private by now: what was shared is no more
            await connection.execute(_SHARE_NOTHING, {"id": loaded.id})
        await connection.execute(_GRANT, {**run, "owner": caller.user_id, "shares": new["shares"]})
        await connection.execute(_SHARE, {"id": loaded.id})


async def record_size(connection: AsyncConnection, repository_id: str, size: int) -> None:
    """Note how many bytes a repository and its index have."""
    await connection.execute(_SIZE, {"id": repository_id, "bytes": size})


async def is_loaded(connection: AsyncConnection, repository_id: str, caller: Caller, commit: str | None) -> bool:
    """Whether the caller's default branch is at a commit, or a load of theirs is under way. Others who ask wait."""
    await connection.execute(_GUARD, {"id": repository_id})
    row = {"id": repository_id, "owner": caller.user_id, "commit": commit}
    return bool(await connection.scalar(_LOADED_OR_LOADING, row))


async def rename_others(connection: AsyncConnection, repository_id: str) -> None:
    """Leave the name `.` to one repository: a checkout that was moved is another one."""
    await connection.execute(_RENAME, {"id": repository_id})


async def touch(connection: AsyncConnection, repository_id: str) -> None:
    """Note that a repository is used; who was not for the longest time makes room first. Exact to a minute."""
    await connection.execute(_TOUCH, {"id": repository_id})


async def forget(connection: AsyncConnection, repository_id: str, caller: Caller) -> bool:
    """Remove the caller's claim; an admin without one removes all. Whether that was the last, and the row is gone.

    Raises NotFoundError, and ForbiddenError for a shared one that the caller has not asked for.
    """
    seen = await _find(connection, repository_id, caller)
    if not seen.claimed and not caller.sees_all:
        raise ForbiddenError("The repository is shared by an admin: only admins remove it.")
    one = {"id": repository_id}
    await connection.execute(_LOCK, one)
    await connection.execute(_UNCLAIM, {**one, "owner": caller.user_id, "all": not seen.claimed})
    await connection.execute(_SHARE, one)
    gone = (await connection.execute(_DROP, one)).first() is not None
    await record_change(
        connection, caller.user_id, "repository.remove", f"repository/{repository_id}", {"for_everybody": gone}
    )
    return gone


async def is_known(connection: AsyncConnection, repository_id: str) -> bool:
    """Whether anybody has asked for a repository. Nobody asks for it until the transaction ends."""
    await connection.execute(_GUARD, {"id": repository_id})
    return await connection.scalar(_KNOWN, {"id": repository_id}) is not None


async def stored_bytes(connection: AsyncConnection, besides: str) -> int:
    """Bytes of all repositories in the store, and of their indexes, but one."""
    return await connection.scalar(_STORED, {"id": besides}) or 0


async def least_used(connection: AsyncConnection, besides: str) -> str | None:
    """The repository that was not used for the longest time, besides one and those that are being loaded.

    Nobody begins to load it until the transaction ends.
    """
    return await connection.scalar(_LEAST_USED, {"id": besides})


async def record_evicted(connection: AsyncConnection, repository_id: str) -> None:
    """Note that a repository is no longer in the store. Those who asked for it still do."""
    await connection.execute(_EVICT, {"id": repository_id, "error": EVICTED.model_dump()})
    await connection.execute(_FORGET_REFS, {"id": repository_id})
    await record_change(connection, SYSTEM_USER, "repository.evict", f"repository/{repository_id}")


async def _find(connection: AsyncConnection, repository_id: str, caller: Caller) -> Row[Any]:
    row = (await connection.execute(_FIND, {**_caller(caller), "id": repository_id})).one_or_none()
    if row is None:
        raise _no_such_repository()
    return row


def _no_such_repository() -> NotFoundError:
    return NotFoundError("There is no such repository.")


def _shares(caller: Caller, credential: str | None) -> bool:
    """Whether a load lets everybody read: what an admin loads with a credential is private all the same."""
    return caller.role is Role.ADMIN and credential is None


def _caller(caller: Caller) -> dict[str, Any]:
    return {"owner": caller.user_id, "sees_all": caller.sees_all}


def _repository(row: Row[Any], caller: Caller) -> Repository:
    status, error = _state(row)
    run_id = row.run_id if row.claimed or caller.sees_all else None
    this = f"/api/v1/context/repos/{row.id}"
    return Repository(
        id=row.id,
        name=row.name,
        source=row.source,
        ref=row.ref,
        credential=row.credential,
        commit=row.commit if row.readable else None,
        commits=row.commits if row.readable else 0,
        bytes=row.bytes if row.readable else 0,
        status=status,
        error=error,
        shared=row.shared,
        run_id=run_id,
        created_at=row.created_at,
        loaded_at=row.loaded_at if row.readable else None,
        links={"self": this} if run_id is None else {"self": this, "run": f"/api/v1/runs/{run_id}"},
    )


def _state(row: Row[Any]) -> tuple[Any, LoadProblem | None]:
    """How the caller's last load went: as its run did, and after that as the store says."""
    if row.run_id is not None and row.run_ended_at is None:
        return ("indexing" if row.readable and row.run_has_loaded else "loading"), None
    if row.run_id is not None and row.run_status != "completed":
        return "failed", _problem(row.run_error) or LoadProblem(
            code=row.run_status, message=_ENDED.format(status=row.run_status.replace("_", " "))
        )
    if row.commit is None or not row.readable:
        return "failed", _problem(row.error) or _NOT_LOADED
    return row.stored_status, _problem(row.error)


def _problem(error: Mapping[str, Any] | None) -> LoadProblem | None:
    return None if error is None else LoadProblem(code=error["code"], message=error["message"])
