"""What lists of tasks, previews and starts by a schedule cost; starts beside bare Temporal schedules in the same run.

`./tooloo bench schedules [--tasks N] [--due N] [--rounds N] [--calls N]`. Times are those of a client over HTTP, on one
connection. Starts are measured in rounds that alternate between the two, each in a second of its own.
"""

import argparse
import asyncio
import gc
import http.client
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleRange,
    ScheduleSpec,
    WorkflowExecutionDescription,
)
from temporalio.service import RPCError

from benchmarks import hand_written
from benchmarks.overhead import chain
from benchmarks.stack import Stack, benchmark_stack
from cli.platform import apply_platform_definitions
from services.identity.keys import ensure_admin

Json = dict[str, Any]
_LIST_AIM = 200
_PREVIEW_AIM = 5
"""Milliseconds."""
_ZONE = "America/New_York"
_ZONES = ("UTC", _ZONE, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
_NAMES = ("nightly review", "weekly report", "index of the repository", "clean up", "mail to the team", "statistics")
_PART_OF_NAME = "REPORT"
_PAUSED_EVERY = 10
_PAGE = 50
_LARGEST_PAGE = 200
_HOUR = 3_600
_AWAY = timedelta(hours=12)
"""From now to the time of day at which tasks fire: none does while this runs."""
_LEAST_LEAD = 10
"""Seconds between the last that is made and the second in which all are due."""
_QUIET = 10
"""Seconds after that second in which nobody asks for anything."""
_PATIENCE = 120
"""Seconds until all have to be done."""
_MADE = "to make one: over HTTP, by the client"
_STARTED = "history's started_at, bare workflow's start_time"
_IN_TEMPORAL = "start_time of both workflows"
_ENDED = "end of both workflows, after one step"
PREVIEWED: dict[str, Json] = {
    "daily": {"type": "daily", "at": "02:30"},
    "weekly": {"type": "weekly", "on": ["MON", "FRI"], "at": "02:30"},
    "monthly, day 31": {"type": "monthly", "day": 31, "at": "02:30"},
    "0 9 * * MON#1": {"type": "cron", "cron": "0 9 * * MON#1"},
    "*/10 * * * *": {"type": "cron", "cron": "*/10 * * * *"},
    "0 0 29 2 *": {"type": "cron", "cron": "0 0 29 2 *"},
    "interval": {"type": "interval", "every_seconds": _HOUR},
    "once": {"type": "once", "at": "2090-03-14T02:30:00"},
}


class Api:
    """Asks the API over one connection."""

    def __init__(self, base: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(base.removeprefix("http://"))
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[Json, float]:
        """The answer, and the seconds until all of it was here. Raises ValueError for a refusal."""
        sent = None if body is None else json.dumps(body).encode()
        start = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", sent, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        seconds = time.perf_counter() - start
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ValueError(text)
        return json.loads(text), seconds

    def page(self, **query: Any) -> tuple[Json, float]:
        """A page of the tasks."""
        return self.ask("GET", f"/task/scheduled?{urlencode(query)}")

    def pages(self, limit: int) -> Iterator[tuple[Json, float]]:
        """All pages, one after another."""
        page, seconds = self.page(limit=limit)
        yield page, seconds
        while page["next_cursor"]:
            page, seconds = self.page(limit=limit, cursor=page["next_cursor"])
            yield page, seconds

    def close(self) -> None:
        """The server closes a connection that rests; the next request opens one."""
        self._connection.close()


@dataclass(frozen=True)
class Bench:
    """The servers, and what runs on them."""

    stack: Stack
    api: Api
    workflow: str
    """Of one step."""
    due: int
    """How many are due in one second."""

    def new_task(self, name: str, schedule: Json, timezone: str = "UTC") -> Json:
        """The body of a new task."""
        return {"name": name, "schedule": schedule, "timezone": timezone, "target": {"workflow": self.workflow}}


def mixed_schedules() -> Iterator[tuple[Json, str]]:
    """Schedules of all forms with their zones; none fires within the next half hour."""
    now = datetime.now(UTC)
    place = 0
    while True:
        zone = _ZONES[place % len(_ZONES)]
        far = (now + _AWAY).astimezone(ZoneInfo(zone))
        at, cron = f"{far:%H:%M}", f"{far.minute} {far.hour}"
        yield from (
            (form, zone)
            for form in (
                {"type": "daily", "at": at},
                {"type": "weekly", "on": ["MON", "WED", "FRI"], "at": at},
                {"type": "monthly", "day": 31, "at": at},
                {"type": "monthly", "day": 30, "at": at, "short_month": "skip"},
                {"type": "cron", "cron": f"{cron} * * MON#1"},
                {"type": "cron", "cron": f"*/10 {far.hour} * * *"},
                {"type": "cron", "cron": f"{cron} 29 2 *"},
                {"type": "interval", "every_seconds": _HOUR, "offset_seconds": int(now.timestamp() - 60) % _HOUR},
                {"type": "once", "at": (far + timedelta(days=place)).isoformat()},
            )
        )
        place += 1


def new_table(title: str, *columns: str) -> Table:
    """A table of numbers."""
    table = Table(title=title, min_width=len(title))
    for column in ("", *columns):
        table.add_column(column, justify="right" if column else "left")
    return table


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return quantiles(values, n=100, method="inclusive")[98]


def milliseconds(seconds: Sequence[float]) -> list[str]:
    """Median, 99th percentile and the worst."""
    return [f"{value * 1000:,.1f}" for value in (median(seconds), p99(seconds), max(seconds))]


def make_tasks(bench: Bench, count: int, console: Console) -> float:
    """Make tasks of all forms, and pause some; the median of the seconds that one takes."""
    made: list[float] = []
    paused: list[float] = []
    for number, (schedule, zone) in enumerate(islice(mixed_schedules(), count)):
        name = f"{_NAMES[number % len(_NAMES)]} {number}"
        answer, seconds = bench.api.ask("POST", "/task/schedule", bench.new_task(name, schedule, zone))
        made.append(seconds)
        if number % _PAUSED_EVERY == 0:
            paused.append(bench.api.ask("POST", f"/task/{answer['id']}/pause")[1])
    table = new_table(f"{count:,} tasks of all forms, one after another, ms over HTTP", "p50", "p99", "worst")
    table.add_row("make one", *milliseconds(made))
    table.add_row("pause one", *milliseconds(paused))
    console.print(table)
    return median(made)


def measure_lists(bench: Bench, count: int, calls: int, console: Console) -> None:
    """Pages of all tasks."""
    api = bench.api
    deep = list(api.pages(_PAGE))[-2][0]["next_cursor"]
    asked: dict[str, Json] = {
        f"first page of {_PAGE}": {"limit": _PAGE},
        f"first page of {_LARGEST_PAGE}, the largest": {"limit": _LARGEST_PAGE},
        f"part of the name, {_PAGE}": {"limit": _PAGE, "name": _PART_OF_NAME},
        f"paused, {_PAGE}": {"limit": _PAGE, "paused": "true"},
        f"last page of {_PAGE}, by its cursor": {"limit": _PAGE, "cursor": deep},
    }
    title = f"a list of {count:,} tasks, {calls} calls each, ms over HTTP"
    table = new_table(title, "items", "p50", "p99", "worst", "aim")
    for name, query in asked.items():
        pages = [api.page(**query) for _ in range(calls)]
        items, taken = len(pages[0][0]["items"]), [seconds for _, seconds in pages]
        table.add_row(name, str(items), *milliseconds(taken), f"≤ {_LIST_AIM}")
    for limit in (_PAGE, _LARGEST_PAGE):
        walks = [[seconds for _, seconds in api.pages(limit)] for _ in range(max(2, calls // 10))]
        each = [seconds for walk in walks for seconds in walk]
        together = f"all pages of {limit}: the {len(walks[0])} together"
        table.add_row(f"all pages of {limit}: each", str(min(limit, count)), *milliseconds(each), f"≤ {_LIST_AIM}")
        table.add_row(together, str(count), *milliseconds([sum(walk) for walk in walks]), "")
    console.print(table)


def measure_previews(bench: Bench, calls: int, console: Console) -> None:
    """The next ten times of each form."""
    table = new_table(
        f"ten times of a preview, {_ZONE}, {calls} calls each, ms over HTTP", "p50", "p99", "worst", "aim"
    )
    for name, schedule in PREVIEWED.items():
        body: Json = {"schedule": schedule, "timezone": _ZONE, "count": 10}
        taken = [bench.api.ask("POST", "/task/preview", body)[1] for _ in range(calls + 1)][1:]  # the first warms up
        table.add_row(name, *milliseconds(taken), f"≤ {_PREVIEW_AIM}")
    console.print(table)


Figures = dict[str, list[float]]
"""Seconds after the planned time."""


async def run_ours(bench: Bench, at: datetime, into: Figures) -> None:
    """Tasks that are due in one second."""
    ids = await asyncio.to_thread(_make_due, bench, at, into)
    await _wait_and_see(bench.stack.client, [f"task-{task_id}" for task_id in ids], at, into)
    into[_STARTED] += await asyncio.to_thread(_delays_told, bench.api, ids, at)


def _make_due(bench: Bench, at: datetime, into: Figures) -> list[str]:
    task = bench.new_task("due", {"type": "once", "at": at.isoformat()})
    bench.api.close()
    made = [bench.api.ask("POST", "/task/schedule", task) for _ in range(bench.due)]
    into[_MADE] += [seconds for _, seconds in made]
    return [answer["id"] for answer, _ in made]


def _delays_told(api: Api, ids: Sequence[str], at: datetime) -> list[float]:
    """What the history of each task says."""
    found: list[float] = []
    api.close()
    for task_id in ids:
        (item,) = api.ask("GET", f"/task/{task_id}/history")[0]["items"]
        if item["outcome"] != "completed" or datetime.fromisoformat(item["planned_at"]) != at:
            raise ValueError(item)
        found.append((datetime.fromisoformat(item["started_at"]) - at).total_seconds())
    return found


async def run_bare(bench: Bench, at: datetime, into: Figures) -> None:
    """Schedules as a Temporal user would make them, of a workflow of one activity."""
    ids = [f"bare-{at:%H%M%S}-{number}" for number in range(bench.due)]
    for name in ids:
        action = ScheduleActionStartWorkflow(hand_written.Chain.run, 1, id=name, task_queue=hand_written.TASK_QUEUE)
        start = time.perf_counter()
        await bench.stack.client.create_schedule(name, Schedule(action=action, spec=_instant(at)))
        into[_MADE].append(time.perf_counter() - start)
    await _wait_and_see(bench.stack.client, ids, at, into)
    into[_STARTED] += into[_IN_TEMPORAL][-bench.due :]


def _instant(at: datetime) -> ScheduleSpec:
    parts = (at.second, at.minute, at.hour, at.day, at.month, at.year)
    second, minute, hour, day, month, year = ([ScheduleRange(part)] for part in parts)
    calendar = ScheduleCalendarSpec(second=second, minute=minute, hour=hour, day_of_month=day, month=month, year=year)
    return ScheduleSpec(calendars=[calendar])


async def _wait_and_see(client: Client, ids: Sequence[str], at: datetime, into: Figures) -> None:
    """When Temporal started and ended the workflows that are due at an instant."""
    await asyncio.sleep((at - datetime.now(UTC)).total_seconds() + _QUIET)
    async with asyncio.timeout(_PATIENCE):
        found = [await _ended(client, f"{name}-{at:%Y-%m-%dT%H:%M:%SZ}") for name in ids]
    into[_IN_TEMPORAL] += [(one.start_time - at).total_seconds() for one in found]
    into[_ENDED] += [(one.close_time - at).total_seconds() for one in found if one.close_time]


async def _ended(client: Client, workflow_id: str) -> WorkflowExecutionDescription:
    """A workflow that has ended, or ends now."""
    while True:
        with suppress(RPCError):  # it has not started yet
            described = await client.get_workflow_handle(workflow_id).describe()
            if described.close_time:
                return described
        await asyncio.sleep(1)


async def compare_starts(bench: Bench, rounds: int, lead: timedelta, console: Console) -> None:
    """Many that are due at once, ours and bare ones. `lead`: time to make them all."""
    ours, bare = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    ways: list[tuple[Callable[[Bench, datetime, Figures], Awaitable[None]], Figures]]
    ways = [(run_ours, ours), (run_bare, bare)]
    for turn in range(rounds):
        for run, into in ways if turn % 2 else reversed(ways):
            await run(bench, (datetime.now(UTC) + lead).replace(microsecond=0), into)
    title = f"{bench.due} due in one second, {rounds} rounds, ms after that second"
    table = new_table(title, "median", "p99", "worst", "median of each round")
    for key in (_STARTED, _IN_TEMPORAL, _ENDED, _MADE):
        ratios = [f"{measure(ours[key]) / measure(bare[key]):.2f} ×" for measure in (median, p99, max)]
        table.add_row(key, *milliseconds(ours[key]), _each_round(ours[key], bench.due))
        table.add_row("  of bare Temporal schedules", *milliseconds(bare[key]), _each_round(bare[key], bench.due))
        table.add_row("  ratio", *ratios, end_section=True)
    console.print(table)


def _each_round(seconds: Sequence[float], due: int) -> str:
    """The medians: a server that stalls in one round is not to hide in all of them together."""
    return "  ".join(f"{median(seconds[start : start + due]) * 1000:,.0f}" for start in range(0, len(seconds), due))


async def _warm_up(bench: Bench) -> None:
    """Save the workflow that tasks run, and run it and the bare one once: both workers are there then."""
    bench.api.ask("POST", "/workflow", chain(1))
    run, _ = bench.api.ask("POST", f"/workflow/{bench.workflow}/execute", {"input": {}})
    await bench.stack.client.get_workflow_handle(run["run_id"]).result()
    await bench.stack.client.execute_workflow(hand_written.Chain.run, 1, id="bare", task_queue=hand_written.TASK_QUEUE)


async def _main(tasks: int, due: int, rounds: int, calls: int) -> None:
    console = Console(width=120)
    gc.freeze()  # as the API does
    async with benchmark_stack() as stack:
        async with stack.database.begin() as connection:
            key = await ensure_admin(connection)
        await apply_platform_definitions(stack.database, stack.client)
        stack.start("workers.orchestration")
        stack.start("benchmarks.hand_written")
        bench = Bench(stack, Api(stack.start_api(), str(key)), chain(1)["id"], due)
        await _warm_up(bench)
        seconds = await asyncio.to_thread(make_tasks, bench, tasks, console)
        await asyncio.to_thread(measure_lists, bench, tasks, calls, console)
        await asyncio.to_thread(measure_previews, bench, calls, console)
        await compare_starts(bench, rounds, timedelta(seconds=_LEAST_LEAD + 2 * due * seconds), console)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tooloo bench schedules", description=__doc__)
    parser.add_argument("--tasks", type=int, default=1_000, help="that are listed; more than 50 (1,000)")
    parser.add_argument("--due", type=int, default=100, help="due in one second (100)")
    parser.add_argument("--rounds", type=int, default=3, help="of those, each way (3)")
    parser.add_argument("--calls", type=int, default=200, help="of each list and each preview (200)")
    chosen = parser.parse_args(arguments)
    asyncio.run(_main(chosen.tasks, chosen.due, chosen.rounds, chosen.calls))


if __name__ == "__main__":
    main()
