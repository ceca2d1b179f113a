"""Recording steps as they end. What happens at once is written in one transaction: a commit costs more than a row."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from models.persistence.database import autocommit, when_database_is_back
from services.orchestration.runs import StepRecord, find_success, record_steps

MAX_BATCH = 200


class StepRecorder:
    """`record` returns once its record is committed. An activity completes only after that: completed is recorded.

    A cancellation that arrives meanwhile comes too late. What is queued will be committed, so the activity has to end
    as its record says, or the record and Temporal would tell of two different ends.
    """

    def __init__(self, database: AsyncEngine) -> None:
        self._database = autocommit(database)  # a batch is one statement
        self._queue: list[tuple[StepRecord, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def record(self, record: StepRecord) -> None:
        """Commit one record, together with those that arrive meanwhile."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((record, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        while not done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({done})
        done.result()

    async def success(self, run_id: str, step_id: str) -> StepRecord | None:
        """The record of a step that has succeeded already, in an attempt whose answer Temporal never got."""

        async def look() -> StepRecord | None:
            async with self._database.connect() as connection:
                return await find_success(connection, run_id, step_id)

        return await when_database_is_back(look)

    async def _write(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:MAX_BATCH], self._queue[MAX_BATCH:]
                await self._commit(batch)
        finally:
            self._writer = None
            self._abandon(self._queue)

    async def _commit(self, batch: Sequence[tuple[StepRecord, asyncio.Future[None]]]) -> None:
        try:
            await when_database_is_back(lambda: self._record([record for record, _ in batch]))
        except Exception as error:  # noqa: BLE001 - whoever waits for its record gets the error
            if len(batch) > 1:  # one that cannot be stored spoils no other
                for one in batch:
                    await self._commit([one])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
        finally:
            self._abandon(batch)

    @staticmethod
    def _abandon(batch: Sequence[tuple[StepRecord, asyncio.Future[None]]]) -> None:
        """Nobody waits for ever when the writer itself is cancelled, as at the end of the process."""
        for _, done in batch:
            done.cancel()

    async def _record(self, records: Sequence[StepRecord]) -> None:
        async with self._database.connect() as connection:
            await record_steps(connection, records)
