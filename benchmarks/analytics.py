"""What analytics costs, and how it grows: taking events against a bare COPY, and reading at two sizes.

`./tooloo bench analytics [--events N] [--learners N] [--small N]`. Both sizes have as many events a learner, over the
last 90 days. They are written learner by learner with the rules of `services/analytics`, which is faster than taking
them; what is measured comes in on top through `Ingest`, in batches of 1,000. Rounds alternate between what is
compared, so that a noisy machine is noisy for both.
"""

import argparse
import asyncio
import gc
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any
from uuid import UUID

import uvloop
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks.http_reads import measure_http
from benchmarks.stack import benchmark_database
from models.activity import MOST_EVENTS
from models.identity import Caller, Role
from models.persistence.database import autocommit
from services.analytics.activities import Activity, instant, moment
from services.analytics.awarding import give_awards, keep_achievements
from services.analytics.badge_rules import Rules
from services.analytics.changes import LearnerChange
from services.analytics.checkpoints import keep_checkpoints
from services.analytics.custom_badges import load_rules
from services.analytics.everybody import read_trend
from services.analytics.ingest import Ingest
from services.analytics.learner_rows import update_learners
from services.analytics.learners import find_learner
from services.analytics.metrics import read_metrics, read_streak
from services.analytics.partitions import Partitions
from services.analytics.reading import data_of, read_events
from services.analytics.scores import add_counts, refresh_scores
from services.analytics.standings import read_percentile, top_performers
from services.analytics.tallies import add_learner_days, add_standings, add_utc_days
from services.analytics.timeframes import period
from services.analytics.timeline import SESSION_GAP_SECONDS, Tallies, Tally, fold

Json = dict[str, Any]
GRADER = Caller(user_id="grader", role=Role.SERVICE)
DAYS = 90
_SEED = 20_260_101
_CHUNK = 50_000
"""Events that are written in one transaction."""
_BULK_LEARNERS = 50
"""Of a batch, when histories are brought in from elsewhere."""
_CACHED = 200
"""Learners whose metrics are asked for over HTTP."""
_ROUNDS = 10
_CALLS = 50
"""Of each query in each round."""
_OFFSETS = (0, 3_600, -18_000, 19_800, 32_400)
_LANGUAGES = ("c", "go", "java", "python", "rust")
_COLUMNS = ("owner_id", "at", "source", "id", "kind", "utc_offset", "self_reported", "data")
_DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Size:
    """A database with so much in it."""

    database: AsyncEngine
    owners: Sequence[str]
    events: int
    now: datetime


@dataclass
class Times:
    """Seconds of one query at each size."""

    small: list[float] = field(default_factory=list[float])
    large: list[float] = field(default_factory=list[float])


Query = Callable[[AsyncConnection, str, datetime], Awaitable[Any]]


async def _metrics(connection: AsyncConnection, owner: str, now: datetime) -> Any:
    learner = await find_learner(connection, owner)
    month = period("month", None, None, learner.today(now))
    percentile = await read_percentile(connection, learner, now)
    return await read_metrics(connection, learner, month, percentile, now)


async def _streak(connection: AsyncConnection, owner: str, now: datetime) -> Any:
    return await read_streak(connection, await find_learner(connection, owner), now)


async def _percentile(connection: AsyncConnection, owner: str, now: datetime) -> Any:
    return await read_percentile(connection, await find_learner(connection, owner), now)


async def _leaderboard(connection: AsyncConnection, _: str, now: datetime) -> Any:
    return await top_performers(connection, "engagement", "all", 10, now)


async def _near(connection: AsyncConnection, owner: str, now: datetime) -> Any:
    return await top_performers(connection, "engagement", "all", 10, now, near=owner)


async def _week(connection: AsyncConnection, _: str, now: datetime) -> Any:
    return await top_performers(connection, "completed", "week", 10, now)


async def _trend(connection: AsyncConnection, _: str, now: datetime) -> Any:
    return await read_trend(connection, "sessions", DAYS, now.astimezone(UTC).date())


