"""`Idempotency-Key`: a POST that is sent again gets the first answer and does nothing twice.

The answer is written in the transaction of what it reports, so there is never one without the other. Answers are
sealed: the one to `POST /keys` holds a secret that the database must not know.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256

from pydantic import BaseModel
from sqlalchemy import BigInteger, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from models.errors import ConflictError, InvalidInputError, Problem
from models.persistence.tables import idempotency_keys
from services.identity.sealing import Seal

KEPT = timedelta(hours=24)
HEADER = "Idempotency-Key"
_SWEPT_PER_ANSWER = 4

# Statements are built once: building them takes longer than running them.
_ID = (idempotency_keys.c.owner_id, idempotency_keys.c.route, idempotency_keys.c.key_hash)
_EXPIRED = idempotency_keys.c.created_at <= func.now() - KEPT
_TRY_LOCK = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)))
_FIND = select(idempotency_keys.c.body_hash, idempotency_keys.c.answer).where(
    *(column == bindparam(column.name) for column in _ID), ~_EXPIRED
)
_OTHERS = select(*_ID).where(_EXPIRED, idempotency_keys.c.key_hash != bindparam("key_hash")).limit(_SWEPT_PER_ANSWER)
_SWEEP = delete(idempotency_keys).where(tuple_(*_ID).in_(_OTHERS.with_for_update(skip_locked=True)))
_INSERT = upsert(idempotency_keys).values(
    {name: bindparam(name) for name in ("owner_id", "route", "key_hash", "body_hash", "answer")}
)
_NEW = {"body_hash": _INSERT.excluded.body_hash, "answer": _INSERT.excluded.answer, "created_at": func.now()}
_KEEP = _INSERT.on_conflict_do_update(index_elements=_ID, set_=_NEW).add_cte(_SWEEP.cte("swept"))


@dataclass(frozen=True)
class Answer:
    """An answer that can be given again."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    repeated: bool = False

    @classmethod
    def of(cls, status: int, content: BaseModel, headers: Mapping[str, str] | None = None) -> "Answer":
        """An answer with a model as JSON."""
        return cls(status, content.model_dump_json().encode(), headers or {})

    def response(self) -> Response:
        """As it goes out. It may hold what is shown once, so nobody on the way keeps it."""
        headers = {**self.headers, "Cache-Control": "no-store"}
        if self.repeated:
            headers["Idempotent-Replayed"] = "true"
        return Response(self.body, status_code=self.status, headers=headers, media_type="application/json")


class AnswerSeal:
    """Encrypts stored answers. Raises ValueError for a master secret that is too short to be one."""

    def __init__(self, secret: str) -> None:
        self._seal = Seal(secret, b"tooloo idempotency answers")

    def seal(self, answer: Answer) -> bytes:
        """The answer, unreadable without the secret."""
        content = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body.decode()}
        return self._seal.seal(json.dumps(content).encode())

    def open(self, sealed: bytes) -> Answer:
        """The answer again. Raises ConflictError when it was sealed with another secret."""
        opened = self._seal.open(sealed)
        if opened is None:
            raise ConflictError(
                "This was answered before, but the answer cannot be read since TOOLOO_SECRET has changed."
                " Look up what was made, or send a new Idempotency-Key.",
                code="idempotency-answer-unreadable",
            )
        content = json.loads(opened)
        return Answer(content["status"], content["body"].encode(), content["headers"], repeated=True)


@dataclass(frozen=True)
class Idempotency:
    """One request as far as repeating it goes. Without a key nothing is looked up or stored."""

    seal: AnswerSeal
    owner_id: str
    route: str
    """Method and path: a key never answers for another resource."""
    key: str | None
    body: bytes

    async def answer_once(self, connection: AsyncConnection, create: Callable[[], Awaitable[Answer]]) -> Answer:
        """The first answer to this key, made by `create` inside this very transaction when there is none yet.

        `create` works on `connection`; the caller commits. When it raises, nothing is kept and the key stays free.
        Raises ConflictError `idempotency-key-in-flight` while another transaction works on the same key, and
        InvalidInputError `idempotency-key-reused` when the key came with another body.
        """
        if self.key is None:
            return await create()
        key_hash = sha256(self.key.encode()).digest()
        await self._lock(connection, key_hash)
        row_id = {"owner_id": self.owner_id, "route": self.route, "key_hash": key_hash}
        row = (await connection.execute(_FIND, row_id)).first()
        if row is None:
            answer = await create()
            await self._keep(connection, row_id, answer)
            return answer
        if row.body_hash != self._body_hash:
            raise _reused()
        return self.seal.open(row.answer)

    @property
    def _body_hash(self) -> bytes:
        return sha256(self.body).digest()

    async def _lock(self, connection: AsyncConnection, key_hash: bytes) -> None:
        """Until the end of the transaction. The look-up comes after, so it sees what the last holder committed."""
        name = sha256(b"\0".join((self.owner_id.encode(), self.route.encode(), key_hash))).digest()
        if not await connection.scalar(_TRY_LOCK, {"lock": int.from_bytes(name[:8], signed=True)}):
            raise ConflictError(
                f"A request with this {HEADER} is being worked on. Send it again in a moment for its answer.",
                code="idempotency-key-in-flight",
            )

    async def _keep(self, connection: AsyncConnection, row_id: Mapping[str, str | bytes], answer: Answer) -> None:
        """Write the answer, over an expired one of the same key, and take a few expired rows of others along.

        So the table never holds more than a day's answers, without a job that looks after it.
        """
        await connection.execute(_KEEP, {**row_id, "body_hash": self._body_hash, "answer": self.seal.seal(answer)})


def _reused() -> InvalidInputError:
    message = f"This {HEADER} was sent before with another body. Use a new key for a new request."
    problem = Problem(pointer=f"/header/{HEADER}", code="idempotency-key-reused", message=message)
    return InvalidInputError(message, code="idempotency-key-reused", problems=[problem])
