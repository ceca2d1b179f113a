"""What TooLoo adds to Temporal: the same DAGs by our engine and by hand, on one server, in one sitting.

`./tooloo bench overhead [--rounds N]`. Rounds alternate between the two, so that a noisy machine is noisy for both;
figures are medians over the rounds. Processor time is that of the worker process, its children included.
"""

import argparse
import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from uuid import uuid4

import httpx2
from rich.console import Console
from rich.table import Table

from benchmarks import hand_written
from benchmarks.stack import Process, Stack, benchmark_stack
from models.catalogue import CATALOGUE
from models.identity import Caller, Role
from models.runs import RunRequest
from services.identity.keys import ensure_admin
from services.orchestration.definitions import save_definition
from services.orchestration.runs import NewRun, open_run
from workflows.client import start_run
from workflows.dag.compile import Compiled, compile_definition
from workflows.dag.plan import Plan

CALLER = Caller(user_id="admin", role=Role.ADMIN)
Json = dict[str, Any]

_SETTLE_SECONDS = 0.02
"""Before each request: what the last one left to be done is not to slow down the next."""


def _step(name: str, value: Any) -> Json:
    return {"id": name, "service": "flow", "action": "echo", "input": {"value": value}}


def chain(length: int) -> Json:
    """Each step gets the result of the last."""
    steps = [_step(f"s{n}", f"from:s{n - 1}.value" if n else 0) for n in range(length)]
    return {"id": f"chain-{length}", "steps": steps, "output": f"from:s{length - 1}.value"}


def fan_out(width: int) -> Json:
    """Independent steps."""
    return {
        "id": f"fan-out-{width}",
        "steps": [_step(f"s{n}", n) for n in range(width)],
        "limits": {"max_parallel": 500},
    }


def ladder(rungs: int) -> Json:
    """Diamonds in a row."""
    steps = [_step("d0", 0)]
    for n in range(rungs):
        steps += [_step(f"l{n}", f"from:d{n}.value"), _step(f"r{n}", f"from:d{n}.value")]
        steps.append({**_step(f"d{n + 1}", f"from:l{n}.value"), "depends_on": [f"r{n}"]})
    return {"id": f"ladder-{rungs}", "steps": steps, "output": f"from:d{rungs}.value"}


def mapped(items: int) -> Json:
    """One action for each item of a list."""
    step = {**_step("m", "from:item"), "map": {"items": list(range(items)), "max_parallel": 500}}
    return {"id": f"map-{items}", "steps": [step], "limits": {"max_parallel": 500}, "output": "from:m"}


def conditional(steps: int) -> Json:
    """Chains side by side, in which every fifth step has a condition on the one before."""
    length = steps // hand_written.CHAINS
    written: list[Json] = []
    for chain_number in range(hand_written.CHAINS):
        for n in range(length):
            before = f"c{chain_number}-{n - 1}"
            step = _step(f"c{chain_number}-{n}", f"from:{before}.value ?? 0" if n else 0)
            if n % 5 == 4:  # noqa: PLR2004 - every fifth
                step["when"] = f'steps["{before}"].value == 0'
            written.append(step)
    return {"id": f"conditional-{steps}", "steps": written}


@dataclass(frozen=True)
class Case:
    """A DAG both ways, and how many runs of it at once."""

    name: str
    definition: Json
    by_hand: Callable[..., Any]
    argument: int
    at_once: int = 1


CASES = (
    Case("chain of 20", chain(20), hand_written.Chain.run, 20),
    Case("fan-out of 100", fan_out(100), hand_written.FanOut.run, 100),
    Case("diamond ladder of 50", ladder(50), hand_written.Ladder.run, 50),
    Case("map of 100", mapped(100), hand_written.FanOut.run, 100),
    Case("1,000 steps, 200 conditions", conditional(1_000), hand_written.Conditional.run, 1_000),
    Case("100 chains of 3 at once", chain(3), hand_written.Chain.run, 3, at_once=100),
)


@dataclass
class Figures:
    """Measurements of one way to run a case, one per round."""

    seconds: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    events: list[int] = field(default_factory=list[int])


def compiled(definition: Json) -> Plan:
    """The plan of a definition of ours."""
    result = compile_definition(definition, CATALOGUE, version=1)
    if not isinstance(result, Compiled):
        raise TypeError(result)
    return result.plan


async def run_ours(stack: Stack, case: Case, plan: Plan) -> list[str]:
    """Start and await the runs of a case by TooLoo."""

    async def one() -> str:
        run_id = str(uuid4())
        async with stack.database.begin() as connection:
            await open_run(connection, NewRun(run_id, plan.workflow, 1, CALLER, "api", {}, {}))
        await start_run(stack.client, plan, run_id, RunRequest(input={}, caller=CALLER))
        await stack.client.get_workflow_handle(run_id).result()
        return run_id

    return list(await asyncio.gather(*[one() for _ in range(case.at_once)]))