QUERIES: dict[str, Query] = {
    "metrics of a learner, month": _metrics,
    "streak": _streak,
    "percentile": _percentile,
    "leaderboard, engagement": _leaderboard,
    "leaderboard, near me": _near,
    "leaderboard, completed, week": _week,
    f"global trend, {DAYS} days": _trend,
}


def histories(learners: int, events: int, now: datetime) -> Iterator[tuple[str, list[Activity]]]:
    """Learners with their events: some with few, some with many, and about `events` in all."""
    chance = random.Random(_SEED)
    end = instant(now - timedelta(hours=3))
    for number in range(learners):
        owner, offset = f"learner-{number:07}", chance.choice(_OFFSETS)
        count = max(1, round(chance.expovariate(learners / events)))
        times = sorted(end - int(chance.random() * DAYS * 86_400_000_000) for _ in range(count))
        yield owner, [_activity(chance, owner, f"{number}-{place}", at, offset) for place, at in enumerate(times)]


def _activity(chance: random.Random, owner: str, name: str, at: int, offset: int) -> Activity:
    kind, data = _happening(chance, at)
    return Activity(owner, "bench", name, kind, at, offset, data_of(kind, data))


def _happening(chance: random.Random, at: int) -> tuple[str, Json]:
    """A kind and its data as they are posted."""
    share = chance.random()
    if share < 0.3:  # noqa: PLR2004 - three of ten
        return "session.heartbeat", {"activity": "coding", "duration_seconds": chance.randrange(1_200)}
    if share < 0.4:  # noqa: PLR2004 - and one more
        return "provider.used", {"provider": chance.choice(("local", "north", "south"))}
    return "challenge.completed", {
        "challenge_id": f"c{chance.randrange(500)}",
        "language": chance.choice(_LANGUAGES),
        "difficulty": chance.choice(_DIFFICULTIES),
        "topics": [f"t{chance.randrange(30)}"],
        "score": chance.randrange(101),
        "started_at": moment(at - chance.randrange(900) * 1_000_000).isoformat(),
    }


@asynccontextmanager
async def filled(learners: int, events: int, now: datetime, console: Console) -> AsyncGenerator[Size]:
    """A throw-away database with learners and their events, as if they had been taken."""
    async with benchmark_database() as database:
        start = time.perf_counter()
        partitions = Partitions(database)
        await partitions.ensure(now - timedelta(days=days) for days in range(DAYS + 1))
        await partitions.ensure_ahead(now)
        owners: list[str] = []
        written, chunk, held = 0, list[tuple[str, list[Activity]]](), 0
        for owner, history in histories(learners, events, now):
            owners.append(owner)
            chunk.append((owner, history))
            held += len(history)
            if held >= _CHUNK or len(owners) == learners:
                await _write(database, chunk, now)
                written, chunk, held = written + held, [], 0
        async with autocommit(database).connect() as connection:
            await connection.execute(text("VACUUM ANALYZE"))
        seconds = time.perf_counter() - start
        console.print(f"wrote {written:,} events of {learners:,} learners in {seconds:.0f} s")
        start = time.perf_counter()
        changed = await refresh_scores(database, now)
        console.print(f"scores of {changed:,} learners brought to their day in {time.perf_counter() - start:.2f} s")
        yield Size(database, owners, written, now)


async def _write(database: AsyncEngine, chunk: Sequence[tuple[str, list[Activity]]], now: datetime) -> None:
    chance = random.Random(chunk[0][0])
    async with database.begin() as connection:
        rules = await load_rules(connection)
        changes = [_change(owner, events, rules) for owner, events in chunk]
        everything = [event for change in changes for event in change.events]
        users = [(owner, "learner", True) for owner, _ in chunk]
        keys = [(UUID(bytes=chance.randbytes(16)),) for _ in everything]
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.copy_records_to_table("users", records=users, columns=("id", "role", "listed"))
        await raw.copy_records_to_table("learners", records=[user[:1] for user in users], columns=("owner_id",))
        await raw.copy_records_to_table("activity_events", records=map(_stored, everything), columns=_COLUMNS)
        await raw.copy_records_to_table("activity_keys", records=keys, columns=("key",))
        scores = await update_learners(connection, changes, now)
        await give_awards(connection, changes, rules)
        await keep_achievements(connection, changes)
        await keep_checkpoints(connection, changes)
        await add_learner_days(connection, {change.owner_id: change.days for change in changes})
        await add_standings(connection, everything, now.astimezone(UTC).date())
        total: Tallies = {}
        for change in changes:
            for day, tally in change.utc_days.items():
                total.setdefault(day, Tally()).add(tally)
        await add_utc_days(connection, total)
        await add_counts(connection, scores)


