"""The analytics computed a second time, in DuckDB's SQL from what was posted, and compared with ours.

`./tooloo bench analytics_oracle PATH [--shuffle SEED]` takes the log of a Git repository in (`git_activity.py`), in
batches, and prints every difference between what we keep or answer and what follows from the contract. Nothing of
the rules of `services/analytics` is used for the second computation.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks.git_activity import activity_of
from benchmarks.stack import benchmark_database
from models.identity import Caller, Role
from services.analytics.ingest import Ingest
from services.analytics.learners import find_learner
from services.analytics.metrics import read_streak
from services.analytics.standings import read_percentile

Json = dict[str, Any]
Rows = dict[tuple[Any, ...], tuple[Any, ...]]
GRADER = Caller(user_id="grader", role=Role.SERVICE)
_BATCH = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_READ_POSTED = """
    CREATE TABLE posted AS SELECT * FROM read_json(?, format='newline_delimited', columns=
    {place: 'BIGINT', owner: 'VARCHAR', source: 'VARCHAR', id: 'VARCHAR', kind: 'VARCHAR', happened: 'BIGINT',
    own_offset: 'BIGINT', zone: 'VARCHAR', duration: 'DOUBLE', challenge: 'VARCHAR', language: 'VARCHAR', score:
    'DOUBLE', started: 'BIGINT', provider: 'VARCHAR'})
"""
_COMPUTE = """
CREATE MACRO whole(a, b) AS (a - ((a % b) + b) % b) // b;
CREATE MACRO offset_in(zone, happened) AS (epoch_us(timezone(zone, make_timestamptz(happened))) - happened) // 1000000;

CREATE TABLE events AS
WITH taken AS (
    SELECT * EXCLUDE (duration, language, provider),
           CAST(round_even(duration * 1000000, 0) AS BIGINT) AS duration,
           lower(trim(language)) AS language, lower(trim(provider)) AS provider,
           CASE WHEN zone IS NULL THEN own_offset ELSE offset_in(zone, happened) END AS local_offset
    FROM posted
    WHERE happened BETWEEN getvariable('earliest') AND getvariable('now') + 300000000
      AND (started IS NULL OR started <= happened)
    QUALIFY row_number() OVER (PARTITION BY source, id ORDER BY place) = 1
)
SELECT *, row_number() OVER (PARTITION BY owner ORDER BY happened, source, id) AS n,
       whole(whole(happened, 1000000) + local_offset, 86400) AS day, whole(happened, 86400000000) AS utc_day,
       (((whole(happened, 1000000) + local_offset) % 86400) + 86400) % 86400 AS local_second,
       CAST(round_even(score * 100, 0) AS BIGINT) AS points, kind = 'challenge.completed' AS completed
FROM taken;

CREATE TABLE sessions AS
WITH spaced AS (
    SELECT owner, n, happened, day, utc_day, happened - lag(happened) OVER (PARTITION BY owner ORDER BY n) AS since,
           CASE WHEN kind IN ('session.heartbeat', 'topic.studied') THEN coalesce(duration, 0) ELSE 0 END AS duration
    FROM events
), begun AS (
    SELECT *, greatest(happened - duration, happened - coalesce(since, duration)) AS begin_at FROM spaced
), numbered AS (
    SELECT *, sum(CASE WHEN since IS NULL OR begin_at - (happened - since) > getvariable('gap') THEN 1 ELSE 0 END)
              OVER (PARTITION BY owner ORDER BY n) AS session
    FROM begun
)
SELECT owner, session, arg_min(day, n) AS day, arg_min(utc_day, n) AS utc_day,
       max(happened) - arg_min(begin_at, n) AS microseconds
FROM numbered GROUP BY owner, session;

CREATE TABLE learner_days AS
SELECT owner, day, events, coalesce(sessions, 0) AS sessions, coalesce(microseconds, 0) AS microseconds, challenges,
       score
FROM (SELECT owner, day, count(*) AS events, count(*) FILTER (completed) AS challenges,
             coalesce(sum(points) FILTER (completed), 0) AS score FROM events GROUP BY owner, day)