async def run_by_hand(stack: Stack, case: Case, _: Plan) -> list[str]:
    """Start and await the runs of a case by hand-written code."""

    async def one() -> str:
        run_id = str(uuid4())
        handle = await stack.client.start_workflow(
            case.by_hand, case.argument, id=run_id, task_queue=hand_written.TASK_QUEUE
        )
        await handle.result()
        return run_id

    return list(await asyncio.gather(*[one() for _ in range(case.at_once)]))


async def measure(
    stack: Stack,
    case: Case,
    plan: Plan,
    way: Callable[[Stack, Case, Plan], Awaitable[list[str]]],
    worker: Process,
    into: Figures,
) -> None:
    """One round of one way."""
    cpu, start = worker.cpu_seconds(), time.perf_counter()
    run_ids = await way(stack, case, plan)
    into.seconds.append(time.perf_counter() - start)
    into.cpu.append(worker.cpu_seconds() - cpu)
    history = await stack.client.get_workflow_handle(run_ids[0]).fetch_history()
    into.events.append(len(history.events))


async def compare(stack: Stack, rounds: int, console: Console) -> None:
    """The table of ratios."""
    ours, hand = stack.start("workers.orchestration"), stack.start("benchmarks.hand_written")
    table = Table(title=f"TooLoo against hand-written Temporal, medians of {rounds} rounds")
    for column in ("", "ours ms", "by hand ms", "latency ×", "worker CPU ×", "events ours", "by hand"):
        table.add_column(column, justify="left" if not column else "right")
    for case in CASES:
        plan = compiled(case.definition)
        figures = {"ours": Figures(), "hand": Figures()}
        await run_ours(stack, case, plan)
        await run_by_hand(stack, case, plan)
        for turn in range(rounds):
            pair = [("ours", run_ours, ours), ("hand", run_by_hand, hand)]
            for name, way, worker in pair if turn % 2 else reversed(pair):
                await measure(stack, case, plan, way, worker, figures[name])
        mine, theirs = figures["ours"], figures["hand"]
        table.add_row(
            case.name,
            f"{median(mine.seconds) * 1000:.0f}",
            f"{median(theirs.seconds) * 1000:.0f}",
            f"{median(mine.seconds) / median(theirs.seconds):.2f}",
            f"{sum(mine.cpu) / sum(theirs.cpu):.2f}",
            f"{median(mine.events):.0f}",
            f"{median(theirs.events):.0f}",
        )
    console.print(table)


async def measure_execute(stack: Stack, key: str, rounds: int, console: Console) -> None:
    """What `POST …/execute` adds over starting the same workflow directly."""
    definition = chain(3)
    plan = compiled(definition)
    async with stack.database.begin() as connection:
        await save_definition(connection, CALLER, plan.workflow, definition, plan.hash)
    base = stack.start_api()
    direct: list[float] = []
    over_http: list[float] = []
    async with httpx2.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {key}"}) as http:
        for _ in range(rounds * 10):
            await asyncio.sleep(_SETTLE_SECONDS)
            start = time.perf_counter()
            await start_run(stack.client, plan, str(uuid4()), RunRequest(input={}, caller=CALLER))
            direct.append(time.perf_counter() - start)
            await asyncio.sleep(_SETTLE_SECONDS)
            start = time.perf_counter()
            answer = await http.post(f"/api/v1/workflow/{plan.workflow}/execute", json={"input": {}})
            over_http.append(time.perf_counter() - start)
            answer.raise_for_status()
    console.print(
        f"POST …/execute {median(over_http) * 1000:.1f} ms, start_workflow {median(direct) * 1000:.1f} ms: "
        f"adds {(median(over_http) - median(direct)) * 1000:.1f} ms"
    )


def measure_compile(console: Console) -> None:
    """How long the compiler takes for 1,000 steps, each of which reads another; and with 200 conditions."""
    for name, definition in (("chain", chain(1_000)), ("200 conditions", conditional(1_000))):
        times: list[float] = []
        for _ in range(9):
            start = time.perf_counter()
            compiled(definition)
            times.append(time.perf_counter() - start)
        console.print(f"compile 1,000 steps, {name}: {median(times) * 1000:.0f} ms")


async def _main(rounds: int) -> None:
    console = Console(width=120)
    gc.freeze()  # as the API does
    measure_compile(console)
    async with benchmark_stack() as stack:
        async with stack.database.begin() as connection:
            key = await ensure_admin(connection)
        await measure_execute(stack, str(key), rounds, console)  # first: no worker takes its runs yet
        await compare(stack, rounds, console)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tooloo bench overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    asyncio.run(_main(parser.parse_args(arguments).rounds))


if __name__ == "__main__":
    main()