def _change(owner: str, events: list[Activity], rules: Rules) -> LearnerChange:
    new = fold(events, rules, SESSION_GAP_SECONDS)
    change = LearnerChange(owner, new.known, None, None, rules_version=0, events=events)
    change.take_over(new)
    return change


def _stored(event: Activity) -> tuple[Any, ...]:
    data = event.data
    if "started_at" in data:
        data = {**data, "started_at": moment(data["started_at"]).isoformat()}
    place = (event.owner_id, moment(event.at), event.source, event.id, event.kind, event.offset, False)
    return (*place, _json(data))


def _json(data: Json) -> str:
    return to_json(data).decode()


def posted_batches(size: Size, name: str, count: int, hours_ago: int, learners: int = MOST_EVENTS) -> list[list[Json]]:
    """Events of an hour in their order, each batch of so many learners by chance, as a grader posts them."""
    chance = random.Random(name)
    begin, step = instant(size.now - timedelta(hours=hours_ago)), 3_600_000_000 // count
    events: list[Json] = []
    owners: Sequence[str] = ()
    for number in range(count):
        if number % MOST_EVENTS == 0:
            owners = chance.choices(size.owners, k=learners)
        at = begin + step * number
        kind, data = _happening(chance, at)
        event = {"id": f"{name}-{number}", "source": "bench", "kind": kind, "at": moment(at).isoformat(), "data": data}
        events.append({**event, "user_id": chance.choice(owners)})
    return [events[first : first + MOST_EVENTS] for first in range(0, count, MOST_EVENTS)]


async def measure_ingest(size: Size, count: int, console: Console) -> None:
    """Taking events, and copying the rows of the same events into an empty table like theirs, batch by batch."""
    table = Table(title=f"{count:,} events in batches of {MOST_EVENTS:,}")
    for column in ("", "events/s", "bare COPY/s", "ratio"):
        table.add_column(column, justify="right" if column else "left")
    await _make_bare_table(size.database)
    ingest = Ingest(size.database)
    await ingest.take(enumerate(posted_batches(size, "warm", MOST_EVENTS, 4)[0]), GRADER, size.now)
    shapes = (
        (f"each of {MOST_EVENTS:,} learners by chance", 3, MOST_EVENTS),
        (f"each of {_BULK_LEARNERS} learners by chance", 2, _BULK_LEARNERS),
        ("as the first, 30 hours late", 30, MOST_EVENTS),
    )
    for title, hours_ago, learners in shapes:
        ours, bare = await _take_and_copy(size, ingest, posted_batches(size, title, count, hours_ago, learners))
        table.add_row(title, f"{count / ours:,.0f}", f"{count / bare:,.0f}", f"{bare / ours:.3f}")
    batches = iter(posted_batches(size, "two tasks", count, 1))

    async def take() -> None:
        for batch in batches:
            await ingest.take(enumerate(batch), GRADER, size.now)

    start = time.perf_counter()
    await asyncio.gather(take(), take())
    table.add_row("as the first, from two tasks", f"{count / (time.perf_counter() - start):,.0f}", "", "")
    console.print(table)


