"""Post generated and damaged definitions, and run those that are taken: `python -m tests.e2e.fuzzing --count 2000`.

Prints what came of each kind. Ends with 1 when an answer was none of the contract's, a verdict was another than the
oracle's, or a run did not end.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from httpx2 import AsyncClient

from cli.stack.throwaway import stop_throwaways, throwaway_postgres, throwaway_temporal
from models.identity import Role
from models.persistence.database import create_database
from models.persistence.migrate import migrate
from tests.conftest import new_namespace
from tests.e2e.conftest import running_platform
from tests.e2e.fuzz_cases import Case, cases

AT_ONCE = 8
PATIENCE_SECONDS = 120


class Fuzz:
    """Posts cases and notes what was wrong with the answers."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.wrong: list[str] = []
        self.seen: Counter[str] = Counter()

    async def post_all(self, some: Iterable[Case]) -> None:
        """All cases, some at once."""
        left = iter(some)

        async def work() -> None:
            for case in left:
                await self._post(case)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    async def _post(self, case: Case) -> None:
        body = json.dumps(case.document).encode()
        answer = await self._client.post("/workflow", content=body, headers={"Content-Type": "application/json"})
        self.seen[f"{case.name}: {answer.status_code}"] += 1
        if answer.status_code == 422:
            self._refused(case, answer.json())
        elif answer.status_code in {200, 201}:
            await self._taken(case)
        else:
            self._note(case, f"answered {answer.status_code}: {answer.text[:500]}")

    def _refused(self, case: Case, problem: dict[str, Any]) -> None:
        codes = [one["code"] for one in problem["errors"]]
        if not codes:
            self._note(case, "refused without a problem")
        elif case.refused_for is None and not case.may_be_either:
            self._note(case, f"refused: {problem['errors'][:3]}")
        elif case.refused_for is not None and case.refused_for not in codes:
            self._note(case, f"refused for {codes}, not for {case.refused_for}")

    async def _taken(self, case: Case) -> None:
        if case.refused_for is not None:
            self._note(case, f"taken, though {case.refused_for}")
            return
        name = case.document["id"]
        answer = await self._client.post(f"/workflow/{name}/execute?wait=10", json={"input": case.input})
        if case.may_be_either and answer.status_code in {404, 409, 422}:  # nobody may run it, or not with this input
            return
        if answer.status_code not in {200, 202}:
            self._note(case, f"run answered {answer.status_code}: {answer.text[:500]}")
            return
        run = answer.json()
        if run["ended_at"] is None and case.may_be_either:
            await self._client.post(f"/workflow/{name}/executions/{run['run_id']}/cancel")
        ended = await self._until_ended(run)
        if ended is None:
            self._note(case, f"run {run['run_id']} does not end")
        elif case.run is not None:
            self._compare(case, ended)

    async def _until_ended(self, run: dict[str, Any]) -> dict[str, Any] | None:
        until = time.monotonic() + PATIENCE_SECONDS
        while run["ended_at"] is None:
            if time.monotonic() > until:
                return None
            await asyncio.sleep(0.1)
            run = (await self._client.get(f"/runs/{run['run_id']}")).json()
        return run

    def _compare(self, case: Case, run: dict[str, Any]) -> None:
        assert case.run is not None
        if run["status"] != case.run_status:
            self._note(case, f"ended {run['status']}, not {case.run_status}: {run['error']}")
        shown = {step["id"]: step for step in run["steps"]}
        for step_id, end in case.run.items():
            step = shown[step_id]
            if (step["status"], step["reason"]) != (end.status, end.reason):
                self._note(case, f"{step_id} is {step['status']} ({step['reason']}), not {end}")
            elif end.is_success and step["output"] != end.value and "ref" not in (step["output"] or ()):
                self._note(case, f"{step_id} gave {step['output']!r}, not {end.value!r}")

    def _note(self, case: Case, what: str) -> None:
        self.wrong.append(f"{case.name}: {what}\n  {json.dumps(case.document)[:1_500]}")


@asynccontextmanager
async def fuzzed_platform(directory: Path) -> AsyncGenerator[AsyncClient]:
    """A platform on throw-away servers, and an admin's client of it."""
    database = create_database(throwaway_postgres(directory, os.getpid()))
    try:
        await migrate(database)
        temporal = await new_namespace(throwaway_temporal(directory, os.getpid()), "fuzzing")
        async with (
            running_platform(temporal, database, directory) as platform,
            await platform.client("root", Role.ADMIN) as client,
        ):
            yield client
    finally:
        await database.dispose()


async def _main(directory: Path, seed: int, count: int) -> bool:
    async with fuzzed_platform(directory) as client:
        fuzz = Fuzz(client)
        begun = time.monotonic()
        await fuzz.post_all(cases(seed, count))
    for name, times in sorted(fuzz.seen.items()):
        sys.stdout.write(f"{times:6,}  {name}\n")
    for wrong in fuzz.wrong:
        sys.stdout.write(f"{wrong}\n")
    seconds = time.monotonic() - begun
    sys.stdout.write(f"{count:,} definitions of seed {seed} in {seconds:.0f} s: {len(fuzz.wrong)} wrong\n")
    return not fuzz.wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)  # steps fail by the hundred, and are meant to
    servers = Path(tempfile.mkdtemp(prefix="tooloo-fuzzing-"))
    try:
        right = asyncio.run(_main(servers, options.seed, options.count))
    finally:
        stop_throwaways(servers)
    sys.exit(0 if right else 1)