LEFT JOIN (SELECT owner, day, count(*) AS sessions, sum(microseconds) AS microseconds FROM sessions
           GROUP BY owner, day) USING (owner, day);

CREATE TABLE utc_days AS
SELECT utc_day AS day, events, active, coalesce(sessions, 0) AS sessions, coalesce(microseconds, 0) AS microseconds,
       challenges, score
FROM (SELECT utc_day, count(*) AS events, count(DISTINCT owner) AS active, count(*) FILTER (completed) AS challenges,
             coalesce(sum(points) FILTER (completed), 0) AS score FROM events GROUP BY utc_day)
LEFT JOIN (SELECT utc_day, count(*) AS sessions, sum(microseconds) AS microseconds FROM sessions GROUP BY utc_day)
      USING (utc_day);

CREATE TABLE learners AS
WITH last AS (
    SELECT owner, count(*) AS events, count(*) FILTER (completed) AS completed, min(day) AS first_day,
           max(day) AS last_day, max(happened) AS last_at,
           whole(whole(getvariable('now'), 1000000) + coalesce(offset_in(any_value(zone), getvariable('now')),
                 arg_max(local_offset, n)), 86400) AS today
    FROM events GROUP BY owner
), days AS (
    SELECT owner, count(*) FILTER (ago < 28) AS of_28, count(DISTINCT ago // 7) FILTER (ago < 56) AS weeks
    FROM (SELECT owner, greatest(today, last_day) - day AS ago FROM learner_days JOIN last USING (owner))
    GROUP BY owner
), attempts AS (
    SELECT owner, sum(points) / (10000.0 * count(*)) AS performance
    FROM (SELECT owner, points FROM events WHERE completed
          QUALIFY row_number() OVER (PARTITION BY owner ORDER BY n DESC) <= 20) GROUP BY owner
), scored AS (
    SELECT last.*, 100 * (0.30 * pow(2.0, -greatest(0, today - last_day) / 7.0)
                        + 0.30 * least(1.0, of_28 / 20.0) + 0.25 * (weeks / 8.0)
                        + 0.15 * coalesce(performance, 0.0)) AS exact
    FROM last JOIN days USING (owner) LEFT JOIN attempts USING (owner)
)
SELECT *, CAST(floor(round(CAST(exact AS DOUBLE), 9) + 0.5) AS BIGINT) AS score FROM scored;

CREATE TABLE percentiles AS
SELECT owner, CASE WHEN count(*) OVER () > 1
                   THEN (rank() OVER (ORDER BY score) - 1) / CAST(count(*) OVER () - 1 AS DOUBLE) END AS percentile
FROM learners;

CREATE TABLE streaks AS
WITH RECURSIVE active AS MATERIALIZED (
    SELECT owner, day, row_number() OVER (PARTITION BY owner ORDER BY day) AS i FROM learner_days
), walk AS (
    SELECT owner, i, day, 1 AS current, 1 AS longest, 0 AS held, 0 AS frozen FROM active WHERE i = 1
    UNION ALL
    SELECT owner, i, day, current, greatest(longest, current),
           CASE WHEN current % 7 = 0 THEN least(2, held + 1) ELSE held END, frozen
    FROM (
        SELECT next.owner, next.i, next.day, longest,
               CASE WHEN next.day - walk.day - 1 > held THEN 1 ELSE current + 1 END AS current,
               CASE WHEN next.day - walk.day - 1 > held THEN 0 ELSE held - (next.day - walk.day - 1) END AS held,
               CASE WHEN next.day - walk.day - 1 > held THEN 0 ELSE frozen + next.day - walk.day - 1 END AS frozen
        FROM walk JOIN active AS next ON next.owner = walk.owner AND next.i = walk.i + 1
    )
), ended AS (
    SELECT walk.*, greatest(0, today - day - 1) AS missed FROM walk JOIN learners USING (owner)
    QUALIFY row_number() OVER (PARTITION BY walk.owner ORDER BY i DESC) = 1
)
SELECT owner, CASE WHEN missed > held THEN 0 ELSE current END AS current, longest,
       CASE WHEN missed > held THEN 0 ELSE frozen + missed END AS frozen,
       CASE WHEN missed > held THEN 0 ELSE held - missed END AS held
FROM ended;

CREATE TABLE candidates (badge VARCHAR, owner VARCHAR, n BIGINT);
INSERT INTO candidates SELECT 'first-challenge', owner, n FROM events WHERE completed;
INSERT INTO candidates SELECT 'speed-demon', owner, n FROM events WHERE completed AND happened - started < 120000000;
INSERT INTO candidates
SELECT 'night-owl', owner, n FROM events WHERE completed AND (local_second >= 72000 OR local_second < 21600);
INSERT INTO candidates SELECT 'early-bird', owner, n FROM events WHERE completed AND local_second < 28800;
INSERT INTO candidates
SELECT 'power-hour', owner, n FROM events WHERE completed
QUALIFY happened - lag(happened, 9) OVER (PARTITION BY owner ORDER BY n) <= 3600000000;

INSERT INTO candidates
WITH firsts AS (
    SELECT 'code-master' AS badge, 100 AS target, owner, challenge AS what, min(n) AS n FROM events
    WHERE completed GROUP BY owner, challenge
    UNION ALL SELECT 'quality-focus', 5, owner, challenge, min(n) FROM events
    WHERE completed AND score >= 90 GROUP BY owner, challenge
    UNION ALL SELECT 'language-polyglot', 5, owner, language, min(n) FROM events
    WHERE completed GROUP BY owner, language
    UNION ALL SELECT 'provider-switcher', 3, owner, provider, min(n) FROM events
    WHERE provider IS NOT NULL AND kind IN ('challenge.completed', 'provider.used') GROUP BY owner, provider
)
SELECT badge, owner, n FROM firsts QUALIFY row_number() OVER (PARTITION BY badge, owner ORDER BY n) = target;

INSERT INTO candidates
WITH seen AS (
    SELECT 'completed' AS of, owner, day, min(n) AS n FROM events WHERE completed GROUP BY owner, day
    UNION ALL SELECT 'any', owner, day, min(n) FROM events GROUP BY owner, day
), runs AS (
    SELECT of, owner, day - lag(day, 6) OVER w AS week, day - lag(day, 29) OVER w AS month,
           max(n) OVER (PARTITION BY of, owner ORDER BY day ROWS 6 PRECEDING) AS of_week,
           max(n) OVER (PARTITION BY of, owner ORDER BY day ROWS 29 PRECEDING) AS of_month
    FROM seen WINDOW w AS (PARTITION BY of, owner ORDER BY day)
)
SELECT 'challenge-streak-7', owner, of_week FROM runs WHERE of = 'completed' AND week = 6
UNION ALL SELECT 'challenge-streak-30', owner, of_month FROM runs WHERE of = 'completed' AND month = 29
UNION ALL SELECT 'consistency-king', owner, of_month FROM runs WHERE of = 'any' AND month = 29;

CREATE TABLE awards AS
SELECT owner, badge, events.happened, events.id
FROM (SELECT badge, owner, min(n) AS n FROM candidates GROUP BY badge, owner) JOIN events USING (owner, n);
"""

_EXPECTED = {
    "learner_days": ("SELECT owner, day, events, sessions, microseconds, challenges, score FROM learner_days", 2),
    "kinds": ("SELECT owner, day, kind, count(*) FROM events GROUP BY owner, day, kind", 3),
    "analytics_days": ("SELECT * FROM utc_days", 1),
    "learners": ("SELECT owner, events, completed, score, first_day, last_day, last_at FROM learners", 1),
    "score_counts": ("SELECT score, count(*) FROM learners GROUP BY score", 1),
    "awards": ("SELECT owner, badge, happened, id FROM awards", 2),
}
_FOUND = {
    "learner_days": """
        SELECT owner_id, day - DATE '1970-01-01', events, sessions, microseconds, challenges, score FROM learner_days
        WHERE (events, sessions, microseconds, challenges, score) <> (0, 0, 0, 0, 0)""",
    "kinds": """
        SELECT owner_id, day - DATE '1970-01-01', kind, CAST(count AS bigint)
        FROM learner_days, jsonb_each_text(activities) AS counted (kind, count) WHERE count <> '0'""",
    "analytics_days": """
        SELECT day - DATE '1970-01-01', sum(events), sum(active), sum(sessions), sum(microseconds), sum(challenges),
               sum(score)
        FROM analytics_days GROUP BY day
        HAVING (sum(events), sum(active), sum(sessions), sum(microseconds)) <> (0, 0, 0, 0)""",
    "learners": """
        SELECT owner_id, events, completed, score, first_day - DATE '1970-01-01', last_day - DATE '1970-01-01',
               CAST(extract(epoch FROM last_at) * 1000000 AS bigint)
        FROM learners WHERE events > 0""",
    "score_counts": """
        SELECT place - 1, sum(counted) FROM score_counts, unnest(learners) WITH ORDINALITY AS each (counted, place)
        GROUP BY place HAVING sum(counted) <> 0""",
    "awards": """
        SELECT owner_id, badge_id,
               CAST(extract(epoch FROM coalesce(latest.awarded_at, awards.awarded_at)) * 1000000 AS bigint),
               coalesce(latest.event_id, awards.event_id)
        FROM awards LEFT JOIN LATERAL (
            SELECT awarded_at, event_id FROM award_changes WHERE award_id = awards.id AND change = 'redated'
            ORDER BY award_changes.id DESC LIMIT 1) AS latest ON true
        WHERE badge_id = ANY(:badges)""",
}
BADGES = [
    "first-challenge",
    "challenge-streak-7",
    "challenge-streak-30",
    "code-master",
    "speed-demon",
    "quality-focus",
    "language-polyglot",
    "provider-switcher",
    "night-owl",
    "early-bird",
    "power-hour",
    "consistency-king",
]


class Oracle:
    """All figures of some posted events as of one moment. The caller is trusted, `zones` are those of profiles."""

    def __init__(
        self, posted: Sequence[Json], now: datetime, zones: Mapping[str, str] | None = None, gap_seconds: int = 1_800
    ) -> None:
        self._duckdb = duckdb.connect()
        settings = {
            "now": _instant(now),
            "earliest": _instant(datetime(1, 1, 3, tzinfo=UTC)),
            "gap": gap_seconds * 10**6,
        }
        for name, value in settings.items():
            self._duckdb.execute(f"SET VARIABLE {name} = {value:d}")
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "posted.ndjson"
            with path.open("wb") as file:
                for place, event in enumerate(posted):
                    file.write(to_json(_row(place, event, zones or {})) + b"\n")
            self._duckdb.execute(_READ_POSTED, [str(path)])
        self._duckdb.execute(_COMPUTE)

    def rows(self, query: str, keys: int) -> Rows:
        """Rows by their first columns."""
        return {row[:keys]: row[keys:] for row in self._duckdb.execute(query).fetchall()}

    def counts(self) -> dict[str, int]:
        """How much there is of everything."""
        tables = ("events", "learners", "learner_days", "utc_days", "sessions", "awards")
        query = "SELECT count(*) FROM {}"
        return {name: self.rows(query.format(name), 0)[()][0] for name in tables}


async def differences(
    database: AsyncEngine,
    posted: Sequence[Json],
    now: datetime,
    zones: Mapping[str, str] | None = None,
    gap_seconds: int = 1_800,
) -> list[str]:
    """Whatever is kept or answered and does not follow from what was posted by a trusted caller, all as of `now`."""
    oracle = Oracle(posted, now, zones, gap_seconds)
    return await compare(database, oracle, now)


async def compare(database: AsyncEngine, oracle: Oracle, now: datetime) -> list[str]:
    """Each difference in words; none is agreement."""
    found: list[str] = []
    async with database.connect() as connection:
        for name, (query, keys) in _EXPECTED.items():
            parameters = {"badges": BADGES} if name == "awards" else {}
            kept = [tuple(row) for row in await connection.execute(text(_FOUND[name]), parameters)]
            found += _differences(name, oracle.rows(query, keys), {row[:keys]: row[keys:] for row in kept})
            if len({row[:keys] for row in kept}) != len(kept):
                found.append(f"{name}: the same key twice")
        owners = sorted(owner for (owner,) in oracle.rows("SELECT owner FROM learners", 1))
        answers = [await _answers(connection, owner, now) for owner in owners]
    streaks = oracle.rows("SELECT owner, current, longest, frozen, held FROM streaks", 1)
    found += _differences("streaks", streaks, {(owner,): one for owner, (one, _) in zip(owners, answers, strict=True)})
    percentiles = oracle.rows("SELECT owner, percentile FROM percentiles", 1)
    for owner, (_, answered) in zip(owners, answers, strict=True):
        expected = percentiles[owner,][0]
        if (answered is None) != (expected is None) or abs((answered or 0.0) - (expected or 0.0)) > 1e-6:  # noqa: PLR2004 - rounded to six places
            found.append(f"percentile {owner}: {answered}, not {expected}")
    return found


async def _answers(connection: AsyncConnection, owner: str, now: datetime) -> tuple[tuple[int, ...], float | None]:
    learner = await find_learner(connection, owner)
    streak = await read_streak(connection, learner, now)
    numbers = (streak.current, streak.longest, streak.frozen_days, streak.freezes_held)
    return numbers, await read_percentile(connection, learner, now)


def _differences(name: str, expected: Rows, found: Rows) -> list[str]:
    told: list[str] = []
    for key in sorted(expected.keys() | found.keys()):
        if expected.get(key) != found.get(key):
            words = " ".join(map(str, key))
            told.append(f"{name} {words}: {found.get(key, 'nothing')}, not {expected.get(key, 'nothing')}")
    return told


def _row(place: int, event: Json, zones: Mapping[str, str]) -> Json:
    data, at = event.get("data", {}), datetime.fromisoformat(event["at"])
    offset = at.utcoffset()
    if offset is None:
        raise ValueError(f"{event['at']} has no offset")
    return {
        "place": place,
        "owner": event["user_id"],
        "source": event.get("source", "api"),
        "id": event["id"],
        "kind": event["kind"],
        "happened": _instant(at),
        "own_offset": round(offset.total_seconds()),
        "zone": zones.get(event["user_id"]),
        "duration": data.get("duration_seconds"),
        "challenge": data.get("challenge_id"),
        "language": data.get("language"),
        "score": data.get("score"),
        "started": _instant(datetime.fromisoformat(data["started_at"])) if "started_at" in data else None,
        "provider": data.get("provider"),
    }


def _instant(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


async def _main(repository: Path, seed: int | None) -> int:
    now = datetime.now(UTC)
    posted = activity_of(repository, now)
    delivered = list(posted)
    if seed is not None:
        random.Random(seed).shuffle(delivered)
    async with benchmark_database(durable=False) as database:
        ingest, started, accepted = Ingest(database), time.perf_counter(), 0
        for first in range(0, len(delivered), _BATCH):
            result = await ingest.take(enumerate(delivered[first : first + _BATCH]), GRADER, now)
            accepted += result.accepted
            for one in result.refused:
                print(f"refused: {delivered[first + one.index]['id']}: {one.message}")
        taken = time.perf_counter()
        oracle = Oracle(posted, now)
        computed = time.perf_counter()
        found = await compare(database, oracle, now)
    print(f"{len(posted):,} events posted, {accepted:,} taken in {taken - started:.1f} s")
    print(f"computed in {computed - taken:.1f} s:", ", ".join(f"{n:,} {name}" for name, n in oracle.counts().items()))
    awards = oracle.rows("SELECT badge, count(*) FROM awards GROUP BY badge ORDER BY badge", 1)
    print("; ".join(f"{badge} {count:,}" for (badge,), (count,) in awards.items()))
    for one in found:
        print(one)
    print(f"{len(found):,} differences")
    return 1 if found else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tooloo bench analytics_oracle", description=__doc__)
    parser.add_argument("path", type=Path, help="a Git repository")
    parser.add_argument("--shuffle", type=int, metavar="SEED", help="in an order by chance; else the oldest first")
    chosen = parser.parse_args(arguments)
    sys.exit(asyncio.run(_main(chosen.path, chosen.shuffle)))


if __name__ == "__main__":
    main()