async def _take_and_copy(size: Size, ingest: Ingest, batches: Sequence[list[Json]]) -> tuple[float, float]:
    """Seconds of both."""
    ours = bare = 0.0
    for batch in batches:
        rows = _rows(batch, size.now)
        start = time.perf_counter()
        result = await ingest.take(enumerate(batch), GRADER, size.now)
        ours += time.perf_counter() - start
        if result.accepted != len(batch):
            raise ValueError(f"only {result.accepted} of {len(batch)} were taken: {result.refused[:1]}")
        start = time.perf_counter()
        async with size.database.begin() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.copy_records_to_table("bare_events", records=rows, columns=_COLUMNS)
        bare += time.perf_counter() - start
    return ours, bare


def _rows(batch: Sequence[Json], now: datetime) -> list[tuple[Any, ...]]:
    reported, _ = read_events(enumerate(batch), GRADER, now)
    return [
        (event.owner_id, event.at, event.source, event.id, event.kind, 0, event.self_reported, event.json)
        for event in reported
    ]


async def _make_bare_table(database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(
            text("CREATE TABLE bare_events (LIKE activity_events INCLUDING ALL) PARTITION BY RANGE (at)")
        )
        partitions = await connection.execute(
            text("""
                SELECT relname AS name, pg_get_expr(relpartbound, pg_class.oid) AS bound
                FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
                WHERE inhparent = CAST('activity_events' AS regclass)
            """)
        )
        for row in partitions.all():
            await connection.execute(text(f"CREATE TABLE bare_{row.name} PARTITION OF bare_events {row.bound}"))


async def measure_queries(small: Size, large: Size, console: Console) -> None:
    """Each query at both sizes, of learners by chance."""
    times = {name: Times() for name in QUERIES}
    chance = random.Random(_SEED)
    for round_ in range(_ROUNDS + 1):
        for name, query in QUERIES.items():
            pair = [(small, times[name].small), (large, times[name].large)]
            for size, into in pair if round_ % 2 else reversed(pair):
                taken = [await _timed(size, query, chance.choice(size.owners)) for _ in range(_CALLS)]
                if round_:  # the first one only warms up
                    into.extend(taken)
    table = Table(title=f"{small.events:,} events against {large.events:,}, {_ROUNDS * _CALLS} calls each, ms")
    for column in ("", "p50 small", "p50", "×", "p99 small", "p99", "×"):
        table.add_column(column, justify="right" if column else "left")
    for name, both in times.items():
        row: list[str] = []
        for place in (50, 99):
            few, many = _percentile_of(both.small, place), _percentile_of(both.large, place)
            row += [f"{few * 1000:.2f}", f"{many * 1000:.2f}", f"{many / few:.2f}"]
        table.add_row(name, *row)
    console.print(table)


async def _timed(size: Size, query: Query, owner: str) -> float:
    start = time.perf_counter()
    async with autocommit(size.database).connect() as connection:
        await query(connection, owner, size.now)
    return time.perf_counter() - start


def _percentile_of(values: Sequence[float], place: int) -> float:
    return quantiles(values, n=100, method="inclusive")[place - 1]


async def _main(learners: int, events: int, small: int, taken: int) -> None:
    console, now = Console(width=120), datetime.now(UTC)
    few = max(1, learners * small // events)
    async with filled(few, small, now, console) as low, filled(learners, events, now, console) as high:
        await measure_queries(low, high, console)
        await measure_http(high.database, high.owners[:_CACHED], console)
        gc.collect()
        gc.freeze()  # as the API does after its start
        await measure_ingest(high, taken, console)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tooloo bench analytics", description=__doc__)
    parser.add_argument(
        "--events",
        type=int,
        default=1_000_000,
        help="the large size; 1,000,000 unless said, since writing 10,000,000 first takes about half an hour",
    )
    parser.add_argument("--learners", type=int, default=100_000, help="of the large size (100,000)")
    parser.add_argument("--small", type=int, default=100_000, help="events of the small size (100,000)")
    parser.add_argument("--taken", type=int, default=100_000, help="events taken by one, then by two tasks (100,000)")
    chosen = parser.parse_args(arguments)
    uvloop.run(_main(chosen.learners, chosen.events, chosen.small, chosen.taken))


if __name__ == "__main__":
    main()
