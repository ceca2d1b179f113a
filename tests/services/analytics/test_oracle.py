"""Our tables and answers against the same figures computed by DuckDB, on events that are awkward."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.analytics_oracle import Oracle, compare, differences
from services.analytics.ingest import Ingest
from tests.services.analytics.conftest import GRADER, NOW

_HOUR = 3_600
_OFFSETS = [*(hour * _HOUR for hour in range(-12, 15)), 19_800, 20_700, -12_600, 45_900]
_ZONES = {"berlin": "Europe/Berlin", "new-york": "America/New_York", "lord-howe": "Australia/Lord_Howe"}
_REDATE = """
    INSERT INTO award_changes (award_id, change, actor_id, awarded_at, event_id)
    SELECT id, 'redated', 'x', awarded_at, 'another' FROM awards
    WHERE owner_id = 'old' AND badge_id = 'first-challenge'
"""
Json = dict[str, Any]


class Events:
    """Makes events as they are posted; what is not said is by chance, from a fixed seed."""

    def __init__(self) -> None:
        self.chance = random.Random(11)
        self.all: list[Json] = []

    def add(self, user: str, at: datetime, kind: str, data: Json, source: str = "grader", name: str = "") -> None:
        name = name or f"{self.chance.getrandbits(40):x}-{len(self.all)}"
        event = {"id": name, "source": source, "user_id": user, "kind": kind, "at": at.isoformat(), "data": data}
        self.all.append(event)

    def completed(self, user: str, at: datetime, name: str = "", took: float = 600.0, **data: Any) -> None:
        chance = self.chance
        filled = {
            "challenge_id": f"c{chance.randrange(130)}",
            "language": chance.choice(("Python", " python", "go", "Rust", "zig", "C", "ada")),
            "difficulty": chance.choice(("easy", "medium", "hard", "expert")),
            "topics": chance.sample(("loops", "trees", "graphs"), chance.randrange(3)),
            "score": chance.choice((0, 33.33, 89.99, 90, 100)),
            "started_at": (at.astimezone(UTC) - timedelta(seconds=took)).isoformat(),
            **data,
        }
        self.add(user, at, "challenge.completed", filled, name=name)

    def heartbeat(self, user: str, at: datetime, seconds: float | None = None, source: str = "web") -> None:
        data = {"activity": "coding"} if seconds is None else {"activity": "coding", "duration_seconds": seconds}
        self.add(user, at, "session.heartbeat", data, source)


def awkward() -> list[Json]:
    events = Events()
    for place, offset in enumerate(_OFFSETS):
        _around_midnight(events, f"offset-{place}", timezone(timedelta(seconds=offset)))
    for user, zone in _ZONES.items():
        _clock_changes(events, user, zone)  # days are those of the profile, whatever offset an event has
        _clock_changes(events, f"{user}-by-offset", zone)
    _bounds(events)
    _traveller(events)
    _hundreds(events)
    _rare_dates(events)
    for seconds, user in ((301, "ada"), (86_400, "nobody"), (300, "ada")):  # the last one is just taken
        events.completed(user, NOW + timedelta(seconds=seconds), f"future-{seconds}")
    events.completed("ada", NOW, "backward", took=-1)
    return events.all


def _around_midnight(events: Events, user: str, zone: timezone) -> None:
    """Every third learner misses no day, and of those every other one completes something on each."""
    chance, kind = events.chance, events.chance.randrange(6)
    start = datetime(2026, 11, 25, tzinfo=zone) - timedelta(days=chance.randrange(28, 45))
    for day in range(chance.randrange(20, 45)):
        times = [chance.choice((-1, 0, 1, 300, 1_800, 23_000)) for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        for seconds in (*times, 86_399) if kind < 2 else times:
            at = start + timedelta(days=day, seconds=seconds)
            if at >= NOW:
                continue
            if kind == 0 or chance.random() < 0.6:
                events.completed(user, at, took=chance.choice((0, 119.999999, 120, 500)))
            else:
                events.heartbeat(user, at, chance.choice((None, 0, 1_799.5, 7_200, 86_400)))


def _clock_changes(events: Events, user: str, name: str) -> None:
    """Every twenty minutes over the nights in which clocks change, here or there."""
    zone = ZoneInfo(name)
    for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"):
        night = datetime.fromisoformat(f"{day}T00:00:00+00:00") - timedelta(hours=16)
        for third in range(0, 32 * 3, events.chance.choice((1, 2, 5))):
            at = (night + timedelta(minutes=20 * third)).astimezone(zone)
            events.completed(user, at) if third % 2 else events.heartbeat(user, at, 900)


def _bounds(events: Events) -> None:
    """What is just in, and just out."""
    day = datetime(2026, 6, 1, tzinfo=UTC)
    times = ("05:59:59.999999", "06:00:00", "07:59:59", "08:00:00", "19:59:59.999999", "20:00:00")
    for place, time in enumerate(times):
        events.completed(f"bound-{place}", datetime.fromisoformat(f"2026-06-01T{time}+02:00"), took=120)
    for microseconds in (-1, 0, 1):
        user = f"pause{microseconds}"
        events.heartbeat(user, day)
        events.heartbeat(user, day + timedelta(seconds=1_800, microseconds=microseconds))
        events.heartbeat(user, day + timedelta(seconds=6_000, microseconds=microseconds), 2_400)
        for tenth in range(9):
            events.completed(f"hour{microseconds}", day + timedelta(seconds=60 * tenth), took=30)
        events.completed(f"hour{microseconds}", day + timedelta(seconds=3_600, microseconds=microseconds))
    for burst in range(60):  # one second: their order is by source and id alone
        at = day + timedelta(days=burst % 3)
        events.completed("burst", at, took=60 * (burst % 4), provider=f"P{burst % 5}")
        events.heartbeat("burst", at, 30, source="zz" if burst % 2 else "aa")
        events.add("burst", at, "provider.used", {"provider": " p7 "}, source="Über")
    for active in [*range(21), 22, 25, *range(26, 40), 43, 50]:  # freezes are earned, held, used and not enough
        events.heartbeat("freezer", datetime(2026, 10, 6, 9, tzinfo=UTC) + timedelta(days=active))


def _traveller(events: Events) -> None:
    """Local days that go back: over the date line and home."""
    for step in range(45):
        zone = timezone(timedelta(hours=(-12, 14, -11, 13, 0)[step % 5]))
        at = (datetime(2026, 9, 1, 11, tzinfo=UTC) + timedelta(hours=19 * step)).astimezone(zone)
        events.completed("traveller", at)


def _hundreds(events: Events) -> None:
    for n in range(160):
        at = datetime(2026, 7, 1, tzinfo=UTC) + timedelta(minutes=events.chance.choice((3, 20, 45)) * n)
        events.completed("hundreds", at, took=events.chance.choice((60, 600)), challenge_id=f"c{n % 120}")


def _rare_dates(events: Events) -> None:
    for user, at in (
        ("leap", "2024-02-28T23:59:59+14:00"),
        ("leap", "2024-02-29T12:00:00-12:00"),
        ("leap", "2024-03-01T00:00:00+00:00"),
        ("old", "1985-10-26T01:21:00-07:00"),
        ("old", "1969-12-31T23:59:59.999999+00:00"),
        ("old", "0999-01-01T00:00:00+01:00"),
    ):
        events.completed(user, datetime.fromisoformat(at))
        events.add(user, datetime.fromisoformat(at), "topic.studied", {"topic": "time", "duration_seconds": 50.25})
        events.add(user, datetime.fromisoformat(at), "x-own.thing", {"any": ["thing"]})


def _batches(events: list[Json], seed: int, largest: int) -> Iterator[list[Json]]:
    chance = random.Random(seed)
    left = [*events, *chance.sample(events, 200)]
    chance.shuffle(left)
    while left:
        size = chance.randint(1, largest)
        yield left[:size]
        left = left[size:]


async def _take(database: AsyncEngine, events: list[Json], largest: int) -> int:
    async with database.begin() as connection:
        for user, zone in _ZONES.items():
            values = {"user": user, "zone": zone}
            await connection.execute(
                text("INSERT INTO users (id, role, timezone) VALUES (:user, 'learner', :zone)"), values
            )
    ingest = Ingest(database)
    return sum([(await ingest.take(enumerate(batch), GRADER, NOW)).accepted for batch in _batches(events, 5, largest)])


async def test_two_computations_agree_on_awkward_events(database: AsyncEngine) -> None:
    events = awkward()
    accepted = await _take(database, events, largest=60)
    assert accepted == len(events) - 3
    oracle = Oracle(events, NOW, _ZONES)
    assert oracle.counts()["events"] == accepted
    badges = {badge for (badge,) in oracle.rows("SELECT DISTINCT badge FROM awards", 1)}
    assert len(badges) == 12, f"the events earn only {sorted(badges)}"
    assert await compare(database, oracle, NOW) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE learner_days SET microseconds = microseconds + 1 WHERE owner_id = 'old'", "learner_days old"),
        ("UPDATE analytics_days SET active = active + 1 WHERE day = '2024-02-28'", "analytics_days 19781"),
        ("UPDATE learners SET score = score + 1 WHERE owner_id = 'leap'", "learners leap"),
        (_REDATE, "awards old first-challenge"),
        ("DELETE FROM learner_days WHERE owner_id = 'leap' AND day = '2024-03-01'", "streaks leap"),
    ],
)
async def test_a_wrong_row_is_found(database: AsyncEngine, change: str, told: str) -> None:
    events = Events()
    _rare_dates(events)
    await Ingest(database).take(enumerate(events.all), GRADER, NOW)
    assert await differences(database, events.all, NOW) == []
    async with database.begin() as connection:
        await connection.execute(text(change))
    found = await differences(database, events.all, NOW)
    assert any(one.startswith(told) for one in found), found
